// select and on_error of accounts.lua, in the running gateway.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusals } from '../upstream/scenarios.mjs';
import { inOrder, instance, who, withPool } from './accounts.mjs';
import { assertError, closedPort } from './helper.mjs';

const failing = refusals['server-error'];
const select = (body) => `local function select(accounts, req) ${body} end
    return { select = select }`;
const onError = (body, more = '') => `local function on_error(failure, attempt, req) ${body} end
    return { on_error = on_error, ${more} }`;
// Asks in order of ids, and has on_error.
const ordered = (body) => `local function on_error(failure, attempt, req) ${body} end
    ${inOrder('on_error = on_error')}`;

// ---- select

test('select: nil, an account, an id, an alias', async () => {
    const policies = {
        abab: select('return nil'),
        bbbb: select('return accounts[2]'),
        aaaa: select('return "pool/a"'),
    };
    policies.bbbb_ = select('return "b"');
    for (const [expected, policy] of Object.entries(policies)) {
        await withPool({ policy }, async (pool) => {
            assert.equal((await pool.sequence(4)).join(''), expected.slice(0, 4));
        });
    }
});

test('select: a list is an order, the first that has room', () =>
    withPool(
        {
            accounts: ['a', 'b', { alias: 'c', limits: { chat: { rpm: 2 } } }],
            policy: select(`
                local list = {}
                for i = #accounts, 1, -1 do
                    if accounts[i].alias ~= "b" then
                        list[#list + 1] = accounts[i]
                    end
                end
                return #list > 0 and list or { "b" }`),
        },
        async (pool) => {
            assert.equal((await pool.sequence(4)).join(''), 'ccaa');
            // What is named and no other: c is full and a fails, and b has not been named then.
            pool.upstream.next('a', failing);
            const error = assertError(await pool.call(), 500, { code: 'accounts_failed' });
            assert.match(error.message, /pool\/a: overloaded \(Internal error\)/);
            assert.match(error.message, /pool\/b: not selected by the account policy/);
            assert.match(error.message, /pool\/c: limit rpm reached/);
        },
    ));

test('select: tags, the request, and what accounts have used', () =>
    withPool(
        {
            accounts: [{ alias: 'a', tags: ['paid'] }, 'b', { alias: 'c', tags: ['paid'] }],
            policy: `local function select(accounts, req)
                if req.stream then
                    return nil
                end
                local best
                for _, a in ipairs(accounts) do
                    if a:has_tag("paid") == (req.max_tokens > 0) and a.kind == "api_key"
                        and (not best or a.requests_day < best.requests_day) then
                        best = a
                    end
                end
                return best
            end
            return { select = select, accounts = { b = { tags = { "free" } } } }`,
        },
        async (pool) => {
            assert.equal((await pool.sequence(3)).join(''), 'bbb');
            assert.equal((await pool.sequence(4, { max_tokens: 5 })).join(''), 'acac');
            assert.equal((await pool.sequence(3, { stream: true })).join(''), 'abc');
        },
    ));

test('select: one that is not offered, or an error: the strategy decides, the log tells', () =>
    withPool(
        {
            policy: select(`
                if req.max_tokens == 1 then return "nobody" end
                if req.max_tokens == 2 then return accounts[1].wait end
                return accounts[1]`),
        },
        async (pool) => {
            assert.equal((await pool.sequence(2, { max_tokens: 1 })).join(''), 'ab');
            assert.equal((await pool.sequence(2, { max_tokens: 2 })).join(''), 'ab');
            assert.equal(await pool.ask(), 'a');
            await pool.gateway.waitLog(/select failed: .*accounts\.lua:\d+: .*"nobody"/);
            await pool.gateway.waitLog(/select failed: .*accounts\.lua:\d+: .*wait/);
        },
    ));

test('select: a name that rests is passed over; when all rest nobody else is asked', () =>
    withPool(
        {
            accounts: ['a', 'b', 'c'],
            policy: select(`
                if req.max_tokens == 1 then return "a" end
                return { "a", "pool/b" }`),
        },
        async (pool) => {
            const limited = { status: 429, headers: { 'Retry-After': '60' }, body: '' };
            pool.clock.at(0);
            pool.upstream.next('a', limited);
            assert.equal(await pool.ask(), 'b', 'tried just now');
            assert.equal(await pool.ask(), 'b', 'it cools');
            pool.upstream.next('b', limited);
            pool.upstream.forget();
            for (const more of [{}, {}, { max_tokens: 1 }]) {
                const answer = await pool.call(more);
                assert.equal(who(answer), '429 accounts_limited', answer.text);
                const wait = Number(answer.headers['retry-after']);
                assert.ok(wait > 30 && wait <= 62, `${wait}`);
            }
            assert.deepEqual(pool.upstream.asked, ['b']);
            pool.clock.at(70 * 1000);
            assert.equal(await pool.ask({ max_tokens: 1 }), 'a');
            assert.doesNotMatch(pool.gateway.log, /select failed/);
        },
    ));

test('select: what was tried is not offered again; the last resort is', () =>
    withPool(
        {
            accounts: ['a', 'b', 'c'],
            policy: select(`
                local names = {}
                for i, a in ipairs(accounts) do
                    names[i] = a.alias .. (a.cooling and "*" or "")
                end
                gate.log("info", "offered " .. table.concat(names, ","))
                return accounts[1]`),
        },
        async (pool) => {
            const offered = () =>
                [...pool.gateway.log.matchAll(/offered (\S+)/g)].map(([, names]) => names);
            pool.clock.at(0);
            for (const name of ['a', 'b', 'c']) {
                pool.upstream.next(name, failing);
            }
            assert.match(await pool.ask(), /accounts_failed/);
            assert.equal(await pool.ask(), 'a');
            await pool.gateway.waitLog('offered a*,b*,c*');
            const [first, second, third, ...rest] = offered();
            assert.equal(first, 'a,b,c');
            assert.equal(second, 'b,c');
            assert.equal(third, 'c');
            assert.deepEqual(rest.slice(-1), ['a*,b*,c*']);
        },
    ));

