// What a failure means where that is not plain: the account gets the verdict that the service gave,
// no account pauses for what it did not do, and the client is told the truth.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { json } from '../upstream/oauth_answers.mjs';
import { chatBody, chunkOf, refusals, streamOf } from '../upstream/scenarios.mjs';
import { Clock, DAY, MINUTE, inOrder, midnight, withPool } from './accounts.mjs';
import { assertError, payloads, slow, textOf } from './helper.mjs';

const SECOND = 1000;
const error = (code, message) => ({ error: { message, type: code, param: null, code } });
const refusal = (status, code, headers) => ({
    ...json(status, error(code, `It says ${code}`)),
    headers,
});
const limited = (seconds) =>
    refusal(429, 'rate_limit_exceeded', { 'Retry-After': String(seconds) });
const badKey = refusal(401, 'invalid_api_key');
const exhausted = error('insufficient_quota', 'You have no quota left');
const stream = { stream: true };

const admin = async (pool, path) =>
    (await pool.gateway.call({ method: 'GET', path: `/admin/api${path}` })).json;
const accountOf = async (pool, name) =>
    (await admin(pool, '/accounts')).accounts.find(({ alias }) => alias === name);
const firstAttempt = async (pool) => (await admin(pool, '/requests')).requests.at(-1).attempts[0];

// ---- headers of the upstream

test('a header of any length reaches the client whole, or not at all', () =>
    withPool({ accounts: ['a'] }, async (pool) => {
        const sizes = [4000, 4032, 4064];
        for (let size = 4070; size <= 4100; size++) {
            sizes.push(size);
        }
        for (const size of sizes) {
            const sent = { 'x-ratelimit-a': 'v'.repeat(size), 'x-ratelimit-b': 'w'.repeat(40) };
            pool.upstream.next('a', { headers: sent, body: chatBody('Hello.') });
            const answer = await pool.call();
            assert.equal(answer.status, 200, `${size}`);
            for (const [name, value] of Object.entries(answer.headers)) {
                if (name in sent) {
                    assert.ok(value === sent[name], `${name}, ${size}: not what was sent`);
                } else {
                    assert.doesNotMatch(name + value, /vvvv|wwww/, `${size}`);
                }
            }
            assert.equal(answer.json.choices[0].message.content, 'Hello.');
        }
        assert.equal(await pool.ask(), 'a');
    }));

test('headers of an answer that was no answer do not come with the next one', () =>
    withPool(
        {
            accounts: ['a'],
            policy: `return { on_error = function(_failure, attempt)
                return { action = attempt.number == 1 and "retry" or "default", cooldown_ms = 0 }
            end }`,
        },
        async (pool) => {
            const first = {
                headers: { 'x-ratelimit-remaining-requests': '5' },
                body: JSON.stringify(error('server_error', 'busy')),
            };
            for (const second of [refusals['server-error'], { body: chatBody('Hello.') }]) {
                pool.upstream.next('a', first, second);
                const answer = await pool.call();
                assert.equal(answer.status, second.status ?? 200);
                assert.equal(answer.headers['x-ratelimit-remaining-requests'], undefined);
            }
            assert.equal(pool.upstream.count('a'), 4);
        },
    ));

// ---- the verdict that was given is kept

test('a refusal whose body stalls is judged by what has come', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        let end;
        const ended = new Promise((resolve) => {
            end = resolve;
        });
        pool.clock.at(0);
        pool.upstream.next('a', async (_request, reply) => {
            await reply.head({
                status: 429,
                headers: [
                    ['Content-Type', 'application/json'],
                    ['Retry-After', '600'],
                ],
                framing: 'length',
                length: 5000,
            });
            await reply.data('{"error":');
            await ended;
        });
        const begin = performance.now();
        assert.equal(await pool.ask(), 'b');
        assert.ok(performance.now() - begin < 10 * SECOND * slow);
        end();
        pool.clock.at(0);
        const { state, until } = await accountOf(pool, 'a');
        assert.equal(state, 'limited');
        const late = until - pool.clock.base - 600 * SECOND;
        assert.ok(Math.abs(late) < 20 * SECOND * slow, `${late}`);
        assert.equal((await firstAttempt(pool)).verdict, 'rate_limited');
    }));

test('an error event after content: the account gets its due, the client one error', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        pool.upstream.next('a', {
            body: streamOf(chunkOf({ role: 'assistant', content: 'One' }), exhausted),
        });
        const answer = await pool.call(stream);
        assert.equal(answer.status, 200);
        assert.equal(textOf(answer.text), 'One');
        const errors = payloads(answer.text).filter((data) => data.includes('"error"'));
        assert.equal(errors.length, 1, answer.text);
        assert.equal(JSON.parse(errors[0]).error.code, 'insufficient_quota');

        const { state, last_error: last } = await accountOf(pool, 'a');
        assert.equal(state, 'exhausted');
        assert.match(last.message, /no quota left/);
        assert.equal((await firstAttempt(pool)).verdict, 'quota_exhausted');
        assert.equal(await pool.ask(), 'b');
        assert.equal(pool.upstream.count('a'), 1);
    }));

for (const what of ['a failure', 'an answer']) {
    test(`a whole document after keepalive comments of a stream (${what})`, () =>
        withPool(
            { accounts: ['a'], config: { clocks: { keepalive_ms: 40 * slow } } },
            async (pool) => {
                const held = pool.upstream.hold('a');
                const client = await pool.gateway.rawChat('m', stream);
                await held.arrived;
                await client.wait(() => client.text.includes(': keepalive'), { what: 'a comment' });
                held.release({
                    headers: { 'Content-Type': 'application/json' },
                    body: what === 'a failure' ? JSON.stringify(exhausted) : chatBody('Hello.'),
                });
                const answer = await client.answer();
                client.close();
                const errors = payloads(answer.text).filter((data) => data.includes('"error"'));
                assert.equal(errors.length, 1, answer.text);
                const { state } = await accountOf(pool, 'a');
                const { verdict } = await firstAttempt(pool);
                if (what === 'a failure') {
                    assert.match(errors[0], /no quota left/);
                    assert.equal(state, 'exhausted');
                    assert.equal(verdict, 'quota_exhausted');
                } else {
                    assert.match(errors[0], /single document/);
                    assert.equal(state, 'cooling');
                    assert.equal(verdict, 'garbage');
                }
            },
        ));
}

