// What a comparison of two texts shows: pairs of lines, and runs of equal lines that are folded.
import { type Change, compare } from './compare';
import { type Span, spansOf } from './lua';

const MARGIN = 3; // equal lines that are shown beside a change
const FOLD_MIN = 4;
const MARKED_MAX = 600; // longer lines are not compared within
const WORDS_MAX = 60; // words that differ
const ALIKE_MIN = 0.4;

// A line of a text; `marks` is what differs within it, in pairs of columns.
export interface Line {
    number: number;
    text: string;
    spans: Span[];
    marks: [number, number][];
    isUnended: boolean; // the last line, without a line break
}

// Lines that are the same, or what one line became; null: it was not there, or is there no more.
export interface Pair {
    kind: 'same' | 'changed';
    before: Line | null;
    after: Line | null;
}

export interface Fold {
    kind: 'fold';
    id: number;
    pairs: Pair[];
}

export type Row = Pair | Fold;

export interface Comparison {
    rows: Row[];
    added: number;
    removed: number;
}

// With their line breaks: the last line may have none, and that is a difference too.
export const linesOf = (text: string) => (text === '' ? [] : text.split(/(?<=\n)/));

export function numbered(lines: string[]): Line[] {
    const spans = spansOf(lines.join(''));
    return lines.map((line, at) => ({
        number: at + 1,
        text: line.replace(/\n$/, ''),
        spans: spans[at] ?? [],
        marks: [],
        isUnended: !line.endsWith('\n'),
    }));
}

const wordsOf = (text: string) => text.match(/\w+|\s+|[^\w\s]/g) ?? [];

// The columns that a run of words takes.
function columns(words: string[], from: number, to: number): [number, number] {
    const start = words.slice(0, from).join('').length;
    return [start, start + words.slice(from, to).join('').length];
}

const length = ([from, to]: [number, number]) => to - from;

// Marks what differs within two lines, unless hardly anything is the same.
function mark(before: Line, after: Line): void {
    if (before.text.length > MARKED_MAX || after.text.length > MARKED_MAX) {
        return;
    }
    const old = wordsOf(before.text);
    const fresh = wordsOf(after.text);
    const changes = compare(old, fresh, WORDS_MAX);
    const gone = changes.map((one) => columns(old, one.a, one.aEnd)).filter(length);
    const come = changes.map((one) => columns(fresh, one.b, one.bEnd)).filter(length);
    const kept = before.text.length - gone.reduce((sum, one) => sum + length(one), 0);
    if (kept < ALIKE_MIN * Math.min(before.text.length, after.text.length)) {
        return;
    }
    before.marks = gone;
    after.marks = come;
}

function changed(before: Line[], after: Line[]): Pair[] {
    const count = Math.max(before.length, after.length);
    return Array.from({ length: count }, (_, at) => {
        const pair = { before: before[at] ?? null, after: after[at] ?? null };
        if (pair.before && pair.after) {
            mark(pair.before, pair.after);
        }
        return { kind: 'changed', ...pair };
    });
}

function same(pairs: Pair[], isFirst: boolean, isLast: boolean): Row[] {
    const head = isFirst ? 0 : MARGIN;
    const tail = isLast ? 0 : MARGIN;
    if (pairs.length < head + tail + FOLD_MIN) {
        return pairs;
    }
    const end = pairs.length - tail;
    const folded = pairs.slice(head, end);
    const id = folded[0].after?.number ?? 0;
    return [...pairs.slice(0, head), { kind: 'fold', id, pairs: folded }, ...pairs.slice(end)];
}

// null: the file is not there.
export function compareTexts(before: string | null, after: string | null): Comparison {
    const rawBefore = linesOf(before ?? '');
    const rawAfter = linesOf(after ?? '');
    const changes = compare(rawBefore, rawAfter);
    const old = numbered(rawBefore);
    const fresh = numbered(rawAfter);
    const rows: Row[] = [];
    let from: Pick<Change, 'aEnd' | 'bEnd'> = { aEnd: 0, bEnd: 0 };
    const equal = (a: number, isLast: boolean) => {
        const pairs = old.slice(from.aEnd, a).map((line, at): Pair => {
            return { kind: 'same', before: line, after: fresh[from.bEnd + at] };
        });
        rows.push(...same(pairs, from.aEnd === 0 && from.bEnd === 0, isLast));
    };
    for (const change of changes) {
        equal(change.a, false);
        rows.push(...changed(old.slice(change.a, change.aEnd), fresh.slice(change.b, change.bEnd)));
        from = change;
    }
    equal(old.length, true);
    return {
        rows,
        added: changes.reduce((sum, one) => sum + one.bEnd - one.b, 0),
        removed: changes.reduce((sum, one) => sum + one.aEnd - one.a, 0),
    };
}
