// What tsc does not see: line lengths, white space, forbidden words, and texts that a language lacks.
//
//     node lint.mjs
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(fileURLToPath(import.meta.url));
const MAX_LINE = 110;
const MAX_FILE = 500;

// [what, why, where it is allowed]
const forbidden = [
    [/\bany\b(?=[\s>\])},;|&[]|$)/, 'the type any: say what it is', /^(?!.*(:|<|as)\s*any\b)/],
    [/innerHTML|outerHTML|insertAdjacentHTML|document\.write/, 'HTML from text: build elements'],
    [/dangerouslySetInnerHTML/, 'HTML from text: build elements'],
    [/@ts-ignore|@ts-nocheck/, 'a switched off check'],
    [/console\.(log|debug)/, 'a leftover of debugging'],
    [/\b(TODO|FIXME|XXX)\b/, 'an unfinished thing'],
    [/\bdebugger\b/, 'a leftover of debugging'],
];

const problems = [];
const complain = (file, line, text) => problems.push(`${file}:${line}: ${text}`);

function sources(dir) {
    return readdirSync(path.join(root, dir), { withFileTypes: true }).flatMap((entry) => {
        const name = path.posix.join(dir, entry.name);
        return entry.isDirectory() ? sources(name) : [name];
    });
}

function checkLines(file, text) {
    const lines = text.split('\n');
    if (lines.pop() !== '') {
        complain(file, lines.length + 1, 'the last line does not end');
    }
    if (lines.length > MAX_FILE && !file.includes('i18n/')) {
        complain(file, lines.length, `more than ${MAX_FILE} lines`);
    }
    lines.forEach((line, at) => {
        if (line.length > MAX_LINE) {
            complain(file, at + 1, `${line.length} columns, more than ${MAX_LINE}`);
        }
        if (/\t|\s$/.test(line)) {
            complain(file, at + 1, 'a tab, or white space at the end');
        }
        const indent = line.match(/^ */)[0].length;
        if (indent % 4 !== 0 && !/^ +\*/.test(line)) {
            complain(file, at + 1, 'the indent is no multiple of 4');
        }
    });
}

function checkWords(file, text) {
    text.split('\n').forEach((line, at) => {
        for (const [word, why, fine] of forbidden) {
            if (word.test(line) && !fine?.test(line)) {
                complain(file, at + 1, why);
            }
        }
    });
}

// Every text exists in every language with the same placeholders, and is used somewhere.
function checkTexts(code) {
    const read = (name) => {
        const found = new Map();
        const files = sources(`src/i18n/${name}`);
        const text = files.map((file) => readFileSync(path.join(root, file), 'utf8')).join('');
        for (const [, key, value] of text.matchAll(
            /^ {4}'([^']+)':\s*((?:.|\n(?! {4}'|\};))*)/gm,
        )) {
            found.set(key, new Set([...value.matchAll(/\{(\w+)\}/g)].map((m) => m[1])));
        }
        return found;
    };
    const en = read('en');
    const zh = read('zh');
    for (const [key, names] of en) {
        const other = zh.get(key);
        if (!other || [...names].sort().join() !== [...other].sort().join()) {
            complain('src/i18n/zh', 1, `${key}: missing, or other placeholders`);
        }
        const stem = key.slice(0, key.lastIndexOf('.') + 1);
        if (!code.includes(`'${key}'`) && !code.includes(`\`${stem}$`)) {
            complain('src/i18n/en', 1, `${key}: not used`);
        }
    }
}

let code = '';
const tools = ['build.mjs', 'dev.mjs', 'licenses.mjs', 'lint.mjs'];
const own = [...tools, ...sources('test'), ...sources('src')];
for (const file of own) {
    const text = readFileSync(path.join(root, file), 'utf8');
    checkLines(file, text);
    if (file.startsWith('src/')) {
        checkWords(file, text);
        code += /\/i18n\/(en|zh)/.test(file) ? '' : text;
    }
}
checkTexts(code);
for (const problem of problems) {
    console.error(problem);
}
console.log(`${own.length} files, ${problems.length} problems`);
process.exitCode = problems.length > 0 ? 1 : 0;
