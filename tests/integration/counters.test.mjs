// What a request counts for in the end: answered, cancelled, refused or never sent; and that the
// counters outlive the process. An account policy writes the counters of account "a" to the log.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { broken, chunkOf, refusals, stalls } from '../upstream/scenarios.mjs';
import { Clock, DAY, MINUTE, Upstream, midnight, startPool, withPool } from './accounts.mjs';
import { closedPort, slow, tempDir, until } from './helper.mjs';

const LOOK = 77; // max_tokens of a request that only looks
const policy = `
    local function select(accounts, req)
        if req.max_tokens == ${LOOK} then
            for _, a in ipairs(accounts) do
                if a.alias == "a" then
                    gate.log("info", table.concat({ "used", a.requests_minute, a.requests_day,
                        a.tokens_minute, a.tokens_day, a.in_flight }, " "))
                end
            end
            return "looker"
        end
        return "a"
    end
    local function on_error()
        return { action = "fail", cooldown_ms = 0 }
    end
    return { select = select, on_error = on_error }`;

// What account "a" has used.
async function used(pool) {
    const lines = () => [...pool.gateway.log.matchAll(/used (\d+) (\d+) (\d+) (\d+) (\d+)/g)];
    const before = lines().length;
    await pool.call({ max_tokens: LOOK });
    await until(() => lines().length > before, { what: () => pool.gateway.tail });
    const [, ...numbers] = lines().pop();
    const [minute, day, tokensMinute, tokensDay, running] = numbers.map(Number);
    return { minute, day, tokensMinute, tokensDay, running };
}

const using = (options, body) =>
    withPool({ accounts: ['a', 'looker'], policy, ...options }, body);
const spent = (requests, day, tokens, running = 0) => ({
    minute: requests,
    day,
    tokensMinute: tokens,
    tokensDay: tokens,
    running,
});

test('answered: a request, and the tokens that the answer names', () =>
    using({}, async (pool) => {
        assert.equal(await pool.ask(), 'a');
        assert.deepEqual(await used(pool), spent(1, 1, 12));
        assert.equal(await pool.ask({ stream: true }), 'a');
        assert.deepEqual(await used(pool), spent(2, 2, 24));
        pool.clock.at(2 * MINUTE);
        assert.deepEqual(await used(pool), {
            minute: 0,
            day: 2,
            tokensMinute: 0,
            tokensDay: 24,
            running: 0,
        });
    }));

test('while it runs: a request, and what was reserved', () =>
    using({}, async (pool) => {
        const held = pool.upstream.hold('a');
        const running = pool.ask({ max_tokens: 300 });
        const { body } = await held.arrived;
        const reserved = 300 + Math.floor(body.length / 4);
        const seen = await used(pool);
        assert.ok(Math.abs(seen.tokensDay - reserved) <= 1, `${seen.tokensDay} ${reserved}`);
        assert.deepEqual(seen, spent(1, 1, seen.tokensDay, 1));
        held.release();
        await running;
        assert.deepEqual(await used(pool), spent(1, 1, 12));
    }));

test('cancelled by the client: counts as sent, with the prompt and what had come', () =>
    using({}, async (pool) => {
        const client = new AbortController();
        pool.upstream.next('a', stalls['stall-silent']);
        const answer = pool.call({}, { signal: client.signal });
        await until(() => pool.upstream.requests.length > 0);
        client.abort();
        await assert.rejects(answer);
        await pool.gateway.waitLog('client_gone');
        const { tokensDay } = await used(pool);
        assert.deepEqual(await used(pool), spent(1, 1, tokensDay));
        assert.equal(tokensDay, Math.floor(pool.upstream.requests[0].body.length / 4));
    }));

test('cancelled in a stream: the text that had come counts too', () =>
    using({}, async (pool) => {
        const text = 'x'.repeat(4000);
        pool.upstream.next('a', async (request, reply) => {
            await reply.head();
            await reply.event(chunkOf({ content: text }));
        });
        const client = await pool.gateway.rawChat('m', { stream: true });
        await client.wait(() => client.text.includes(text));
        client.close();
        await pool.gateway.waitLog('client_gone');
        const { tokensDay, ...rest } = await used(pool);
        assert.deepEqual({ ...rest, tokensDay }, spent(1, 1, tokensDay));
        assert.ok(tokensDay > 1000 && tokensDay < 1100, `${tokensDay}`);
    }));

