// Recorded traffic and the project's own streams, ready to be replayed. Recordings live outside the
// project (LLM_GATE_RECORDINGS, default ../shared beside it) and may be absent; own streams are
// tests/streams/*.sse.
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = resolve(fileURLToPath(import.meta.url), '../../..');
export const recordingsDir = resolve(process.env.LLM_GATE_RECORDINGS || join(project, '../shared'));
const fixtures = join(recordingsDir, 'fixtures');
const ownDir = join(project, 'tests/streams');

// Headers that belong to the connection or to the bytes of another transfer.
const hopByHop = new Set([
    'connection',
    'keep-alive',
    'transfer-encoding',
    'content-length',
    'content-encoding',
    'date',
]);

// A recorded head: "HTTP/1.1 200 OK" and its header lines.
export function parseHead(text) {
    const lines = text
        .replace(/^\ufeff/, '')
        .split(/\r?\n/)
        .filter((line) => line.trim() !== '');
    const first = /^HTTP\/\S+ (\d{3}) ?(.*)$/.exec(lines[0] ?? '');
    const headers = [];
    for (const line of lines.slice(first ? 1 : 0)) {
        const colon = line.indexOf(':');
        const name = line.slice(0, colon).trim();
        if (colon > 0 && !hopByHop.has(name.toLowerCase())) {
            headers.push([name, line.slice(colon + 1).trim()]);
        }
    }
    return { status: first ? Number(first[1]) : 200, reason: first?.[2] || undefined, headers };
}

// One payload a line, as the index describes "*.chunks.txt".
export function frameChunks(text) {
    const lines = text.split('\n').filter((line) => line !== '');
    return Buffer.from([...lines, '[DONE]'].map((line) => `data: ${line}\n\n`).join(''));
}

function headOf(path) {
    const beside = path.replace(/\.[a-z]+$/, '.headers.txt');
    if (existsSync(beside)) {
        return parseHead(readFileSync(beside, 'utf8'));
    }
    const json = path.endsWith('.json');
    return {
        status: 200,
        headers: [['Content-Type', json ? 'application/json' : 'text/event-stream; charset=utf-8']],
    };
}

function load(path) {
    const bytes = readFileSync(path);
    const framed = path.endsWith('.chunks.txt');
    return { ...headOf(path), body: framed ? frameChunks(bytes.toString('utf8')) : bytes };
}

function index() {
    const path = join(fixtures, 'INDEX.tsv');
    if (!existsSync(path)) {
        return [];
    }
    return readFileSync(path, 'utf8')
        .split('\n')
        .slice(1)
        .filter(Boolean)
        .map((line) => {
            const [file, vendor, kind] = line.split('\t');
            return { name: file, vendor, kinds: kind.split(',') };
        });
}

// Every recording with all the given kinds, as { name, vendor, kinds, status, headers, body }.
export function recordings(...kinds) {
    return index()
        .filter((entry) => kinds.every((kind) => entry.kinds.includes(kind)))
        .map((entry) => ({ ...entry, ...load(join(fixtures, entry.name)) }));
}

// One recording, or undefined where there are none.
export function recording(name) {
    const path = join(fixtures, name);
    return existsSync(path) ? { name, ...load(path) } : undefined;
}

// A request body that a real client sent, or undefined.
export function capture(name) {
    const path = join(recordingsDir, 'captures', name);
    return existsSync(path) ? readFileSync(path) : undefined;
}

// The project's own streams: { name, body, headers }.
export function ownStreams() {
    if (!existsSync(ownDir)) {
        return [];
    }
    return readdirSync(ownDir)
        .filter((file) => file.endsWith('.sse'))
        .sort()
        .map((file) => ({
            name: basename(file, '.sse'),
            path: join(ownDir, file),
            ...load(join(ownDir, file)),
        }));
}

export const recordingsPresent = existsSync(fixtures);
