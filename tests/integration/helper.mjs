// Starts the real gateway (LLM_GATE_BIN, default build/llm-gate) on a free port with its own
// directories, talks to it, and stops it. Nothing here waits by the clock alone: readiness, log
// lines and ends are watched for, with a deadline.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Mock, until } from '../upstream/mock.mjs';
import { RawClient, requestBytes } from '../upstream/raw.mjs';

export const project = resolve(fileURLToPath(import.meta.url), '../../..');
export const binary = resolve(process.env.LLM_GATE_BIN || join(project, 'build/llm-gate'));
export const API_KEY = 'gate-it-7d1f0c2b9e4a';
export const UPSTREAM_KEY = 'sk-upstream-5be2a90c71';
export const chatPath = '/v1/chat/completions';

// Sanitizers make everything slower and keep freed memory.
const image = readFileSync(binary);
export const sanitized = image.includes('__asan_') || image.includes('__tsan_');
export const slow = sanitized ? 5 : 1;

const tempDirs = [];
process.on('exit', () => {
    for (const dir of tempDirs) {
        rmSync(dir, { recursive: true, force: true });
    }
});

export function tempDir(name) {
    const dir = mkdtempSync(join(tmpdir(), `gate-${name}-`));
    tempDirs.push(dir);
    return dir;
}

// A port that nobody listens on.
export async function closedPort() {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address();
    server.close();
    await once(server, 'close');
    return port;
}

const kept = [
    'PATH',
    'LANG',
    'TMPDIR',
    'ASAN_OPTIONS',
    'UBSAN_OPTIONS',
    'TSAN_OPTIONS',
    'LSAN_OPTIONS',
    'LLM_GATE_PLUGIN_DIR',
];

// The environment of a gateway: of ours only what it cannot do without.
function environment(extra, home) {
    const env = { HOME: home };
    for (const name of kept) {
        if (process.env[name] !== undefined) {
            env[name] = process.env[name];
        }
    }
    for (const [name, value] of Object.entries(extra)) {
        if (value !== undefined) {
            env[name] = String(value);
        }
    }
    return env;
}

// Runs the binary to its end: { code, signal, stdout, stderr, output }.
export async function run(args, { env = {}, cwd, timeout = 10000 * slow } = {}) {
    const home = cwd ?? tempDir('run');
    const child = spawn(binary, args, { cwd: home, env: environment(env, home), stdio: 'pipe' });
    const out = { stdout: '', stderr: '' };
    child.stdout.on('data', (text) => (out.stdout += text));
    child.stderr.on('data', (text) => (out.stderr += text));
    child.stdin.end();
    const timer = setTimeout(() => child.kill('SIGKILL'), timeout);
    const [code, signal] = await once(child, 'close');
    clearTimeout(timer);
    return { code, signal, ...out, output: out.stdout + out.stderr };
}

// An accounts.lua for tests that look at one failure after the other: no account pauses after one.
export const noCooldown = {
    'accounts.lua': 'return { on_error = function() return { cooldown_ms = 0 } end }',
};

// Files for LLM_GATE_CONF_DIR: { "routing.lua": "return ..." }.
export function confDir(files) {
    const dir = tempDir('conf');
    for (const [name, text] of Object.entries(files)) {
        mkdirSync(dirname(join(dir, name)), { recursive: true });
        writeFileSync(join(dir, name), text);
    }
    return dir;
}

export class Answer {
    constructor(response, body) {
        this.status = response.statusCode;
        this.headers = response.headers;
        this.rawHeaders = response.rawHeaders;
        this.body = body;
    }

    get text() {
        return this.body.toString('utf8');
    }

    get json() {
        return JSON.parse(this.text);
    }
}

export class Gateway {
    // port: 0 when the gateway chooses one.
    constructor(child, port) {
        this.child = child;
        this.port = port;
        this.log = '';
        this.stdout = '';
        this.exited = once(child, 'close').then(([code, signal]) => {
            this.exit = { code, signal };
        });
        this.exit = null;
        const keep = (text) => {
            this.log += text;
        };
        child.stdout.setEncoding('utf8').on('data', (text) => {
            this.stdout += text;
            keep(text);
        });
        child.stderr.setEncoding('utf8').on('data', keep);
    }

    get pid() {
        return this.child.pid;
    }

    get origin() {
        return `http://127.0.0.1:${this.port}`;
    }

    // The end of the log, for messages of failing tests.
    get tail() {
        return `the gateway's log ends:\n${this.log.slice(-2000)}`;
    }

