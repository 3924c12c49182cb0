// Failing over between accounts and targets: when, when no more, and what the client is told when
// nobody could serve.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
    broken,
    chatStream,
    chunkOf,
    inStream,
    pages,
    refusals,
    stalls,
    streamOf,
} from '../upstream/scenarios.mjs';
import { Upstream, inOrder, instance, keyOf, who, withPool } from './accounts.mjs';
import { assertError, closedPort, payloads, slow, textOf } from './helper.mjs';

const failing = refusals['server-error'];
const body = { stream: true };

test('whatever goes wrong before content: another account, and the client sees nothing of it', () =>
    withPool(
        {
            policy: `${inOrder('on_error = function() return { cooldown_ms = 0 } end')}`,
            config: { clocks: { first_token_ms: 150 * slow } },
        },
        async (pool) => {
            const scenarios = {
                ...broken,
                ...pages,
                'server-error': failing,
                'rate-limit': refusals['rate-limit'],
                'invalid-token': refusals['invalid-token'],
                'no-content': inStream['no-content'],
                'only-done': inStream['only-done'],
                'empty-stream': inStream['empty-stream'],
                'role, then an error': {
                    body: streamOf(chunkOf({ role: 'assistant', content: '' }), {
                        error: { message: 'overloaded', type: 'api_error', code: null },
                    }),
                },
                'role, then the end': {
                    body: streamOf(chunkOf({ role: 'assistant', content: '' })),
                    end: 'reset',
                    stopAfter: 1e6,
                },
                'comments, then an error': {
                    body: ': one\n\n: two\n\ndata: {"error":{"message":"throttled"}}\n\n',
                },
                silence: stalls['stall-after-head'],
            };
            for (const [name, scenario] of Object.entries(scenarios)) {
                if (scenario.stopAfter === 700 || name === 'truncated-close') {
                    continue; // content has gone out: the next test
                }
                for (const stream of [false, true]) {
                    pool.upstream.forget();
                    // One more: a connection that breaks at once is opened anew.
                    const twice = /-at-once$/.test(name) ? [scenario, scenario] : [scenario];
                    pool.upstream.next('a', ...twice);
                    const answer = await pool.call({ stream });
                    const where = `${name}, stream ${stream}: ${answer.status} ${answer.text}`;
                    assert.equal(answer.status, 200, where);
                    const text = stream
                        ? textOf(answer.text)
                        : answer.json.choices[0].message.content;
                    assert.equal(text, 'Hello from b.', where);
                    assert.doesNotMatch(answer.text, /error/, where);
                    pool.upstream.coming.clear();
                }
            }
        },
    ));

test('after content: no other account, and an event tells', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        const scenarios = {
            reset: broken['reset-in-body'],
            close: broken['truncated-chunked'],
            'until close': broken['truncated-close'],
            'an error event': inStream['error-object'],
        };
        for (const [i, [name, scenario]] of Object.entries(scenarios).entries()) {
            pool.clock.at(i * 100000);
            pool.upstream.next('a', scenario);
            const answer = await pool.call(body);
            assert.equal(answer.status, 200, name);
            assert.match(textOf(answer.text), /^The quick/, name);
            const last = payloads(answer.text).pop();
            assert.equal(typeof JSON.parse(last).error.message, 'string', `${name}: ${last}`);
            assert.deepEqual(pool.upstream.asked, ['a'], name);
            pool.upstream.forget();
        }
    }));

test('keepalive comments to the client do not stand in the way of another account', () =>
    withPool(
        { policy: inOrder(), config: { clocks: { keepalive_ms: 20 * slow } } },
        async (pool) => {
            const { upstream, gateway } = pool;
            const ends = {
                refused: failing,
                'an error event': { body: 'data: {"error":{"message":"throttled"}}\n\n' },
                'no content': inStream['no-content'],
            };
            for (const [i, [name, end]] of Object.entries(ends).entries()) {
                pool.clock.at(i * 100000);
                const held = upstream.hold('a');
                const client = await gateway.rawChat('m', body);
                await held.arrived;
                await client.wait(() => client.text.includes(': keepalive\n\n'));
                held.release(end);
                const answer = await client.answer();
                const text = answer.body.toString();
                assert.equal(answer.status, 200);
                assert.equal(textOf(text.replaceAll(': keepalive\n\n', '')), 'Hello from b.', name);
                assert.doesNotMatch(text, /error/, name);
                client.close();
            }
        },
    ));