test('refused: the request of the minute only', () =>
    using({}, async (pool) => {
        let count = 0;
        for (const name of ['invalid-token', 'rate-limit-empty', 'bad-request', 'server-error']) {
            pool.upstream.next('a', refusals[name]);
            await pool.call();
            assert.deepEqual(await used(pool), spent(++count, 0, 0), name);
        }
    }));

test('cut short: the service has worked', () =>
    using({}, async (pool) => {
        pool.upstream.next('a', broken['reset-in-body']);
        await pool.call({ stream: true });
        const { day, running, tokensDay } = await used(pool);
        assert.deepEqual({ day, running }, { day: 1, running: 0 });
        assert.ok(tokensDay > 0 && tokensDay < 100, `${tokensDay}`);
    }));

test('too late: the service may have worked', () =>
    using({ config: { clocks: { first_token_ms: 60 * slow } } }, async (pool) => {
        pool.upstream.next('a', stalls['stall-silent']);
        await pool.call();
        const { minute, day, running } = await used(pool);
        assert.deepEqual({ minute, day, running }, { minute: 1, day: 1, running: 0 });
    }));

test('never sent: nothing', async () => {
    const port = await closedPort();
    await using(
        { instance: { options: { base_url: `http://127.0.0.1:${port}/v1` } } },
        async (pool) => {
            await pool.call();
            assert.deepEqual(await used(pool), spent(0, 0, 0));
        },
    );
});

test('failing over: each account counts what it was asked', () =>
    withPool(
        {
            accounts: ['a', 'b', 'looker'],
            policy: policy
                .replace('return "a"', 'return #accounts > 2 and "a" or "b"')
                .replace('action = "fail"', 'action = "next_account"'),
        },
        async (pool) => {
            pool.upstream.next('a', refusals['server-error']);
            assert.equal(await pool.ask(), 'b');
            assert.deepEqual(await used(pool), spent(1, 0, 0));
        },
    ));

// ---- over a restart

async function restarted(options, first, second) {
    const upstream = await Upstream.start();
    const shared = { upstream, dataDir: tempDir('data'), clock: new Clock(), ...options };
    try {
        await using(shared, first);
        await using(shared, second);
    } finally {
        await upstream.stop();
    }
}

test('counters outlive a restart, and a day that ended meanwhile is over', async () => {
    const end = midnight() + DAY;
    const clock = new Clock(end - 10 * MINUTE);
    await restarted(
        { clock },
        async (pool) => {
            clock.at(0);
            await pool.sequence(7);
            assert.deepEqual(await used(pool), spent(7, 7, 84));
        },
        async (pool) => {
            clock.at(30 * 1000);
            assert.deepEqual(await used(pool), spent(7, 7, 84));
            clock.at(5 * MINUTE);
            assert.deepEqual(await used(pool), { ...spent(0, 7, 84), tokensMinute: 0 });
            clock.at(11 * MINUTE);
            assert.deepEqual(await used(pool), spent(0, 0, 0));
        },
    );
});

test('a limit holds over a restart', () =>
    restarted(
        { accounts: [{ alias: 'a', limits: { chat: { rpd: 5 } } }, 'looker'] },
        async (pool) => {
            assert.equal((await pool.sequence(3)).join(''), 'aaa');
        },
        async (pool) => {
            assert.deepEqual(await pool.sequence(3), ['a', 'a', '429 accounts_limited']);
        },
    ));

test('killed: with counter_flush_ms = 0 no request that was sent is forgotten', async () => {
    const upstream = await Upstream.start();
    const shared = {
        upstream,
        dataDir: tempDir('data'),
        clock: new Clock(),
        config: { counter_flush_ms: 0 },
    };
    try {
        for (let round = 0; round < 3; round++) {
            const pool = await startPool({ accounts: ['a', 'looker'], policy, ...shared });
            const asked = upstream.count('a');
            const { day } = await used(pool);
            assert.ok(day >= asked && day <= asked + 20 * round, `${day} counted, ${asked} sent`);
            const running = Array.from({ length: 20 }, () => pool.call().catch(() => {}));
            await until(() => upstream.count('a') > asked + 5);
            pool.gateway.signal('SIGKILL');
            await pool.gateway.exited;
            await Promise.all(running);
        }
        await using(shared, async (pool) => {
            const { day } = await used(pool);
            const sent = upstream.count('a');
            assert.ok(day >= sent && day <= sent + 60, `${day} counted, ${sent} sent`);
        });
    } finally {
        await upstream.stop();
    }
});