    // Waits for the address in the log, then for GET /health.
    async ready(timeout = 10000 * slow) {
        const alive = () => {
            if (this.exit) {
                throw new Error(`the gateway ended: ${JSON.stringify(this.exit)}\n${this.tail}`);
            }
        };
        await until(
            () => {
                alive();
                if (this.port) {
                    return true;
                }
                const said = /listens on http:\/\/(?:127\.0\.0\.1|\[::1\]):(\d+)/.exec(this.log);
                this.port = said && Number(said[1]);
                return this.port;
            },
            { timeout, what: () => `the gateway's address; ${this.tail}` },
        );
        // With a given port there may be nothing in the log, and nobody listening yet.
        const end = performance.now() + timeout;
        for (;;) {
            try {
                const health = await this.call({ method: 'GET', path: '/health', key: null });
                assert.equal(health.status, 200);
                return;
            } catch (error) {
                alive();
                if (error.code !== 'ECONNREFUSED' || performance.now() > end) {
                    throw error;
                }
            }
        }
    }

    // One request; resolves with the whole answer. body: text, bytes or an object (sent as JSON).
    call({
        method = 'POST',
        path = chatPath,
        key = API_KEY,
        headers = {},
        body,
        signal,
        localAddress,
    } = {}) {
        const bytes =
            body === undefined
                ? undefined
                : typeof body === 'string' || Buffer.isBuffer(body)
                  ? Buffer.from(body)
                  : Buffer.from(JSON.stringify(body));
        return new Promise((done, fail) => {
            const request = http.request({
                host: '127.0.0.1',
                port: this.port,
                method,
                path,
                agent: false,
                signal,
                localAddress,
                headers: {
                    ...(key ? { authorization: `Bearer ${key}` } : {}),
                    ...(bytes
                        ? {
                              'content-type': 'application/json',
                              'content-length': bytes.length,
                          }
                        : {}),
                    ...headers,
                },
            });
            request.on('error', fail);
            request.on('response', (response) => {
                const pieces = [];
                response.on('data', (piece) => pieces.push(piece));
                response.on('end', () => done(new Answer(response, Buffer.concat(pieces))));
                response.on('error', (error) => {
                    const answer = new Answer(response, Buffer.concat(pieces));
                    fail(Object.assign(error, { answer }));
                });
            });
            request.end(bytes);
        });
    }

    // A chat request for this model.
    chat(model, more = {}, options = {}) {
        return this.call({ ...options, body: chatRequest(model, more) });
    }

    raw(options) {
        return RawClient.connect(this.port, '127.0.0.1', options);
    }

    // A plain-socket client that has sent a chat request.
    async rawChat(model, more = {}, headers = {}, options = {}) {
        const client = await this.raw(options);
        await client.send(this.rawRequest(chatRequest(model, more), headers));
        return client;
    }

    rawRequest(body, headers = {}) {
        const bytes =
            Buffer.isBuffer(body) || typeof body === 'string'
                ? Buffer.from(body)
                : Buffer.from(JSON.stringify(body));
        return requestBytes(
            'POST',
            chatPath,
            {
                Host: `127.0.0.1:${this.port}`,
                Authorization: `Bearer ${API_KEY}`,
                'Content-Type': 'application/json',
                'Content-Length': bytes.length,
                ...headers,
            },
            bytes,
        );
    }

    waitLog(pattern, { timeout = 5000 * slow } = {}) {
        const find = () =>
            typeof pattern === 'string' ? this.log.includes(pattern) : pattern.test(this.log);
        return until(find, { timeout, what: () => `${pattern}; ${this.tail}` });
    }

    // Resident memory in KiB.
    memory() {
        const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
        return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)[1]);
    }

    signal(name) {
        this.child.kill(name);
    }

    async ended(timeout = 10000 * slow) {
        await until(() => this.exit, {
            timeout,
            what: () => `the end of the gateway; ${this.tail}`,
        });
        return this.exit;
    }

    // SIGTERM, and nothing but a clean end is right.
    async stop() {
        if (!this.exit) {
            this.signal('SIGTERM');
            try {
                await this.ended();
            } catch (error) {
                this.signal('SIGKILL');
                await this.exited;
                throw error;
            }
        }
        assert.deepEqual(
            this.exit,
            { code: 0, signal: null },
            `ended with ${JSON.stringify(this.exit)}; ${this.tail}`,
        );
    }
}

// conf: files of LLM_GATE_CONF_DIR; "shipped": those of the project; absent: none at all.
export async function startGateway({
    env = {},
    conf,
    args = [],
    key = API_KEY,
    listen = '127.0.0.1:0',
    cwd,
    dataDir,
} = {}) {
    const home = cwd ?? tempDir('home');
    const directory = conf === 'shipped' ? join(project, 'conf') : conf && confDir(conf);
    const child = spawn(binary, args, {
        cwd: home,
        stdio: ['ignore', 'pipe', 'pipe'],
        env: environment(
            {
                API_KEY: key ?? undefined,
                LLM_GATE_LISTEN: listen,
                LLM_GATE_DATA_DIR: dataDir ?? join(home, 'data'),
                LLM_GATE_CONF_DIR: directory,
                LLM_GATE_WORKERS: 1,
                ...env,
            },
            home,
        ),
    });
    const gateway = new Gateway(child, Number(listen.split(':').pop()));
    try {
        await gateway.ready();
    } catch (error) {
        child.kill('SIGKILL');
        throw error;
    }
    return gateway;
}

