// Where a stream is cut into writes. Every function is pure, and random cuts follow a seed, so that
// a failure can be run again.

// A small generator of numbers in [0, 1) (mulberry32).
export function seeded(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

// Offsets of the blank lines' ends: one event lies between two of them.
function eventEnds(bytes) {
    const ends = [];
    for (let i = 1; i < bytes.length; i++) {
        const lineEnd = bytes[i] === 10;
        const blank = bytes[i - 1] === 10 || (bytes[i - 1] === 13 && i >= 2 && bytes[i - 2] === 10);
        if (lineEnd && blank) {
            ends.push(i + 1);
        }
    }
    return ends;
}

function offsets(bytes, how) {
    const at = [];
    if (how === 'bytes') {
        for (let i = 1; i < bytes.length; i++) {
            at.push(i);
        }
    } else if (how === 'events') {
        at.push(...eventEnds(bytes));
    } else if (how === 'utf8') {
        // behind every byte of a sequence but its last
        for (let i = 1; i < bytes.length; i++) {
            if ((bytes[i] & 0xc0) === 0x80) {
                at.push(i);
            }
        }
    } else if (how === 'crlf') {
        // between CR and LF, and between the two ends of line that close an event
        for (let i = 1; i < bytes.length; i++) {
            const before = bytes[i - 1];
            if (
                (bytes[i] === 10 && (before === 13 || before === 10)) ||
                (bytes[i] === 13 && before === 10)
            ) {
                at.push(i);
            }
        }
    } else if (how.at) {
        at.push(...how.at);
    } else if (how.size) {
        for (let i = how.size; i < bytes.length; i += how.size) {
            at.push(i);
        }
    } else if (how.seed !== undefined) {
        const random = seeded(how.seed);
        const max = how.max ?? 64;
        for (let i = 1 + Math.floor(random() * max); i < bytes.length;) {
            at.push(i);
            i += 1 + Math.floor(random() * max);
        }
    } else {
        throw new Error(`unknown cut: ${JSON.stringify(how)}`);
    }
    return at;
}

// Cuts bytes: "whole", "bytes", "events", "utf8", "crlf", {at: [...]}, {size: n} or {seed, max}.
export function cutBytes(bytes, how = 'whole') {
    if (how === 'whole') {
        return [bytes];
    }
    const pieces = [];
    let start = 0;
    for (const end of offsets(bytes, how)) {
        if (end > start && end < bytes.length) {
            pieces.push(bytes.subarray(start, end));
            start = end;
        }
    }
    pieces.push(bytes.subarray(start));
    return pieces;
}
