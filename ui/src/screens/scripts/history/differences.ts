// How much a generation differs from the one before it. Generations never change: each pair is asked
// for once, and one at a time.
import { readDiff } from '../../../api/scripts';

export interface Difference {
    files: number;
    added: number;
    removed: number;
}

const known = new Map<string, Promise<Difference | null>>();
let last: Promise<unknown> = Promise.resolve();

// A file begins with these three lines; no line of a text looks like the third one.
const FILE = /^--- (?:a\/.*|\/dev\/null)\n\+\+\+ (?:b\/.*|\/dev\/null)\n@@ /gm;

async function ask(from: number, to: number): Promise<Difference | null> {
    try {
        const { added, removed, diff } = await readDiff(from, to);
        return { files: diff.match(FILE)?.length ?? 0, added, removed };
    } catch {
        known.delete(`${from}-${to}`); // asked for again when it is shown again
        return null;
    }
}

// null: not to be had, because one of them is not kept any more.
export function difference(from: number, to: number): Promise<Difference | null> {
    const key = `${from}-${to}`;
    const asked = known.get(key) ?? last.then(() => ask(from, to));
    known.set(key, asked);
    last = asked;
    return asked;
}