// A mock and a gateway whose OPENAI_* instance is that mock.
export async function startPair(options = {}) {
    const mock = await Mock.start(options.mock);
    const base = options.base?.(mock) ?? mock.base;
    try {
        const gateway = await startGateway({
            ...options,
            env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: base, ...options.env },
        });
        return { mock, gateway };
    } catch (error) {
        await mock.stop();
        throw error;
    }
}

// Stops everything even when one of them fails; then fails.
export async function stopAll(...things) {
    const results = await Promise.allSettled(things.filter(Boolean).map((thing) => thing.stop()));
    for (const result of results) {
        if (result.status === 'rejected') {
            throw result.reason;
        }
    }
}

export function chatRequest(model, more = {}) {
    return { model, messages: [{ role: 'user', content: 'Say hello.' }], ...more };
}

// The OpenAI shape, and nothing else in it.
export function assertError(answer, status, { type, code, param, message } = {}, what = '') {
    const where = `${what} ${answer.status} ${answer.text.slice(0, 300)}`;
    assert.equal(answer.status, status, where);
    const contentType =
        typeof answer.header === 'function'
            ? answer.header('content-type')
            : answer.headers['content-type'];
    assert.match(contentType ?? '', /^application\/json/, where);
    const { error } = answer.json;
    assert.equal(typeof error, 'object', where);
    assert.equal(typeof error.message, 'string', where);
    assert.notEqual(error.message, '', where);
    assert.equal(typeof error.type, 'string', where);
    assert.ok('param' in error && (error.param === null || typeof error.param === 'string'), where);
    assert.ok('code' in error && (error.code === null || typeof error.code === 'string'), where);
    for (const [name, expected] of Object.entries({ type, code, param, message })) {
        if (expected instanceof RegExp) {
            assert.match(error[name] ?? '', expected, where);
        } else if (expected !== undefined) {
            assert.equal(error[name], expected, where);
        }
    }
    return error;
}

// Payloads of the events of a stream, [DONE] included.
export function payloads(text) {
    return text.split(/\r\n\r\n|\n\n|\r\r/).flatMap((event) => {
        const data = event.split(/\r\n|\n|\r/).filter((line) => line.startsWith('data:'));
        return data.length === 0
            ? []
            : [data.map((line) => line.slice(5).replace(/^ /, '')).join('\n')];
    });
}

// What a client makes of a stream, in the form of tests/streams/*.expected.json.
export function assemble(stream) {
    const choices = new Map();
    let usages = 0;
    const data = payloads(stream.replace(/^\ufeff/, ''));
    const chunks = data.filter((text) => text !== '[DONE]').map((text) => JSON.parse(text));
    for (const chunk of chunks) {
        usages += chunk.usage ? 1 : 0;
        for (const { index = 0, delta = {}, finish_reason: finish } of chunk.choices ?? []) {
            if (!choices.has(index)) {
                choices.set(index, {
                    index,
                    content: '',
                    reasoning_content: '',
                    tool_calls: [],
                    finish_reasons: [],
                });
            }
            const choice = choices.get(index);
            choice.content += delta.content ?? '';
            choice.reasoning_content += delta.reasoning_content ?? '';
            for (const part of delta.tool_calls ?? []) {
                addToolCall(choice.tool_calls, part);
            }
            if (finish) {
                choice.finish_reasons.push(finish);
            }
        }
    }
    const sorted = [...choices.values()].sort((a, b) => a.index - b.index);
    return { choices: sorted, usages, done: data.includes('[DONE]') };
}

// A call is told by its index, and by its id where one is given.
function addToolCall(calls, part) {
    const index = part.index ?? 0;
    let call = calls.filter((known) => known.index === index).pop();
    if (!call || (part.id && call.id && part.id !== call.id)) {
        call = { index, id: '', name: '', arguments: '' };
        calls.push(call);
    }
    call.id ||= part.id ?? '';
    call.name ||= part.function?.name ?? '';
    call.arguments += part.function?.arguments ?? '';
}

// The text of the first choice.
export function textOf(stream) {
    return assemble(stream).choices.find(({ index }) => index === 0)?.content ?? '';
}

// Runs task(item) for all items, a few at a time. After a failure no more are started, and it is
// thrown when those that run have ended, so that none of them disturbs the next test.
export async function inParallel(items, width, task) {
    const queue = [...items];
    const work = async () => {
        try {
            for (let item = queue.shift(); item !== undefined; item = queue.shift()) {
                await task(item);
            }
        } catch (error) {
            queue.length = 0;
            throw error;
        }
    };
    const results = await Promise.allSettled(Array.from({ length: width }, work));
    const failed = results.find(({ status }) => status === 'rejected');
    if (failed) {
        throw failed.reason;
    }
}

export { Mock, RawClient, requestBytes, until };
