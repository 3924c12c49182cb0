// What a failure does to the account that it came from: how long it pauses, whether it is asked as
// the last resort, and how it comes back. The virtual clock is set before every step.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { broken, garbage, inStream, pages, refusals, stalls } from '../upstream/scenarios.mjs';
import { Clock, DAY, Upstream, inOrder, instance, midnight, withPool } from './accounts.mjs';
import { Mock, assertError, closedPort, slow, stopAll, tempDir } from './helper.mjs';

const SECOND = 1000;
const status = (code, headers = {}) => ({
    status: code,
    headers,
    body: JSON.stringify({
        error: { message: `Status ${code}`, type: 'x', param: null, code: null },
    }),
});

// One account fails once with a scenario, asked first of two. pause: [shortest, longest] in ms.
async function checkPause(scenario, { pause, soft, what, config, more, base }) {
    const options = {
        policy: inOrder(),
        config,
        clock: new Clock(base),
        instance: more?.instance,
    };
    await withPool(options, async (pool) => {
        const { upstream, clock } = pool;
        const [least, most] = pause;
        const within = least - Math.min(200 * slow, least / 2); // a request takes its time too
        // The failure itself happens a little after 0.
        const begin = performance.now();
        clock.at(0);
        upstream.next('a', ...(more?.twice ? [scenario, scenario] : [scenario]));
        assert.equal(await pool.ask(more?.body), 'b', `${what}: another account answers`);
        const took = Math.ceil(performance.now() - begin);
        const tries = upstream.count('a');

        clock.at(1);
        assert.equal(await pool.ask(), 'b', what);
        clock.at(within);
        assert.equal(await pool.ask(), 'b', `${what}: still pausing`);
        assert.equal(upstream.count('a'), tries, `${what}: it is not asked while it pauses`);

        // Nobody else can serve.
        upstream.next('b', status(401));
        clock.at(within);
        const answer = await pool.ask();
        if (soft) {
            assert.equal(answer, 'a', `${what}: the last resort`);
            return;
        }
        assert.notEqual(answer, 'a', `${what}: no last resort`);
        assert.equal(upstream.count('a'), tries, what);
        clock.at(most + took);
        assert.equal(await pool.ask(), 'a', `${what}: asked again after the pause`);
    });
    if (!soft) {
        return;
    }
    await withPool({ ...options, clock: new Clock(base) }, async (pool) => {
        const begin = performance.now();
        pool.clock.at(0);
        pool.upstream.next('a', ...(more?.twice ? [scenario, scenario] : [scenario]));
        assert.equal(await pool.ask(more?.body), 'b', what);
        pool.clock.at(pause[1] + Math.ceil(performance.now() - begin));
        assert.equal(await pool.ask(), 'a', `${what}: asked again after the pause`);
    });
}

const fifth = (ms) => [ms * 0.8, ms * 1.2];
const exactly = (ms) => [ms, ms];
const stream = { body: { stream: true } };
const qwen = { plugin: 'qwen', options: { models: ['m'] } };

const verdicts = {
    'auth: 401': { scenario: refusals['invalid-token'], pause: fifth(30 * SECOND) },
    'auth: 403': { scenario: status(403), pause: fifth(30 * SECOND) },
    'rate limited, with Retry-After': {
        scenario: refusals['rate-limit'],
        pause: exactly(7 * SECOND),
    },
    'rate limited, retry-after-ms': {
        scenario: status(429, { 'retry-after-ms': '3500' }),
        pause: exactly(3500),
    },
    'rate limited, in words': {
        scenario: {
            status: 429,
            body: '{"error":{"message":"Rate limit reached. Please try again in 1m20s."}}',
        },
        pause: exactly(80 * SECOND),
    },
    'rate limited, nothing said': {
        scenario: refusals['rate-limit-empty'],
        pause: fifth(2 * SECOND),
    },
    'overloaded: 500': { scenario: status(500), pause: fifth(SECOND), soft: true },
    'overloaded: 503': { scenario: refusals.overloaded, pause: fifth(SECOND), soft: true },
    'overloaded: 529': { scenario: status(529), pause: fifth(SECOND), soft: true },
    'overloaded, with Retry-After': {
        scenario: status(503, { 'Retry-After': '20' }),
        pause: exactly(20 * SECOND),
        soft: true,
    },
    'blocked: a page': { scenario: pages['html-200'], pause: fifth(30 * SECOND) },
    'blocked: a page with 403': { scenario: pages['html-403'], pause: fifth(30 * SECOND) },
    'blocked: a captcha (qwen)': {
        scenario: pages['captcha-json'],
        pause: fifth(30 * SECOND),
        more: { instance: qwen },
    },
    // A connection that is reset before an answer is opened anew once.
    'truncated: reset before the head': {
        scenario: broken['reset-in-head'],
        pause: fifth(SECOND),
        soft: true,
    },
    'truncated: the body is cut short': {
        scenario: broken['truncated-length'],
        pause: fifth(SECOND),
        soft: true,
    },
    'truncated: a stream without content': {
        scenario: inStream['no-content'],
        pause: fifth(SECOND),
        soft: true,
        more: stream,
    },
    garbage: { scenario: garbage['not-http'], pause: fifth(SECOND), soft: true },
    'an error inside a 200 that is not streamed': {
        scenario: { body: '{"error":{"message":"Too many requests","code":null}}' },
        pause: fifth(2 * SECOND),
    },
    'an error event before content': {
        scenario: {
            body: 'data: {"error":{"message":"server overloaded","code":"overloaded"}}\n\n',
        },
        pause: fifth(SECOND),
        soft: true,
        more: stream,
    },
    'error_finish before content (qwen)': {
        scenario: inStream['error-finish'],
        pause: fifth(2 * SECOND),
        more: { ...stream, instance: qwen },
    },
    'timeout: no first token': {
        scenario: stalls['stall-after-head'],
        pause: fifth(2 * SECOND),
        soft: true,
        config: { clocks: { first_token_ms: 100 * slow } },
    },
};

