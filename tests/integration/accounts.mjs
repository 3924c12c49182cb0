// Several accounts behind one gateway, for tests of choosing, failing over and limits: an upstream
// that answers each account in its own way, a wall clock that the test sets, and a gateway that has
// both.
import { openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { completion } from '../upstream/oauth_answers.mjs';
import { Mock, startGateway, stopAll, tempDir, textOf } from './helper.mjs';

export const MINUTE = 60 * 1000;
export const DAY = 24 * 60 * MINUTE;

// The gateway's wall clock. Real time runs on in it; at() sets it back to where the test says that
// it is, so a test that calls at() before each step does not depend on how long steps take.
export class Clock {
    constructor(base = Date.now()) {
        this.base = base;
        this.shift = 0;
        this.path = join(tempDir('clock'), 'ahead');
        writeFileSync(this.path, Buffer.alloc(8));
        this.file = openSync(this.path, 'r+');
        this.at(0);
    }

    get now() {
        return Date.now() + this.shift;
    }

    // ms since the base.
    at(ms) {
        this.shift = Math.round(this.base + ms - Date.now());
        const bytes = Buffer.alloc(8);
        bytes.writeBigInt64LE(BigInt(this.shift));
        writeSync(this.file, bytes, 0, 8, 0);
        return ms;
    }
}

// The next midnight at UTC+8, where the days of quotas end by default.
export function midnight(after = Date.now()) {
    const east = 8 * 60 * MINUTE;
    return (Math.floor((after + east) / DAY) + 1) * DAY - east;
}

export const keyOf = (name) => `sk-account-${name}-0a1b2c3d4e`;
const nameOf = (request) =>
    /^Bearer sk-account-([\w.-]+)-0a1b2c3d4e$/.exec(request.header('authorization') ?? '')?.[1];

// A mock that answers by the account whose key it sees: with what next() and always() said, else
// with a completion that names the account.
export class Upstream {
    static async start(options) {
        const upstream = new Upstream();
        upstream.mock = await Mock.start(options);
        upstream.mock.otherwise((request, reply) => upstream.answer(request, reply));
        return upstream;
    }

    constructor() {
        this.asked = []; // names, in the order of arrival
        this.requests = []; // what they asked
        this.coming = new Map(); // by name: scenarios, once each
        this.standing = new Map(); // by name: a scenario
    }

    get base() {
        return this.mock.base;
    }

    stop() {
        return this.mock.stop();
    }

    next(name, ...scenarios) {
        this.coming.set(name, [...(this.coming.get(name) ?? []), ...scenarios]);
    }

    // null: completions again.
    always(name, scenario) {
        this.standing.set(name, scenario);
    }

    // The next request of an account waits: resolve with release(scenario), see that it is there
    // with `arrived`.
    hold(name) {
        const held = {};
        const released = new Promise((resolve) => {
            held.release = resolve;
        });
        held.arrived = new Promise((resolve) => {
            this.next(name, async (request) => {
                held.request = request;
                resolve(request);
                return (await released) ?? completion(`Hello from ${name}.`, request.json);
            });
        });
        return held;
    }

    count(name) {
        return this.asked.filter((asked) => asked === name).length;
    }

    // Forgets who asked.
    forget() {
        this.asked.length = this.requests.length = 0;
    }

    answer(request, reply) {
        const name = nameOf(request);
        this.asked.push(name);
        this.requests.push(request);
        const scenario = this.coming.get(name)?.shift() ?? this.standing.get(name);
        if (typeof scenario === 'function') {
            return scenario(request, reply);
        }
        return scenario ?? completion(`Hello from ${name}.`, request.json);
    }
}

// A value as Lua text.
export function lua(value) {
    if (Array.isArray(value)) {
        return `{ ${value.map(lua).join(', ')} }`;
    }
    if (value !== null && typeof value === 'object') {
        return `{ ${Object.entries(value)
            .map(([key, v]) => `[${JSON.stringify(key)}] = ${lua(v)}`)
            .join(', ')} }`;
    }
    return JSON.stringify(value);
}

// An accounts.lua that asks accounts in the order of their ids.
export const inOrder = (more = '') => `
    local function select(accounts)
        local list = {}
        for i, a in ipairs(accounts) do
            list[i] = a
        end
        return list
    end
    return { select = select, ${more} }`;

// Who answered, or the status and code of an error.
export function who(answer) {
    if (answer.status !== 200) {
        return `${answer.status} ${answer.json.error.code}`;
    }
    const text = answer.headers['content-type'].startsWith('text/event-stream')
        ? textOf(answer.text)
        : answer.json.choices[0].message.content;
    return /^Hello from (\S+)\.$/.exec(text)?.[1] ?? text;
}

class Pool {
    // One request: who answered.
    async ask(more, options) {
        return who(await this.call(more, options));
    }

    call(more = {}, options = {}) {
        return this.gateway.chat('m', more, options);
    }

    // So many requests, one after the other.
    async sequence(count, more) {
        const names = [];
        for (let i = 0; i < count; i++) {
            names.push(await this.ask(more));
        }
        return names;
    }
}

// An instance of the openai plugin for gateway.lua.
export function instance(name, base, accounts, { options, ...more } = {}) {
    return {
        name,
        plugin: 'openai',
        accounts: accounts.map((account) => {
            const { alias, ...rest } = typeof account === 'string' ? { alias: account } : account;
            return { alias, key_env: `KEY_OF_${alias.toUpperCase()}`, ...rest };
        }),
        options: { base_url: base, ...options },
        ...more,
    };
}

// Options: accounts (names or entries of gateway.lua), policy (text of accounts.lua), route (text
// of routing.lua), instance (more of the instance), config (more of gateway.lua), others (more
// instances), clock, upstream, env, dataDir.
export async function startPool(options = {}) {
    const pool = new Pool();
    const accounts = options.accounts ?? ['a', 'b'];
    const others = options.others ?? [];
    pool.clock = options.clock ?? new Clock();
    pool.upstream = options.upstream ?? (await Upstream.start());
    pool.stopUpstream = !options.upstream;
    const main = instance('pool', pool.upstream.base, accounts, options.instance);
    if (main.plugin === 'openai') {
        main.options.catch_all ??= true;
    }
    const all = [main, ...others];
    const env = { LLM_GATE_CLOCK_FILE: pool.clock.path };
    for (const { alias } of all.flatMap((one) => one.accounts)) {
        env[`KEY_OF_${alias.toUpperCase()}`] = keyOf(alias);
    }
    const conf = {
        'gateway.lua': `return ${lua({ providers: all, ...options.config })}`,
        'accounts.lua': options.policy ?? 'return {}',
        ...(options.route && { 'routing.lua': options.route }),
    };
    try {
        pool.gateway = await startGateway({
            conf,
            dataDir: options.dataDir,
            env: { ...env, ...options.env },
        });
    } catch (error) {
        await stopAll(pool.stopUpstream && pool.upstream);
        throw error;
    }
    pool.stop = () => stopAll(pool.gateway, pool.stopUpstream && pool.upstream);
    return pool;
}

// Runs body(pool) with a pool of its own.
export async function withPool(options, body) {
    const pool = await startPool(options);
    try {
        await body(pool);
    } finally {
        await pool.stop();
    }
}
