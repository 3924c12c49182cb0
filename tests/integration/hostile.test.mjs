// Hostile scripts on the request path: while they are called again and again, requests that take
// another path of the same script are answered as fast as before, and nothing breaks or grows.
//
// One gateway with one worker serves all scripts of tests/hostile: each becomes a function of one
// routing.lua, asked for by the model name evil-<n>.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import {
    API_KEY,
    assertError,
    chatPath,
    chatRequest,
    project,
    sanitized,
    startPair,
    stopAll,
    until,
} from './helper.mjs';

const calls = sanitized ? 3 : 25; // of each script
const pause = sanitized ? 0 : 4; // ms between two of them
const quietCalls = 60; // normal requests between two attacks
const upstreamDelay = 5; // ms; a model that answers far faster than any does
const connections = 8;
const factor = 2; // what the issue allows
const tries = 6;
const leastScripts = 80;

const directory = join(project, 'tests/hostile');

function readScripts() {
    const files = readdirSync(directory).filter((name) => name.endsWith('.lua'));
    return files.sort().map((file, i) => {
        const text = readFileSync(join(directory, file), 'utf8');
        const expected = /^-- .*; expect: (.*)\n/.exec(text)?.[1];
        assert.ok(expected, `${file}: the first line must say what to expect`);
        return { name: file.replace(/\.lua$/, ''), model: `evil-${i + 1}`, text, expected };
    });
}

function routing(scripts) {
    const parts = scripts.map(({ model, text }) => {
        const own = text.replaceAll('"evil"', JSON.stringify(model));
        return `attacks["${model}"] = (function()\n${own}\nend)()\n`;
    });
    return `local attacks = {}\n${parts.join('')}
return function(req)
    local attack = attacks[req.model]
    if attack then
        return attack(req)
    end
    return "normal"
end
`;
}

function quantile(times, q) {
    const sorted = [...times].sort((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))];
}

const p99 = (times) => quantile(times, 0.99);
const ms = (value) => value.toFixed(2);

// Normal requests without a break on some connections that are kept.
class Load {
    constructor(gateway) {
        this.gateway = gateway;
        this.agent = new http.Agent({ keepAlive: true, maxSockets: connections });
        this.body = Buffer.from(JSON.stringify(chatRequest('normal')));
        this.times = [];
        this.count = 0;
        this.failure = null;
        this.running = true;
        this.done = Promise.all(Array.from({ length: connections }, () => this.run()));
    }

    async run() {
        while (this.running && !this.failure) {
            const begin = performance.now();
            try {
                await this.ask();
            } catch (error) {
                this.failure ??= error;
            }
            this.times.push(performance.now() - begin);
            this.count++;
        }
    }

    ask() {
        return new Promise((done, fail) => {
            const request = http.request(
                {
                    agent: this.agent,
                    host: '127.0.0.1',
                    port: this.gateway.port,
                    method: 'POST',
                    path: chatPath,
                    headers: {
                        authorization: `Bearer ${API_KEY}`,
                        'content-type': 'application/json',
                        'content-length': this.body.length,
                    },
                },
                (response) => {
                    response.resume();
                    response.on('error', fail);
                    response.on('end', () =>
                        response.statusCode === 200
                            ? done()
                            : fail(new Error(`a normal request got ${response.statusCode}`)),
                    );
                },
            );
            request.on('error', fail);
            request.end(this.body);
        });
    }

    // The times of the requests that end while task() runs.
    async during(task) {
        this.times = [];
        await task();
        if (this.failure) {
            throw this.failure;
        }
        return this.times;
    }

    quiet() {
        return this.during(() => {
            const enough = this.count + quietCalls;
            return until(() => this.failure || this.count >= enough);
        });
    }

    async stop() {
        this.running = false;
        await this.done;
        this.agent.destroy();
        if (this.failure) {
            throw this.failure;
        }
    }
}

const scripts = readScripts();
let mock, gateway;
before(async () => {
    ({ mock, gateway } = await startPair({ conf: { 'routing.lua': routing(scripts) } }));
    mock.otherwise({ body: '{"choices":[]}', delay: upstreamDelay });
});
after(() => stopAll(gateway, mock));

function checkAnswer(script, answer) {
    const mayAnswer = script.expected.includes('answer');
    if (mayAnswer && answer.status === 200) {
        return;
    }
    assert.ok(script.expected !== 'answer', `${script.name}: ${answer.status} ${answer.text}`);
    assertError(answer, 500, { type: 'server_error', code: 'script_error' }, script.name);
}

async function attack(script, load) {
    return load.during(async () => {
        for (let i = 0; i < calls; i++) {
            checkAnswer(script, await gateway.chat(script.model));
            if (pause > 0) {
                await new Promise((done) => {
                    setTimeout(done, pause);
                });
            }
        }
    });
}

test(`${scripts.length} hostile scripts do not slow down other requests`, async () => {
    assert.ok(scripts.length >= leastScripts);
    const load = new Load(gateway);
    const quiet = [];
    const hostile = [];
    let before = await load.quiet();
    const measure = async (script) => {
        const times = await attack(script, load);
        const behind = await load.quiet();
        quiet.push(...behind);
        hostile.push(...times);
        // A short quiet time has no p99 worth the name: the baseline is that of the whole run, or
        // of the times next to the attack if the machine was slower then.
        const baseline = Math.max(p99([...before, ...behind]), p99(quiet));
        before = behind;
        script.ratio = Math.min(script.ratio ?? Infinity, p99(times) / baseline);
    };
    let rest = scripts;
    let repeated = 0;
    for (let i = 0; i < tries && rest.length > 0; i++) {
        repeated += i > 0 ? rest.length : 0;
        for (const script of rest) {
            await measure(script);
        }
        rest = sanitized ? [] : rest.filter((script) => script.ratio > factor);
    }
    await load.stop();
    const worst = scripts.reduce((a, b) => (b.ratio > a.ratio ? b : a));
    const ratio = p99(hostile) / p99(quiet);
    console.log(
        `hostile: ${scripts.length} scripts, ${calls} calls each, ${repeated} repeated; ` +
            `normal requests: quiet ${quiet.length}, p50 ${ms(quantile(quiet, 0.5))}, ` +
            `p99 ${ms(p99(quiet))} ms; during attacks ${hostile.length}, ` +
            `p50 ${ms(quantile(hostile, 0.5))}, p99 ${ms(p99(hostile))} ms; ` +
            `${ratio.toFixed(2)}x; worst ${worst.name} ${worst.ratio.toFixed(2)}x`,
    );
    if (!sanitized) {
        assert.ok(ratio <= factor, `p99 ${ratio.toFixed(2)}x`);
        assert.deepEqual(
            rest.map(({ name, ratio: own }) => `${name} ${own.toFixed(2)}x`),
            [],
        );
    }
});

test('memory stays flat while hostile scripts go on', async () => {
    const round = async () => {
        for (const script of scripts) {
            checkAnswer(script, await gateway.chat(script.model));
        }
        mock.requests.length = 0;
        return gateway.memory();
    };
    const warm = Math.max(await round(), await round());
    let last = 0;
    for (let i = 0; i < 3; i++) {
        last = await round();
    }
    console.log(`hostile: resident ${warm} KiB, after 3 more rounds ${last} KiB`);
    // A sanitizer keeps freed memory aside for long; it finds leaks by itself at the end.
    assert.ok(sanitized || last <= warm * 1.1 + 4096, `${warm} KiB became ${last} KiB`);
    assert.equal((await gateway.chat('normal')).status, 200);
    assert.equal(gateway.exit, null);
});
