// The ways from the load generator to the upstream: direct, through nginx, through the gateway.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
    LOAD, Missing, PROXY, ask, childrenOf, dir, firstLine, freePort, here, openFilesLimit,
    requireCommand, root, start, until,
} from './processes.mjs';

export const KEY = 'bench-0123456789abcdef0123456789abcdef';
const CERT = join(dir, 'cert.pem');
const gatewayBinary = join(root, 'build', 'llm-gate');
let made = 0;

function tail(log) {
    return log ? readFileSync(log, 'utf8').slice(-2000) : '';
}

// What nginx warned about: a body in a temporary file would mean that it was not at its best.
export function nginxWarnings(leg) {
    return tail(leg.errorLog).trim();
}

function compile(name, sources, libraries) {
    const argv = ['-O2', '-std=c11', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-o',
        join(dir, name), ...sources.map((s) => join(here, s)), ...libraries];
    try {
        execFileSync('cc', argv, { stdio: ['ignore', 'inherit', 'inherit'] });
    } catch (e) {
        throw new Missing(`cannot compile ${name}: ${e.message}`);
    }
}

export function prepare(withGateway) {
    if (LOAD === undefined) {
        throw new Missing('two CPU cores are needed: one for the proxy, one for load and upstream');
    }
    requireCommand('nginx', 'nginx-light');
    requireCommand('cc', 'gcc libc6-dev libssl-dev');
    requireCommand('taskset', 'util-linux');
    requireCommand('setpriv', 'util-linux');
    if (withGateway && !existsSync(gatewayBinary)) {
        throw new Missing('build/llm-gate is missing; run ./dev build');
    }
    // Nothing but the proxy runs on the proxy's core.
    execFileSync('taskset', ['-a', '-c', '-p', String(LOAD), String(process.pid)],
        { stdio: 'ignore' });
    compile('load', ['load.c', 'answer.c'], []);
    compile('upstream', ['upstream.c', 'cert.c'], ['-lssl', '-lcrypto']);
}

export async function startUpstream() {
    const child = start(LOAD, [join(dir, 'upstream'), '-c', CERT]);
    const { port, tls_port: tlsPort } = await firstLine(child, 'upstream');
    return { name: 'direct', child, port, tlsPort, pids: [] };
}

export async function startNginx(upstream) {
    const prefix = join(dir, `nginx-${made++}`);
    const port = await freePort();
    const tlsPort = await freePort();
    mkdirSync(prefix);
    const words = {
        // The workers of a master that is root may not be root; others stay who they are.
        USER: process.getuid() === 0 ? 'user nobody nogroup;' : '', DIR: prefix, CERT,
        FILES: openFilesLimit(), CONNECTIONS: openFilesLimit() - 64, PORT: upstream.port,
        TLS_PORT: upstream.tlsPort, LISTEN: port, LISTEN_TLS: tlsPort,
    };
    const conf = readFileSync(join(here, 'nginx.conf.in'), 'utf8')
        .replace(/@([A-Z_]+)@/g, (_, word) => String(words[word] ?? `@${word}@`));
    writeFileSync(join(prefix, 'nginx.conf'), conf);
    const child = start(PROXY, ['nginx', '-e', join(prefix, 'error.log'), '-p', prefix, '-c',
        join(prefix, 'nginx.conf')]);
    await until(child, 'nginx', async () =>
        (await ask(port, { method: 'GET', key: KEY }))?.status === 200);
    return { name: 'nginx', child, port, tlsPort, pids: childrenOf(child.pid),
        log: join(prefix, 'access.log'), errorLog: join(prefix, 'error.log') };
}