test('a wrong request is no error of the account', () =>
    withPool({ accounts: ['a'] }, async (pool) => {
        pool.upstream.next('a', refusal(400, 'invalid_parameter_error'));
        assertError(await pool.call(), 400);
        const { state, last_error: last } = await accountOf(pool, 'a');
        assert.equal(state, 'serving');
        assert.equal(last, null);
        assert.equal((await firstAttempt(pool)).verdict, 'client_error');
    }));

// ---- what the client is told

for (const [what, scenario] of Object.entries({ 'refused keys': badKey, limits: limited(60) })) {
    test(`${what}, and accounts that nobody asked: neither 401 nor 429`, () =>
        withPool(
            {
                accounts: ['a', 'b', 'c', 'd'],
                policy: inOrder(),
                env: { LLM_GATE_MAX_ATTEMPTS: 2 },
            },
            async (pool) => {
                pool.upstream.always('a', scenario);
                pool.upstream.always('b', scenario);
                const answer = await pool.call();
                assert.match(String(answer.status), /^50[23]$/, answer.text);
                assertError(answer, answer.status);
                assert.deepEqual(pool.upstream.asked, ['a', 'b']);
            },
        ));
}

test('Retry-After is that of the account which frees first, however many there are', async () => {
    const accounts = Array.from({ length: 70 }, (_, i) => `a${String(i).padStart(2, '0')}`);
    await withPool({ accounts, env: { LLM_GATE_MAX_ATTEMPTS: 100 } }, async (pool) => {
        for (const name of accounts) {
            pool.upstream.always(name, limited(name === 'a69' ? 20 : 300));
        }
        for (let i = 0; i < 2; i++) {
            pool.clock.at(0);
            const answer = await pool.call();
            assertError(answer, 429, { code: 'accounts_limited' });
            const wait = Number(answer.headers['retry-after']);
            assert.ok(wait >= 15 && wait <= 20 + 2 * slow, `${wait}`);
        }
        assert.equal(pool.upstream.asked.length, 70);
    });
});

test('a quota that is used up tells the first client too when to come again', async () => {
    const end = midnight() + DAY;
    const clock = new Clock(end - 2 * 60 * MINUTE);
    await withPool({ accounts: ['a'], clock }, async (pool) => {
        pool.upstream.always('a', json(429, exhausted));
        for (let i = 0; i < 2; i++) {
            clock.at(0);
            const answer = await pool.call();
            assertError(answer, 429);
            const wait = Number(answer.headers['retry-after']);
            assert.ok(Math.abs(wait - 2 * 60 * 60) < 30 * slow, `answer ${i}: ${wait}`);
        }
        assert.equal(pool.upstream.count('a'), 1);
    });
});

// ---- pauses that end when they should

test('a probe that streams for long is over with its first content', () =>
    withPool({ accounts: ['a'] }, async (pool) => {
        const { upstream, clock } = pool;
        const soon = refusal(429, 'rate_limit_exceeded');
        let end;
        const ended = new Promise((resolve) => {
            end = resolve;
        });
        clock.at(0);
        upstream.next('a', soon);
        assertError(await pool.call(), 429);
        clock.at(10 * SECOND);
        upstream.next('a', async (_request, reply) => {
            await reply.head();
            await reply.event(chunkOf({ role: 'assistant', content: 'One' }));
            await ended;
            await reply.event(chunkOf({ content: ' two' }, 'stop'));
            await reply.event('[DONE]');
            await reply.end();
        });
        const client = await pool.gateway.rawChat('m', stream);
        await client.wait(() => client.text.includes('"One"'), { what: 'the first content' });
        assert.equal(await pool.ask(), 'a');
        upstream.next('a', soon);
        assertError(await pool.call(), 429);
        clock.at(60 * SECOND);
        assert.equal(await pool.ask(), 'a', 'the pause is over, and nobody probes');
        end();
        assert.equal(textOf((await client.answer()).text), 'One two');
        client.close();
        assert.equal(await pool.ask(), 'a');
    }));

test('a clock that is set back keeps no account out', () =>
    withPool({ accounts: ['a'] }, async (pool) => {
        pool.clock.at(30 * DAY);
        pool.upstream.next('a', limited(600));
        assertError(await pool.call(), 429);
        pool.clock.at(0);
        assert.equal(await pool.ask(), 'a');
    }));

// ---- the record of a request

test('an attempt of a client that leaves has a duration that can be', () =>
    withPool({ env: { LLM_GATE_COUNTER_FLUSH_MS: 0 } }, async (pool) => {
        const { gateway } = pool;
        const count = 100;
        for (let i = 0; i < count; i++) {
            const client = await gateway.rawChat('m', { stream: i % 2 === 0 });
            client.close();
        }
        await gateway.waitLog(/client_gone/);
        assert.match(await pool.ask(), /^[ab]$/);
        const { requests } = await admin(pool, '/requests?limit=200');
        const attempts = requests.flatMap((request) => request.attempts);
        assert.ok(attempts.length > 0);
        for (const { took_ms: took } of attempts) {
            assert.ok(took >= 0 && took < MINUTE, `${took}`);
        }
    }));
