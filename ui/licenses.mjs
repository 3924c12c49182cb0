// The licences of the packages that a bundle has parts of. They want to go where the code goes.
import { readFile, readdir } from 'node:fs/promises';
import path from 'node:path';

const intro = 'The console of llm-gate has parts of these packages in it, under the licences below.';
const line = '-'.repeat(80);

// The directories of these packages, sorted: 'node_modules/preact', 'node_modules/@lezer/lr'.
function packages(outputs) {
    const found = new Set();
    for (const { inputs } of Object.values(outputs)) {
        for (const [input, { bytesInOutput }] of Object.entries(inputs)) {
            const match = input.match(/^.*node_modules\/(@[^/]+\/)?[^/]+/);
            if (match && bytesInOutput > 0) {
                found.add(match[0]);
            }
        }
    }
    return [...found].sort();
}

async function license(root, dir) {
    const names = await readdir(path.join(root, dir));
    const file = names.find((name) => /^licen[cs]e(\.(md|txt))?$/i.test(name));
    if (!file) {
        throw new Error(`${dir} has no licence file`);
    }
    const text = await readFile(path.join(root, dir, file), 'utf8');
    return text.replace(/\r/g, '').trim();
}

// One text for all; packages with the same licence, to the letter, share one.
export async function licenses(root, outputs) {
    const users = new Map();
    for (const dir of packages(outputs)) {
        const { name, version } = JSON.parse(
            await readFile(path.join(root, dir, 'package.json'), 'utf8'),
        );
        const text = await license(root, dir);
        users.set(text, [...(users.get(text) ?? []), `${name} ${version}`]);
    }
    const parts = [...users].map(([text, names]) => `${line}\n${names.join('\n')}\n\n${text}\n`);
    return [`${intro}\n`, ...parts].join('\n');
}