test('keepalive comments, and then nobody can: one error event', () =>
    withPool(
        { policy: inOrder(), config: { clocks: { keepalive_ms: 20 * slow } } },
        async (pool) => {
            const held = pool.upstream.hold('a');
            pool.upstream.next('b', failing);
            const client = await pool.gateway.rawChat('m', body);
            await client.wait(() => client.text.includes(': keepalive\n\n'));
            held.release(failing);
            const answer = await client.answer();
            const events = payloads(answer.body.toString().replaceAll(': keepalive\n\n', ''));
            assert.equal(events.length, 1, events.join('\n'));
            assert.equal(JSON.parse(events[0]).error.code, 'accounts_failed');
            client.close();
        },
    ));

test('a stream that is held to its first content goes out byte for byte', () =>
    withPool({ accounts: ['a'], instance: { ask_usage: false } }, async (pool) => {
        const whole = Buffer.concat([Buffer.from(': hi\n\n'), chatStream('One two three.')]);
        pool.upstream.next('a', { body: whole, cut: 'bytes' });
        assert.deepEqual((await pool.call(body)).body, whole);
    }));

// ---- what the client is told

test('all need a sign-in: 401 with each account and its reason', () =>
    withPool({ accounts: ['a', 'b', 'c'], policy: inOrder() }, async (pool) => {
        for (const name of ['a', 'b', 'c']) {
            pool.upstream.always(name, refusals['invalid-token']);
        }
        const reasons = [/auth \(invalid access token/, /its key was refused, again in \d+ s/];
        for (const reason of reasons) {
            const error = assertError(await pool.call(), 401, {
                type: 'authentication_error',
                code: 'accounts_need_sign_in',
                message: reason,
            });
            for (const name of ['a', 'b', 'c']) {
                assert.match(error.message, new RegExp(`pool/${name}: ${reason.source}`));
            }
        }
        assert.equal(pool.upstream.asked.join(''), 'abc');
    }));

test('all limited: 429, at once, with the earliest moment that one frees', () =>
    withPool({ accounts: ['a', 'b'], policy: inOrder() }, async (pool) => {
        const limited = (seconds) => ({
            ...refusals['rate-limit'],
            headers: { 'Retry-After': seconds },
        });
        pool.clock.at(0);
        pool.upstream.next('a', limited('90'));
        pool.upstream.next('b', limited('30'));
        for (let i = 0; i < 2; i++) {
            const answer = await pool.call(i ? body : {});
            assertError(answer, 429, { type: 'rate_limit_error', code: 'accounts_limited' });
            const wait = Number(answer.headers['retry-after']);
            assert.ok(wait >= 28 && wait <= 30, `${wait}`);
        }
        assert.equal(pool.upstream.asked.join(''), 'ab');
        pool.clock.at(31000);
        assert.equal(await pool.ask(), 'b');
    }));

test('a failure among limits: not a 429', () =>
    withPool({ accounts: ['a', 'b', 'c'], policy: inOrder() }, async (pool) => {
        pool.upstream.next('a', refusals['rate-limit']);
        pool.upstream.next('b', refusals['invalid-token']);
        pool.upstream.next('c', refusals.overloaded);
        const error = assertError(await pool.call(), 503, { code: 'accounts_failed' });
        assert.match(error.message, /pool\/a: rate_limited .*pool\/b: auth .*pool\/c: overloaded/);
    }));

test('sign-ins and limits: 429, as waiting helps', () =>
    withPool({ policy: inOrder() }, async (pool) => {
        pool.upstream.next('a', refusals['invalid-token']);
        pool.upstream.next('b', refusals['rate-limit']);
        const answer = await pool.call();
        assertError(answer, 429, { code: 'accounts_limited' });
        assert.match(answer.headers['retry-after'], /^[67]$/);
    }));

test('all failed: 502, 503 or 504 as the last one did, with each account and its reason', () =>
    withPool(
        { policy: inOrder(), config: { clocks: { first_token_ms: 100 * slow } } },
        async (pool) => {
            const cases = [
                [502, refusals['server-error'], pages['html-502']],
                [503, refusals['server-error'], refusals.overloaded],
                [504, refusals['server-error'], stalls['stall-after-head']],
            ];
            for (const [i, [status, ...scenarios]] of cases.entries()) {
                pool.clock.at(i * 7200000);
                pool.upstream.next('a', scenarios[0]);
                pool.upstream.next('b', scenarios[1]);
                assertError(await pool.call(), status, {
                    type: 'upstream_error',
                    code: 'accounts_failed',
                    message: /^No account could serve the model "m"\. pool\/a: .*; pool\/b: .*\.$/,
                });
            }
        },
    ));

test('nobody may be asked: 503 that says why', () =>
    withPool(
        { policy: 'return { accounts = { a = { weight = 0 }, b = { weight = 0 } } }' },
        async (pool) => {
            assertError(await pool.call(), 503, {
                code: 'no_account_available',
                message: /pool\/a: not selected by the account policy; pool\/b: not selected/,
            });
        },
    ));

// ---- bounds

test('max_attempts: over all accounts and targets', async () => {
    const upstream = await Upstream.start();
    const options = {
        upstream,
        accounts: ['a', 'b', 'c', 'd'],
        policy: inOrder(),
        others: [instance('other', upstream.base, ['x', 'y'])],
        route: 'return function() return { "pool/m", "other/m" } end',
    };
    for (const name of 'abcdxy') {
        upstream.always(name, failing);
    }
    try {
        for (const [config, env, asked] of [
            [{}, {}, 'abcdxy'],
            [{ max_attempts: 5 }, {}, 'abcdx'],
            [{ max_attempts: 5 }, { LLM_GATE_MAX_ATTEMPTS: 2 }, 'ab'],
            [{ max_attempts: 1 }, {}, 'a'],
        ]) {
            upstream.forget();
            await withPool({ ...options, config, env }, async (pool) => {
                const error = assertError(await pool.call(), 500, { code: 'accounts_failed' });
                assert.equal(upstream.asked.join(''), asked);
                if (asked.length < 6) {
                    assert.match(error.message, /not looked at/);
                }
            });
        }
    } finally {
        await upstream.stop();
    }
});

test('failover_ms: no attempt begins after it', () =>
    withPool(
        {
            policy: inOrder(),
            config: { failover_ms: 50 * slow, clocks: { first_token_ms: 100 * slow } },
        },
        async (pool) => {
            pool.upstream.next('a', stalls['stall-silent']);
            assertError(await pool.call(), 504, { code: 'accounts_failed' });
            assert.equal(pool.upstream.asked.join(''), 'a');
            assert.equal(await pool.ask(), 'b');
        },
    ));

test('a model goes to the accounts that have it, whatever their turn', () =>
    withPool(
        {
            accounts: ['a', { alias: 'l', oauth: true }],
            instance: { plugin: 'qwen' },
            env: { KEY_OF_L: JSON.stringify({ access_token: keyOf('l') }) },
        },
        async (pool) => {
            const { gateway, upstream } = pool;
            for (const [model, name, other] of [
                ['qwen3-max', 'a', 'l'],
                ['coder-model', 'l', 'a'],
            ]) {
                for (let i = 0; i < 3; i++) {
                    assert.equal(who(await gateway.chat(`pool/${model}`)), name);
                }
                upstream.next(name, refusals['invalid-token']);
                assertError(await gateway.chat(`pool/${model}`), 401, {
                    code: 'accounts_need_sign_in',
                    message: new RegExp(`pool/${other}: (does not serve this model|its key was)`),
                });
                assert.equal(upstream.asked.includes(other), false);
                upstream.forget();
            }
        },
    ));

// ---- targets

test('a target whose accounts are all down is passed by without a try', async () => {
    const port = await closedPort();
    await withPool(
        {
            others: [instance('dead', `http://127.0.0.1:${port}/v1`, ['x', 'y'])],
            route: 'return function() return { "dead/m", "pool/m" } end',
        },
        async (pool) => {
            pool.clock.at(0);
            assert.equal(await pool.ask(), 'a');
            await pool.gateway.waitLog(/attempts=3/);
            assert.equal(await pool.ask(), 'b');
            await pool.gateway.waitLog(/attempts=1\b/);
            // The last resort is one of all targets.
            for (const name of 'ab') {
                pool.upstream.next(name, refusals['invalid-token']);
            }
            assert.match(await pool.ask(), /^50\d accounts_failed$/);
            await pool.gateway.waitLog(/attempts=4/);
        },
    );
});
