// Limits of accounts: what they hold back, for how long, and what the client is told. Time is
// virtual.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusals } from '../upstream/scenarios.mjs';
import { LoginService } from '../upstream/oauth.mjs';
import { Clock, DAY, MINUTE, inOrder, midnight, who, withPool } from './accounts.mjs';
import { assertError, slow, startGateway, stopAll } from './helper.mjs';

const chat = (limits) => ({ limits: { chat: limits } });
const limited = (alias, limits) => ({ alias, ...chat(limits) });

function assertLimited(answer, limit, what = '') {
    const error = assertError(
        answer,
        429,
        { type: 'rate_limit_error', code: 'accounts_limited' },
        what,
    );
    assert.match(error.message, new RegExp(`limit ${limit} reached, again in \\d+ s`), what);
    const wait = Number(answer.headers['retry-after']);
    assert.ok(Number.isInteger(wait) && wait > 0, what);
    return wait;
}

test('rpm: in no 60 seconds more, and nobody waits who need not', () =>
    withPool({ accounts: [limited('a', { rpm: 5 })] }, async (pool) => {
        const { clock, upstream } = pool;
        const arrived = [];
        upstream.mock.otherwise((request, reply) => {
            arrived.push(clock.now);
            return upstream.answer(request, reply);
        });
        // A small generator, so that a failing run can be repeated.
        let seed = 20240607;
        const random = (below) => (seed = (seed * 48271) % 0x7fffffff) % below;
        let now = 0;
        let refused = 0;
        for (let i = 0; i < 400; i++) {
            now = clock.at(now + (random(10) === 0 ? random(40000) : random(4000)));
            const answer = await pool.call();
            if (answer.status === 200) {
                continue;
            }
            refused++;
            const wait = assertLimited(answer, 'rpm');
            const recent = arrived.filter((at) => at > clock.now - 61500).length;
            assert.ok(recent >= 5, `refused at ${now} after ${recent} in the last 61 s`);
            assert.ok(wait <= 61, `${wait} s`);
            if (refused % 5 === 0) {
                now = clock.at(now + wait * 1000);
                assert.equal((await pool.call()).status, 200, `after the ${wait} s it was told`);
            }
        }
        assert.ok(refused > 50 && arrived.length > 50, `${refused} ${arrived.length}`);
        for (let i = 5; i < arrived.length; i++) {
            const span = arrived[i] - arrived[i - 5];
            assert.ok(span >= MINUTE - 20 * slow, `six within ${span} ms`);
        }
    }));

test('rpm: a burst over several accounts and workers never goes beyond the sum', () =>
    withPool(
        {
            accounts: ['a', 'b', 'c'].map((name) => limited(name, { rpm: 10 })),
            env: { LLM_GATE_WORKERS: 2 },
        },
        async (pool) => {
            const answers = await Promise.all(Array.from({ length: 100 }, () => pool.call()));
            assert.equal(answers.filter(({ status }) => status === 200).length, 30);
            for (const name of 'abc') {
                assert.equal(pool.upstream.count(name), 10);
            }
            for (const answer of answers.filter(({ status }) => status !== 200)) {
                assert.ok(assertLimited(answer, 'rpm') <= 61);
            }
        },
    ));

test('a full account is passed by, and costs the request nothing', () =>
    withPool({ accounts: [limited('a', { rpm: 2 }), 'b'], policy: inOrder() }, async (pool) => {
        assert.equal((await pool.sequence(5)).join(''), 'aabbb');
        pool.clock.at(62 * 1000);
        assert.equal((await pool.sequence(3)).join(''), 'aab');
    }));

test('rpd: until midnight at UTC+8, or in the zone that is set', async () => {
    for (const [config, end] of [
        [undefined, midnight()],
        [{ quota: { options: { zone: '-03:30' } } }, midnight() + 11.5 * 60 * MINUTE],
    ]) {
        const clock = new Clock(end - 10 * MINUTE);
        await withPool(
            { accounts: [limited('a', { rpd: 3 })], config, clock },
            async (pool) => {
                clock.at(0);
                assert.equal((await pool.sequence(3)).join(''), 'aaa');
                clock.at(9 * MINUTE);
                const wait = assertLimited(await pool.call(), 'rpd');
                assert.ok(wait >= 59 && wait <= 60, `${wait}`);
                clock.at(10 * MINUTE - 1000);
                assertLimited(await pool.call(), 'rpd');
                clock.at(10 * MINUTE + 1000);
                assert.equal((await pool.sequence(3)).join(''), 'aaa');
                assert.ok(assertLimited(await pool.call(), 'rpd') > 86300);
                clock.at(10 * MINUTE + DAY + 1000);
                assert.equal(await pool.ask(), 'a');
            },
        );
    }
});

