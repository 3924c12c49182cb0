// The reader of event streams: wherever the bytes are cut, the same comes out.
import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import * as esbuild from 'esbuild';

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '..');
const { outputFiles } = await esbuild.build({
    absWorkingDir: root,
    entryPoints: ['src/api/sse.ts'],
    format: 'esm',
    write: false,
});
const { SseReader } = await import(
    `data:text/javascript;base64,${Buffer.from(outputFiles[0].contents).toString('base64')}`
);

function read(...pieces) {
    const seen = [];
    const reader = new SseReader({
        onData: (data) => seen.push(data),
        onComment: (text) => seen.push(`: ${text}`),
    });
    pieces.forEach((piece) => reader.push(piece));
    return seen;
}

const streams = {
    'line feeds': '\ufeffdata: a\n\n: hi\n\ndata:b\ndata:  c\n\nevent: x\nid: 1\ndata: 星系🚪\n\n',
    'both': '\ufeffdata: a\r\n\r\n: hi\r\n\r\ndata:b\r\ndata:  c\r\n\r\ndata: 星系🚪\r\n\r\n',
    'carriage returns': 'data: a\r\r: hi\r\rdata:b\rdata:  c\r\rdata: 星系🚪\r\r',
    'a mix': 'data: a\n\r: hi\r\n\ndata:b\rdata:  c\r\n\rdata: 星系🚪\n\r\n',
};
const expected = ['a', ': hi', 'b\n c', '星系🚪'];

for (const [name, text] of Object.entries(streams)) {
    test(`every cut of a stream with ${name}`, () => {
        const bytes = Buffer.from(text);
        assert.deepEqual(read(bytes), expected);
        for (let at = 1; at < bytes.length; at++) {
            for (let next = at; next < bytes.length; next++) {
                const parts = [bytes.subarray(0, at), bytes.subarray(at, next), bytes.subarray(next)];
                assert.deepEqual(read(...parts), expected, `cut at ${at} and ${next}`);
            }
        }
        assert.deepEqual(read(...Array.from(bytes, (one) => Uint8Array.of(one))), expected);
    });
}

test('an event that has not ended is none', () => {
    assert.deepEqual(read(Buffer.from('data: a\n\ndata: b\n')), ['a']);
});

test('a long event in many pieces takes time in proportion', () => {
    const piece = Buffer.from('x'.repeat(1000));
    const begin = performance.now();
    const [data] = read(Buffer.from('data: '), ...Array(8000).fill(piece), Buffer.from('\n\n'));
    assert.equal(data.length, 8_000_000);
    assert.ok(performance.now() - begin < 2000);
});