for (const [what, { scenario, ...expected }] of Object.entries(verdicts)) {
    test(what, () => checkPause(scenario, { ...expected, what }));
}

test('quota exhausted: until the day ends at UTC+8, or in the zone that is set', async () => {
    const scenario = refusals['free-quota'];
    for (const [config, offset] of [
        [undefined, 0],
        [{ quota: { options: { zone: 'UTC' } } }, 8 * 60 * 60 * SECOND],
    ]) {
        // Ten hours before midnight at UTC+8, so that no other day ends before.
        const end = midnight() + 3 * DAY + offset;
        const base = end - 10 * 60 * 60 * SECOND;
        await withPool({ policy: inOrder(), config, clock: new Clock(base) }, async (pool) => {
            pool.upstream.next('a', scenario);
            assert.equal(await pool.ask(), 'b');
            pool.clock.at(end - base - 5 * SECOND);
            assert.equal(await pool.ask(), 'b');
            pool.upstream.next('b', scenario);
            const answer = await pool.call();
            assertError(answer, 429, { code: 'accounts_limited', message: /quota used up/ });
            const wait = Number(answer.headers['retry-after']);
            assert.ok(wait >= 3 && wait <= 7, `${wait}`);
            pool.clock.at(end - base + 2 * SECOND);
            assert.equal(await pool.ask(), 'a');
        });
    }
});

test('a wrong request: no other account is asked, none pauses', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        for (const code of [400, 404, 413, 422]) {
            pool.upstream.next('a', status(code));
            assertError(await pool.call(), code, { message: `Status ${code}` });
        }
        assert.equal(pool.upstream.count('b'), 0);
        assert.equal(await pool.ask(), 'a');
    }));

test('network: an account that cannot be reached pauses, and is found again', async () => {
    const port = await closedPort();
    let late;
    await withPool(
        {
            others: [instance('other', `http://127.0.0.1:${port}/v1`, ['x'])],
            route: 'return function() return { "other/m", "pool/m" } end',
        },
        async (pool) => {
            const begin = performance.now();
            pool.clock.at(0);
            assert.match(await pool.ask(), /^[ab]$/);
            const took = Math.ceil(performance.now() - begin);
            late = await Mock.start({ port });
            pool.clock.at(500);
            assert.match(await pool.ask(), /^[ab]$/);
            assert.equal(late.attempts, 0);
            pool.clock.at(1200 + took);
            assert.equal(await pool.ask(), 'Hello.');
            assert.equal(late.requests.length, 1);
        },
    ).finally(() => stopAll(late));
});

test('a pause doubles with each failure that follows, to its most; a success ends that', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        const { upstream, clock } = pool;
        let at = 0;
        upstream.always('a', refusals['server-error']);
        for (const seconds of [1, 2, 4, 8, 16, 32, 60, 60]) {
            clock.at(at);
            const asked = upstream.count('a');
            assert.equal(await pool.ask(), 'b');
            assert.equal(upstream.count('a'), asked + 1, `asked at the end of the pause`);
            clock.at(at + 650 * seconds);
            assert.equal(await pool.ask(), 'b');
            assert.equal(upstream.count('a'), asked + 1, `not before ${seconds} s`);
            at += 1250 * seconds;
        }
        upstream.always('a', null);
        clock.at(at);
        assert.equal(await pool.ask(), 'a');
        upstream.next('a', refusals['server-error']);
        clock.at(at + 10);
        assert.equal(await pool.ask(), 'b');
        clock.at(at + 1300);
        assert.equal(await pool.ask(), 'a', 'a short pause again');
    }));

test('failures at the same time are one pause, not many', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        const held = Array.from({ length: 8 }, () => pool.upstream.hold('a'));
        pool.clock.at(0);
        const answers = held.map(() => pool.ask());
        await Promise.all(held.map((one) => one.arrived));
        const begin = performance.now();
        pool.clock.at(0);
        for (const one of held) {
            one.release(refusals['server-error']);
        }
        assert.equal((await Promise.all(answers)).join(''), 'bbbbbbbb');
        pool.clock.at(1200 + Math.ceil(performance.now() - begin));
        assert.equal(await pool.ask(), 'a');
    }));