test('tpm: reserved while a request runs, settled with what it used', () =>
    withPool({ accounts: [limited('a', { tpm: 1000 })] }, async (pool) => {
        const { clock, upstream } = pool;
        clock.at(0);
        const held = [upstream.hold('a'), upstream.hold('a')];
        const running = held.map(() => pool.ask({ max_tokens: 450 }));
        await Promise.all(held.map((one) => one.arrived));
        assertLimited(await pool.call({ max_tokens: 450 }), 'tpm');
        assert.equal(await pool.ask({ max_tokens: 10 }), 'a', 'a small one fits');
        held.forEach((one) => one.release());
        assert.deepEqual(await Promise.all(running), ['a', 'a']);
        // 12 tokens each by now.
        assert.equal(await pool.ask({ max_tokens: 900 }), 'a');
        // An answer that was dearer than its reservation.
        upstream.next('a', {
            body: JSON.stringify({
                choices: [{ message: { content: 'x' } }],
                usage: { prompt_tokens: 500, completion_tokens: 700 },
            }),
        });
        assert.equal((await pool.call({ max_tokens: 5 })).status, 200);
        const wait = assertLimited(await pool.call({ max_tokens: 1 }), 'tpm');
        assert.ok(wait >= 59 && wait <= 61, `${wait}`);
        clock.at(62 * 1000);
        assert.equal(await pool.ask({ max_tokens: 5000 }), 'a', 'more than the limit, alone');
    }));

test('tpd: until the day ends', async () => {
    const clock = new Clock(midnight() - 10 * MINUTE);
    const options = { accounts: [limited('a', { tpd: 100 }), 'b'], clock, policy: inOrder() };
    await withPool(options, async (pool) => {
        clock.at(0);
        const more = { max_tokens: 20 };
        const names = await pool.sequence(10, more);
        // Each settles at 12: when 60 are gone a reservation of about 45 does not fit any more.
        assert.match(names.join(''), /^a{4,6}b+$/);
        clock.at(5 * MINUTE);
        assert.equal(await pool.ask(more), 'b');
        clock.at(11 * MINUTE);
        assert.equal(await pool.ask(more), 'a');
    });
});

test('concurrency: so many at a time, on each account', () =>
    withPool(
        {
            accounts: [limited('a', { concurrency: 2 }), limited('b', { concurrency: 1 })],
            policy: inOrder(),
        },
        async (pool) => {
            const { upstream } = pool;
            const held = ['a', 'a', 'b'].map((name) => upstream.hold(name));
            const running = held.map(() => pool.ask());
            await Promise.all(held.map((one) => one.arrived));
            const answer = await pool.call();
            assert.equal(assertLimited(answer, 'concurrency'), 1);
            assert.equal(upstream.asked.length, 3);
            held[0].release();
            assert.equal(await Promise.race(running), 'a');
            assert.equal(await pool.ask(), 'a');
            // A client that leaves makes room too.
            const extra = upstream.hold('a');
            const client = new AbortController();
            const cancelled = pool.call({}, { signal: client.signal });
            await extra.arrived;
            assertLimited(await pool.call(), 'concurrency');
            client.abort();
            await assert.rejects(cancelled);
            await pool.gateway.waitLog('client_gone');
            assert.equal(await pool.ask(), 'a');
            held.forEach((one) => one.release());
            extra.release();
            await Promise.all(running);
        },
    ));

test('all full for different reasons: the earliest moment, and each reason', () =>
    withPool(
        {
            accounts: [
                limited('a', { rpm: 1 }),
                limited('b', { rpd: 1 }),
                limited('c', { concurrency: 1 }),
            ],
            policy: inOrder(),
        },
        async (pool) => {
            const held = pool.upstream.hold('c');
            const running = [pool.ask(), pool.ask(), pool.ask()];
            await held.arrived;
            const answer = await pool.call();
            const error = assertError(answer, 429, { code: 'accounts_limited' });
            assert.match(error.message, /a: limit rpm reached, again in (59|60|61) s/);
            assert.match(error.message, /b: limit rpd reached, again in \d+ s/);
            assert.match(error.message, /c: limit concurrency reached, again in 1 s/);
            assert.equal(answer.headers['retry-after'], '1');
            held.release();
            assert.equal((await Promise.all(running)).sort().join(''), 'abc');
        },
    ));

test('limits of the environment hold for keys too; without it keys have none', async () => {
    await withPool({ accounts: ['a'], env: { CHAT_DAILY_LIMIT: 3 } }, async (pool) => {
        assert.equal((await pool.sequence(3)).join(''), 'aaa');
        assertLimited(await pool.call(), 'rpd');
    });
    await withPool(
        {
            accounts: ['a', limited('b', { rpm: 4 })],
            env: { CHAT_RPM_LIMIT: 2 },
            policy: inOrder(),
        },
        async (pool) => {
            assert.equal((await pool.sequence(6)).join(''), 'aabbbb', 'its own limit wins');
            assertLimited(await pool.call(), 'rpm');
        },
    );
    await withPool({ accounts: ['a'] }, async (pool) => {
        const answers = await Promise.all(Array.from({ length: 100 }, () => pool.ask()));
        assert.ok(answers.every((name) => name === 'a'));
    });
});

