// Lua's words, for their colours. It takes any text: what is not Lua is plain.

export type Word = 'keyword' | 'string' | 'number' | 'comment' | 'name';

// A coloured part of a line, by columns.
export interface Span {
    from: number;
    to: number;
    word: Word;
}

const KEYWORDS = new Set(
    ('and break do else elseif end false for function goto if in local nil not or repeat return then ' +
        'true until while').split(' '),
);
const NAMES = new Set(
    ('assert error gate ipairs math next pairs pcall require select string table tonumber tostring ' +
        'type').split(' '),
);

const TOKEN = new RegExp(
    [
        /(?<comment>--\[(?<level>=*)\[[^]*?(?:\]\k<level>\]|$)|--[^\n]*)/,
        /(?<string>\[(?<depth>=*)\[[^]*?(?:\]\k<depth>\]|$)|"(?:\\[^]|[^"\\\n])*"?|'(?:\\[^]|[^'\\\n])*'?)/,
        /(?<number>0[xX][\da-fA-F.]+|\d[\d.]*(?:[eE][+-]?\d+)?)/,
        /(?<name>[A-Za-z_]\w*)/,
        /\s+|[^]/,
    ]
        .map((one) => one.source)
        .join('|'),
    'g',
);

function wordOf(groups: Record<string, string | undefined>): Word | null {
    if (groups.comment !== undefined) {
        return 'comment';
    }
    if (groups.string !== undefined) {
        return 'string';
    }
    if (groups.number !== undefined) {
        return 'number';
    }
    const name = groups.name ?? '';
    return KEYWORDS.has(name) ? 'keyword' : NAMES.has(name) ? 'name' : null;
}

// Of each line of the text.
export function spansOf(text: string): Span[][] {
    const lines: Span[][] = [[]];
    let column = 0;
    for (const { 0: token, groups } of text.matchAll(TOKEN)) {
        const word = wordOf(groups ?? {});
        token.split('\n').forEach((part, at) => {
            if (at > 0) {
                lines.push([]);
                column = 0;
            }
            if (word && part !== '') {
                lines[lines.length - 1].push({ from: column, to: column + part.length, word });
            }
            column += part.length;
        });
    }
    return lines;
}
