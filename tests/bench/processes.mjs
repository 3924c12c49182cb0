// The processes of the bench: where they run, how they start, how they end, what they use.
// Everything that was started here ends with the bench, also when the bench fails or is killed.
import { execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const here = dirname(fileURLToPath(import.meta.url));
export const root = join(here, '..', '..');
export const dir = mkdtempSync(join(tmpdir(), 'llm-gate-bench-'));
const children = new Set();

// A missing part: says what to do and ends with status 2.
export class Missing extends Error {}

function finish() {
    for (const child of children) {
        child.kill('SIGTERM');
    }
    rmSync(dir, { recursive: true, force: true });
}

process.on('exit', finish);
for (const [signal, number] of [['SIGINT', 2], ['SIGTERM', 15], ['SIGHUP', 1]]) {
    process.on(signal, () => process.exit(128 + number));
}

export function sleep(ms) {
    return new Promise((done) => setTimeout(done, ms));
}

// The cores that this process may use.
function findCores() {
    const list = /^Cpus_allowed_list:\s*(.*)$/m.exec(readFileSync('/proc/self/status', 'utf8'))[1];
    return list.split(',').flatMap((range) => {
        const [first, last = first] = range.split('-').map(Number);
        return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
}

export const [PROXY, LOAD] = findCores();

export function requireCommand(command, debianPackage) {
    try {
        execFileSync('sh', ['-c', `command -v ${command}`], { stdio: 'ignore' });
    } catch {
        throw new Missing(`${command} is missing; on Debian: ` +
            `apt-get install --no-install-recommends ${debianPackage}`);
    }
}

// Starts a program on a core. `log` is the file for its stderr, else it is kept in child.errors.
// setpriv makes the kernel end it when the bench is killed so hard that finish() cannot run.
export function start(core, argv, { env = process.env, log } = {}) {
    const stderr = log ? openSync(log, 'a') : 'pipe';
    const child = spawn('setpriv', ['--pdeathsig', 'TERM', 'taskset', '-c', String(core), ...argv],
        { env, stdio: ['pipe', 'pipe', stderr], cwd: dir });
    children.add(child);
    child.errors = '';
    child.output = '';
    child.stdin.on('error', () => {});
    child.stdout.on('data', (d) => { child.output += d; });
    child.stderr?.on('data', (d) => { child.errors += d; });
    child.ended = new Promise((done) => {
        child.on('close', (code, signal) => {
            children.delete(child);
            child.gone = true;
            done(code ?? signal);
        });
        child.on('error', (e) => {
            children.delete(child);
            child.gone = true;
            child.errors += e.message;
            done('error');
        });
    });
    if (log) {
        closeSync(stderr);
    }
    return child;
}

export async function stop(child) {
    child.kill('SIGTERM');
    const kill = setTimeout(() => child.kill('SIGKILL'), 5000);
    await child.ended;
    clearTimeout(kill);
}

// Waits until check() gives something true; fails when the process ends or time is up.
export async function until(child, what, check, ms = 10000) {
    const end = Date.now() + ms;
    for (;;) {
        const result = await check();
        if (result) {
            return result;
        }
        if (child.gone || Date.now() > end) {
            throw new Error(`${what}: ${child.gone ? 'it ended' : 'nothing happened in time'}: ` +
                `${child.errors}${child.output}`.slice(-2000));
        }
        await sleep(1);
    }
}

// The first line of a program's output, as JSON.
export async function firstLine(child, what, ms) {
    return JSON.parse(await until(child, what,
        () => child.output.includes('\n') && child.output.split('\n', 1)[0], ms));
}

// A port that was free a moment ago.
export function freePort() {
    return new Promise((done, fail) => {
        const server = createServer();
        server.on('error', fail);
        server.listen(0, '127.0.0.1', () => {
            const { port } = server.address();
            server.close(() => done(port));
        });
    });
}

// One request. Resolves to { status, body }; null when there is no connection.
export function ask(port, { method = 'POST', path = '/v1/chat/completions', key, headers, body }) {
    return new Promise((done) => {
        const request = http.request({ host: '127.0.0.1', port, method, path, agent: false,
            headers: { authorization: `Bearer ${key}`, 'content-type': 'application/json',
                ...headers } }, (response) => {
            let text = '';
            response.on('data', (d) => { text += d; });
            response.on('end', () => done({ status: response.statusCode, body: text }));
            response.on('error', () => done(null));
        });
        request.on('error', () => done(null));
        request.end(body);
    });
}

// KB that belong to the process alone, and all that it has in memory.
export function memory(pid) {
    const text = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
    const value = (name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)[1]);
    return { own: value('Private_Clean') + value('Private_Dirty'), rss: value('Rss') };
}

export function childrenOf(pid) {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')
        .filter(Boolean).map(Number);
}

export function openFilesLimit() {
    const text = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(\d+)/m.exec(text)[1]);
}

// Ticks of all cores since the start of the machine: { all, idle, steal }.
export function cpuTicks() {
    const ticks = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0].split(/\s+/).slice(1, 9)
        .map(Number);
    return { all: ticks.reduce((a, b) => a + b), idle: ticks[3] + ticks[4], steal: ticks[7] };
}