// ---- on_error

test('on_error: retry asks the same account once more', () =>
    withPool({ policy: ordered('return "retry"') }, async (pool) => {
        pool.upstream.next('a', failing, failing);
        assert.equal(await pool.ask(), 'a');
        assert.deepEqual(pool.upstream.asked, ['a', 'a', 'a']);
    }));

test('on_error: next_account, also where the gateway would not go on', () =>
    withPool({ policy: ordered('return "next_account"') }, async (pool) => {
        pool.upstream.next('a', failing, refusals['bad-request']);
        assert.equal(await pool.ask(), 'b');
        pool.clock.at(3000);
        assert.equal(await pool.ask(), 'b');
        assert.deepEqual(pool.upstream.asked, ['a', 'b', 'a', 'b']);
    }));

test('on_error: next_target leaves the accounts of this provider alone', async () => {
    await withPool({}, async ({ upstream }) => {
        await withPool(
            {
                upstream,
                policy: ordered('return "next_target"'),
                others: [instance('other', upstream.base, ['x', 'y'])],
                route: 'return function() return { "pool/m", "other/m" } end',
            },
            async (pool) => {
                upstream.next('a', failing);
                assert.equal(await pool.ask(), 'x');
                assert.deepEqual(upstream.asked, ['a', 'x']);
            },
        );
    });
});

test('on_error: fail tells the client what the account said', () =>
    withPool({ policy: ordered('return "fail"') }, async (pool) => {
        pool.upstream.next('a', failing);
        assertError(await pool.call(), 500, { message: 'Internal error' });
        assert.deepEqual(pool.upstream.asked, ['a']);
    }));

test('on_error: the cooldown is kept to the millisecond, and 0 is none', () =>
    withPool(
        {
            policy: ordered(`if failure.status == 500 then return { cooldown_ms = 5000 } end
                return { action = "next_account", cooldown_ms = 0 }`),
        },
        async (pool) => {
            const begin = performance.now();
            pool.clock.at(0);
            pool.upstream.next('a', failing);
            assert.equal(await pool.ask(), 'b');
            const took = Math.ceil(performance.now() - begin);
            pool.clock.at(4600);
            assert.equal(await pool.ask(), 'b');
            pool.clock.at(5000 + took);
            assert.equal(await pool.ask(), 'a');
            pool.upstream.next('a', refusals.overloaded);
            assert.equal(await pool.ask(), 'b');
            assert.equal(await pool.ask(), 'a');
        },
    ));

test('on_error: nil and default are the gateway’s own rule', async () => {
    for (const answer of ['nil', '"default"', 'attempt.default', '{}']) {
        await withPool({ policy: ordered(`return ${answer}`) }, async (pool) => {
            pool.clock.at(0);
            pool.upstream.next('a', failing);
            assert.equal((await pool.sequence(2)).join(''), 'bb');
            pool.clock.at(1500);
            pool.upstream.next('a', refusals['bad-request']);
            assertError(await pool.call(), 400, {}, answer);
        });
    }
});

test('on_error: what it is told', () =>
    withPool(
        {
            policy: ordered(`
                local f, a = failure, attempt
                gate.log("info", table.concat({ "told", f.kind, f.status, f.code, f.message,
                    tostring(f.retry_after_ms), a.number, a.account, a.alias, a.provider, a.model,
                    a.default, a.cooldown_ms, tostring(a.elapsed_ms >= 0) }, "|"))
                return nil`),
        },
        async (pool) => {
            pool.upstream.next('a', refusals['rate-limit']);
            pool.upstream.next('b', refusals['invalid-token']);
            await pool.call();
            await pool.gateway.waitLog(/told\|auth/);
            const told = [...pool.gateway.log.matchAll(/told\|([^\n"]*\|true)/g)].map(([, t]) => t);
            assert.deepEqual(told, [
                'rate_limited|429|rate_limit_exceeded|Too many requests|7000|1|pool/a|a|pool|m|' +
                    'next_account|7000|true',
                'auth|401|invalid_api_key|invalid access token or token expired|nil|2|pool/b|b|' +
                    'pool|m|next_account|30000|true',
            ]);
        },
    ));

test('on_error: a script that fails: the gateway’s own rule, and the log tells', () =>
    withPool({ policy: ordered('return { action = "sleep" }') }, async (pool) => {
        pool.upstream.next('a', failing);
        assert.equal(await pool.ask(), 'b');
        await pool.gateway.waitLog(/on_error failed: .*accounts\.lua:\d+: .*"sleep"/);
    }));

test('on_error: no answer of it goes beyond max_attempts', () =>
    withPool(
        { policy: ordered('return "retry"'), config: { max_attempts: 4 } },
        async (pool) => {
            pool.upstream.always('a', failing);
            assert.match(await pool.ask(), /^50\d accounts_failed$/);
            assert.deepEqual(pool.upstream.asked, ['a', 'a', 'a', 'a']);
        },
    ));

test('on_error: a service that cannot be reached', async () => {
    const port = await closedPort();
    await withPool(
        {
            policy: onError('return failure.kind == "network" and "next_target" or nil'),
            others: [instance('other', `http://127.0.0.1:${port}/v1`, ['x', 'y'])],
            route: 'return function() return { "other/m", "pool/m" } end',
        },
        async (pool) => {
            assert.equal(await pool.ask(), 'a');
            await pool.gateway.waitLog(/attempts=2/);
        },
    );
});