// A gateway with fresh data and the bench's policy, started at leg.since; it need not answer yet,
// see gatewayAnswers(). With secure it speaks TLS to the upstream.
export async function spawnGateway(upstream, { secure = false } = {}) {
    const data = join(dir, `gateway-${made++}`);
    const port = await freePort();
    const log = join(data, 'requests.log');
    mkdirSync(data);
    const env = {
        PATH: process.env.PATH, API_KEY: KEY, LLM_GATE_LISTEN: `127.0.0.1:${port}`,
        LLM_GATE_WORKERS: '1', LLM_GATE_DATA_DIR: join(data, 'data'),
        LLM_GATE_CONF_DIR: join(here, 'conf'), BENCH_KEY: 'sk-bench-upstream',
        CHAT_RPM_LIMIT: '900000000', CHAT_DAILY_LIMIT: '900000000',
        OPENAI_BASE_URL: secure ? `https://localhost:${upstream.tlsPort}/v1`
            : `http://127.0.0.1:${upstream.port}/v1`,
        SSL_CERT_FILE: CERT,
    };
    const since = performance.now();
    const child = start(PROXY, [gatewayBinary], { env, log });
    return { name: 'gateway', child, port, log, since, pids: [child.pid] };
}

const echoBody = '{"model":"echo","messages":[{"role":"user","content":"good morning"}]}';

export function gatewayAnswers(leg) {
    return until(leg.child, 'gateway', async () =>
        (await ask(leg.port, { key: KEY, body: echoBody }))?.status === 200)
        .catch((e) => {
            throw new Error(`${e.message}\n${tail(leg.log)}`);
        });
}

// Starts a gateway and checks that what its figures include is really on: auth, Lua, request log.
export async function startGateway(upstream, options) {
    const leg = await spawnGateway(upstream, options);
    await gatewayAnswers(leg);
    const body = '{"model":"bench-json","messages":[{"role":"user","content":"good morning"}]}';
    const before = statSync(leg.log).size;
    const good = await ask(leg.port, { key: KEY, body });
    const stranger = await ask(leg.port, { key: 'bench-a-wrong-key-0123456789', body });
    const routed = await ask(leg.port, { key: KEY, body, headers: { 'x-team': 'demo' } });
    if (good?.status !== 200 || !good.body.includes('chatcmpl-bench')) {
        throw new Error(`gateway: the upstream's answer is not there: ${JSON.stringify(good)}`);
    }
    if (stranger?.status !== 401) {
        throw new Error(`gateway: a wrong key got ${JSON.stringify(stranger)}`);
    }
    if (routed?.status !== 200 || routed.body.includes('chatcmpl-bench')) {
        throw new Error(`gateway: routing.lua was not followed: ${JSON.stringify(routed)}`);
    }
    await until(leg.child, 'gateway: no request log', () => statSync(leg.log).size > before);
    return leg;
}

// Runs the load generator against a leg. options: body (file), secure, connections, warm, measured
// (ms), rate.
export async function load(leg, { body, secure, connections, warm, measured, rate }) {
    const argv = ['-p', secure && leg.tlsPort ? leg.tlsPort : leg.port, '-k', KEY, '-b', body, '-c',
        connections, '-w', warm, '-d', measured, ...(rate ? ['-r', rate] : []),
        ...leg.pids.flatMap((pid) => ['-P', pid])];
    const child = start(LOAD, [join(dir, 'load'), ...argv.map(String)]);
    const code = await child.ended;
    if (code !== 0) {
        const said = child.errors.trim().replace(/\s+/g, ' ').slice(0, 400) || `load: ${code}`;
        throw new Error(`${leg.name}: ${said}` +
            (leg.child.gone ? `\n${leg.name} has ended:\n${tail(leg.log)}` : ''));
    }
    if (leg.log) {
        truncateSync(leg.log); // half a million lines a measure
    }
    return JSON.parse(child.output);
}

// Opens streams and keeps them until release() is called.
export async function hold(leg, body, count) {
    const child = start(LOAD, [join(dir, 'load'), '-p', leg.port, '-k', KEY, '-b', body, '-c',
        count, '-H'].map(String));
    try {
        await firstLine(child, `${leg.name}: holding ${count} streams`, 30000);
    } catch (e) {
        child.kill('SIGKILL');
        throw e;
    }
    return {
        async release() {
            child.stdin.end();
            await child.ended;
        },
    };
}