test('limits of accounts.lua: for all, for one, and none', () =>
    withPool(
        {
            accounts: ['a', 'b', 'c'],
            env: { CHAT_RPM_LIMIT: 1 },
            policy: inOrder(`
                limits = { chat = { rpm = 3 } },
                accounts = {
                    b = { limits = { chat = { rpm = 2 } } },
                    ["pool/c"] = { limits = { chat = { rpm = 0 } } },
                }`),
        },
        async (pool) => {
            assert.equal((await pool.sequence(12)).join(''), 'aaabbccccccc');
        },
    ));

test('accounts that signed in have 60 requests a minute and 2,000 a day', async () => {
    const login = await LoginService.start();
    let gateway;
    try {
        const policy = `return { select = function(accounts)
            local l = accounts[1].limits
            gate.log("info", table.concat({ "limits", l.rpm, l.rpd, l.tpm, l.concurrency }, " "))
        end }`;
        gateway = await startGateway({
            env: {
                QWEN_CREDS_JSON: JSON.stringify(login.issue('alice')),
                LLM_GATE_ALLOW_PRIVATE: 1,
            },
            conf: { 'accounts.lua': policy },
        });
        const answers = await Promise.all(
            Array.from({ length: 70 }, () => gateway.chat('coder-model')),
        );
        assert.equal(answers.filter(({ status }) => status === 200).length, 60);
        assert.equal(login.counts.chat, 60);
        for (const answer of answers.filter(({ status }) => status !== 200)) {
            assertLimited(answer, 'rpm');
        }
        await gateway.waitLog('limits 60 2000 0 0');
    } finally {
        await stopAll(gateway, login);
    }
});

test('what the service says of its limits is kept to', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        const { clock, upstream } = pool;
        clock.at(0);
        const ok = '{"choices":[{"message":{"content":"last one"}}]}';
        upstream.next('a', {
            headers: { 'X-RateLimit-Remaining-Requests': '0', 'X-RateLimit-Reset-Requests': '40s' },
            body: ok,
        });
        assert.equal(await pool.ask(), 'last one');
        assert.equal(await pool.ask(), 'b');
        upstream.next('b', {
            headers: { 'X-RateLimit-Remaining-Tokens': '0', 'X-RateLimit-Reset-Tokens': '1m10s' },
            body: ok,
        });
        assert.equal(await pool.ask(), 'last one');
        const wait = assertLimited(await pool.call(), 'upstream');
        assert.ok(wait >= 39 && wait <= 40, `${wait}`);
        clock.at(42 * 1000);
        assert.equal(await pool.ask(), 'a');
        clock.at(72 * 1000);
        assert.equal((await pool.sequence(2)).join(''), 'aa');
        upstream.next('a', refusals['bad-request']);
        assert.equal((await pool.call()).status, 400);
        assert.equal(who(await pool.call()), 'a');
    }));

test('a service that refuses and tells only by its counters when it has room again', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        const { clock, upstream } = pool;
        clock.at(0);
        upstream.next('a', {
            ...refusals['rate-limit-empty'],
            headers: {
                'X-RateLimit-Remaining-Requests': '0',
                'X-RateLimit-Reset-Requests': '6m0s',
            },
        });
        assert.equal(await pool.ask(), 'b');
        clock.at(5 * MINUTE);
        assert.equal(await pool.ask(), 'b');
        clock.at(6 * MINUTE + 5000);
        assert.equal(await pool.ask(), 'a');
    }));

test('searches and chats have limits of their own', async () => {
    const login = await LoginService.start();
    let gateway;
    try {
        gateway = await startGateway({
            env: {
                QWEN_CREDS_JSON: JSON.stringify(login.issue('alice')),
                LLM_GATE_ALLOW_PRIVATE: 1,
                SEARCH_RPM_LIMIT: 2,
                CHAT_RPM_LIMIT: 3,
            },
        });
        const search = () => gateway.call({ path: '/v1/tools/web_search', body: { query: 'x' } });
        assert.equal((await search()).status, 200);
        assert.equal((await search()).status, 200);
        assertLimited(await search(), 'rpm');
        for (let i = 0; i < 3; i++) {
            assert.equal((await gateway.chat('coder-model')).status, 200);
        }
        assertLimited(await gateway.chat('coder-model'), 'rpm');
    } finally {
        await stopAll(gateway, login);
    }
});
