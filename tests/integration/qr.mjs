// Reads a QR code that was printed in half blocks: versions 1 to 5 with error correction L, one
// segment of bytes, no damage. A module for the tests.
import assert from 'node:assert/strict';

const QUIET = 4;
const dataBytes = [0, 19, 34, 55, 80, 108]; // by version
const masks = [
    (r, c) => (r + c) % 2,
    (r) => r % 2,
    (r, c) => c % 3,
    (r, c) => (r + c) % 3,
    (r, c) => (Math.floor(r / 2) + Math.floor(c / 3)) % 2,
    (r, c) => ((r * c) % 2) + ((r * c) % 3),
    (r, c) => (((r * c) % 2) + ((r * c) % 3)) % 2,
    (r, c) => (((r + c) % 2) + ((r * c) % 3)) % 2,
];

// Rows of booleans, true for dark, without the quiet zone, which is checked.
function matrixOf(text) {
    const lines = text.split('\n').filter((line) => /^[\u2580\u2584\u2588 ]+$/.test(line));
    const width = lines[0].length;
    const rows = lines.flatMap((line) => {
        assert.equal(line.length, width);
        const light = (glyphs) => [...line].map((c) => glyphs.includes(c));
        return [light('\u2580\u2588'), light('\u2584\u2588')];
    });
    const size = width - 2 * QUIET;
    assert.ok(rows.length >= width);
    const inside = (i) => i >= QUIET && i < QUIET + size;
    rows.slice(0, width).forEach((row, y) =>
        row.forEach((isLight, x) => assert.ok((inside(x) && inside(y)) || isLight, 'quiet zone')),
    );
    const cut = (list) => list.slice(QUIET, QUIET + size);
    return cut(rows).map((row) => cut(row).map((isLight) => !isLight));
}

function isFunction(size, version, r, c) {
    const corner = (r < 9 && c < 9) || (r < 9 && c >= size - 8) || (r >= size - 8 && c < 9);
    const middle = size - 7; // of the alignment pattern
    const alignment = version > 1 && Math.abs(r - middle) <= 2 && Math.abs(c - middle) <= 2;
    return corner || r === 6 || c === 6 || alignment;
}

export function readQr(text) {
    const dark = matrixOf(text);
    const size = dark.length;
    const version = (size - 17) / 4;
    assert.ok(Number.isInteger(version) && version >= 1 && version <= 5, `size ${size}`);
    for (const [r, c] of [[0, 0], [0, size - 7], [size - 7, 0]]) {
        for (let i = 0; i < 49; i++) {
            const ring = Math.max(Math.abs(Math.floor(i / 7) - 3), Math.abs((i % 7) - 3));
            assert.equal(dark[r + Math.floor(i / 7)][c + (i % 7)], ring !== 2, 'finder pattern');
        }
    }
    const format = [0, 1, 2, 3, 4].map((c) => Number(dark[8][c])).join('');
    const [level, mask] = [parseInt(format, 2) ^ 0b10101].map((f) => [f >> 3, f & 7])[0];
    assert.equal(level, 0b01, 'level L');
    const bits = [];
    for (let right = size - 1, up = true; right > 0; right -= 2, up = !up) {
        right -= right === 6 ? 1 : 0;
        for (let i = 0; i < size; i++) {
            const r = up ? size - 1 - i : i;
            for (const c of [right, right - 1]) {
                if (!isFunction(size, version, r, c)) {
                    bits.push(Number(dark[r][c] !== (masks[mask](r, c) === 0)));
                }
            }
        }
    }
    const number = (at, count) => parseInt(bits.slice(at, at + count).join(''), 2);
    assert.equal(number(0, 4), 4, 'byte mode');
    const length = number(4, 8);
    assert.ok(length + 2 <= dataBytes[version]);
    return Buffer.from(Array.from({ length }, (_, i) => number(12 + 8 * i, 8))).toString();
}