test('after a pause one request probes the account while others pass it by', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        const { upstream, clock } = pool;
        clock.at(0);
        upstream.next('a', refusals['server-error']);
        assert.equal(await pool.ask(), 'b');
        clock.at(1500);
        const probe = upstream.hold('a');
        upstream.forget();
        const probing = pool.ask();
        await probe.arrived;
        const others = await Promise.all(Array.from({ length: 20 }, () => pool.ask()));
        assert.equal(others.join(''), 'b'.repeat(20));
        assert.equal(upstream.count('a'), 1);
        probe.release();
        assert.equal(await probing, 'a');
        assert.equal((await pool.sequence(3)).join(''), 'aaa');
    }));

test('a probe that the client cancels frees the account for the next one', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        const { upstream, clock } = pool;
        clock.at(0);
        upstream.next('a', refusals['server-error']);
        assert.equal(await pool.ask(), 'b');
        clock.at(1500);
        const probe = upstream.hold('a');
        const client = new AbortController();
        const cancelled = pool.call({}, { signal: client.signal });
        await probe.arrived;
        client.abort();
        await assert.rejects(cancelled);
        await pool.gateway.waitLog('client_gone');
        assert.equal(await pool.ask(), 'a');
        probe.release();
    }));

test('when all pause softly they are asked all the same, each once in a request', () =>
    withPool({ accounts: ['a', 'b', 'c'] }, async (pool) => {
        const { upstream, clock } = pool;
        clock.at(0);
        for (const name of ['a', 'b', 'c']) {
            upstream.next(name, refusals['server-error'], refusals['server-error']);
        }
        assert.match(await pool.ask(), /^50\d accounts_failed$/);
        assert.deepEqual([...upstream.asked].sort(), ['a', 'b', 'c']);
        assert.match(await pool.ask(), /^50\d accounts_failed$/);
        assert.deepEqual([...upstream.asked].sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
        assert.match(await pool.ask(), /^[abc]$/);
    }));

test('a single account whose service fails for a moment is asked by the next request', () =>
    withPool({ accounts: ['a'] }, async (pool) => {
        pool.clock.at(0);
        pool.upstream.next('a', refusals['server-error']);
        assertError(await pool.call(), 500, { message: 'Internal error' });
        assert.equal(await pool.ask(), 'a');
    }));

test('accounts that are down cost a healthy one no time', async () => {
    const COUNT = 60;
    const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'];
    const upstream = await Upstream.start();
    const median = (times) => times.sort((x, y) => x - y)[times.length >> 1];
    try {
        await withPool({ upstream, accounts: ['z'] }, (alone) =>
            withPool({ upstream, accounts: [...names, 'z'], policy: inOrder() }, async (crowd) => {
                for (const name of names) {
                    upstream.always(name, refusals['invalid-token']);
                }
                assert.equal(await crowd.ask(), 'z');
                assert.equal(await alone.ask(), 'z');
                upstream.forget();
                const times = { alone: [], crowd: [] };
                for (let i = 0; i < COUNT; i++) {
                    for (const [name, pool] of Object.entries({ alone, crowd })) {
                        const at = performance.now();
                        assert.equal(await pool.ask(), 'z');
                        times[name].push(performance.now() - at);
                    }
                }
                assert.equal(upstream.count('z'), 2 * COUNT);
                assert.equal(upstream.asked.length, 2 * COUNT);
                const added = median(times.crowd) - median(times.alone);
                assert.ok(added < 1 * slow, `added ${added.toFixed(2)} ms`);
            }),
        );
    } finally {
        await upstream.stop();
    }
});

test('a pause holds over a restart', async () => {
    const upstream = await Upstream.start();
    const clock = new Clock();
    const shared = { upstream, clock, dataDir: tempDir('data'), policy: inOrder() };
    try {
        await withPool(shared, async (pool) => {
            clock.at(0);
            upstream.next('a', status(429, { 'Retry-After': '600' }));
            assert.equal(await pool.ask(), 'b');
        });
        await withPool(shared, async (pool) => {
            clock.at(590 * SECOND);
            assert.equal(await pool.ask(), 'b');
            clock.at(602 * SECOND);
            assert.equal(await pool.ask(), 'a');
        });
    } finally {
        await upstream.stop();
    }
});

test('after a restart a single account that paused softly is asked', async () => {
    const upstream = await Upstream.start();
    const clock = new Clock();
    const shared = { upstream, clock, dataDir: tempDir('data'), accounts: ['a'] };
    try {
        await withPool(shared, async (pool) => {
            clock.at(0);
            upstream.next('a', status(503, { 'Retry-After': '50' }));
            assertError(await pool.call(), 503);
        });
        await withPool(shared, async (pool) => {
            clock.at(10 * SECOND);
            assert.equal(await pool.ask(), 'a');
        });
    } finally {
        await upstream.stop();
    }
});
