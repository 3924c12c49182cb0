// Logins whose renewal is slow, fails, or is not what was wrong: nobody waits for ever, and only a
// login that is really dead needs a person.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiError } from '../upstream/oauth_answers.mjs';
import { inOrder } from './accounts.mjs';
import { assertError, slow, startGateway, until } from './helper.mjs';
import { HOUR, Logins, MODEL, SECOND, failing, using } from './logins.mjs';

const denied = apiError(403, 'access_denied', 'Access denied for a moment.');
const accounts = async (one) =>
    (await one.gateway.call({ method: 'GET', path: '/admin/api/accounts' })).json.accounts;
const accountOf = async (one, name) =>
    (await accounts(one)).find(({ alias }) => alias === name);

// What task() brings, which must be there in time.
async function within(ms, task) {
    const begin = performance.now();
    const result = await task();
    const took = performance.now() - begin;
    assert.ok(took < ms, `took ${took.toFixed(0)} ms`);
    return result;
}

// ---- waits end

for (const what of ['is over', 'is refused']) {
    test(`a token that ${what} and a hanging login service: the wait ends, the refresh not`, () =>
        using(
            {
                logins: { alice: { lifetime: what === 'is over' ? -60 : 3600 } },
                env: { LLM_GATE_FAILOVER_MS: 500 },
                before: failing('slow'),
            },
            async (one) => {
                one.login.revoke('alice');
                const answer = await within(5 * SECOND * slow, () => one.call());
                assert.equal(answer.status, 503, answer.text);
                assertError(answer, 503);
                const streamed = await within(5 * SECOND * slow, () => one.call({ stream: true }));
                assert.equal(streamed.status, 503);
                await until(() => one.login.held.length === 1);
                one.login.release();
                one.clock.at(10 * SECOND);
                await until(async () => (await one.call()).status === 200);
                assert.equal(one.login.counts.refresh, 1);
                assert.equal((await accountOf(one, 'alice')).state, 'serving');
            },
        ));
}

test('many tokens that are refused and a login service that hangs: one time for all', () => {
    const logins = Object.fromEntries(['a', 'b', 'c', 'd', 'e', 'f'].map((name) => [name, {}]));
    return using(
        { logins, env: { LLM_GATE_FAILOVER_MS: 1000 }, before: failing('hang') },
        async (one) => {
            for (const name of Object.keys(logins)) {
                one.login.revoke(name);
            }
            const answer = await within(8 * SECOND * slow, () => one.call());
            assert.match(String(answer.status), /^50[23]$/, answer.text);
        },
    );
});

test('a login service that hangs: another account, within the time', () =>
    using(
        { logins: { alice: {}, bob: {} }, policy: inOrder(), before: failing('hang') },
        async (one) => {
            one.login.revoke('alice');
            assert.equal(await within(20 * SECOND * slow, () => one.ask()), 'bob');
            assert.equal(await within(5 * SECOND * slow, () => one.ask()), 'bob');
            assert.equal(one.login.of('chat', 'alice').length, 1);
        },
    ));

test('a great many logins that are over, and a login service that fails: an end', () => {
    const names = Array.from({ length: 270 }, (_, i) => `n${i}`);
    const logins = Object.fromEntries(names.map((name) => [name, { lifetime: -60 }]));
    return using({ logins, before: failing('500') }, async (one) => {
        const answer = await within(20 * SECOND * slow, () => one.call());
        assertError(answer, 503, { code: 'no_account_available' });
        const again = await within(20 * SECOND * slow, () => one.call());
        assertError(again, 503, { code: 'no_account_available' });
        assert.ok(one.login.counts.refresh <= 2 * names.length);
    });
});

// ---- who needs a person

test('a token that is refused and a login service that fails: no sign-in, no new tries', () =>
    using({ logins: { alice: {}, bob: {} }, before: failing('500') }, async (one) => {
        one.login.revoke('alice');
        one.login.revoke('bob');
        one.clock.at(0);
        const first = await one.call();
        assert.match(String(first.status), /^50[23]$/, first.text);
        assert.notEqual(first.json.error.code, 'accounts_need_sign_in');
        assert.equal(one.login.counts.chat, 2);
        for (let i = 0; i < 4; i++) {
            one.clock.at(100);
            const answer = await one.call();
            assert.match(String(answer.status), /^50[23]$/, answer.text);
        }
        assert.equal(one.login.counts.chat, 2);
        one.login.refreshMode = 'rotate';
        one.clock.at(60 * SECOND);
        assert.match(await one.ask(), /^(alice|bob)$/);
        assert.doesNotMatch(one.gateway.log, /needs? a sign-in|sign in again/);
    }));

test('a service that denies a login for a moment: one refresh, a pause, and it serves again', () =>
    using({}, async (one) => {
        one.clock.at(0);
        one.login.chat('alice', denied);
        const answer = await one.call();
        assert.ok(answer.status >= 400, answer.text);
        assert.ok(one.login.counts.refresh <= 1);
        assert.ok(one.login.counts.chat <= 2);
        one.login.chat('alice', null);
        const { until: end } = await accountOf(one, 'alice');
        assert.ok(end > one.clock.now && end < one.clock.now + 60 * SECOND, `${end}`);
        one.clock.at(40 * SECOND);
        assert.equal(await one.ask(), 'alice');
        assert.equal((await accountOf(one, 'alice')).state, 'serving');
        assert.ok(one.login.counts.refresh <= 1);
    }));

test('a login that is dead needs a person, however long it is', () =>
    using({}, async (one) => {
        one.login.revoke('alice');
        one.login.revokeRefresh('alice');
        assertError(await one.call(), 401);
        one.clock.at(20 * HOUR);
        assertError(await one.call(), 401, { code: 'accounts_need_sign_in' });
        assert.equal((await accountOf(one, 'alice')).state, 'needs_sign_in');
        assert.equal(one.login.counts.refresh, 1);
        assert.equal(one.login.counts.chat, 1);
    }));

test('on_error that goes on where a token would be renewed: the account pauses', () =>
    using(
        {
            logins: { alice: {}, bob: {} },
            policy: inOrder('on_error = function() return "next_account" end'),
        },
        async (one) => {
            one.clock.at(0);
            one.login.revoke('alice');
            for (let i = 0; i < 3; i++) {
                one.clock.at(100);
                assert.equal(await one.ask(), 'bob');
            }
            assert.equal(one.login.of('chat', 'alice').length, 1);
            assert.equal(one.login.counts.refresh, 0);
        },
    ));

// ---- a login, or a key, in the place of another

test('a dead login that is replaced in the environment serves after the restart', async () => {
    const one = await Logins.open();
    const restart = async (login) => {
        await one.gateway?.stop();
        one.gateway = await startGateway({
            dataDir: one.dataDir,
            conf: {
                'gateway.lua': `return { providers = { { name = "qwen-oauth", plugin = "qwen",
                    options = { plan = "oauth", auth_url = "${one.login.origin()}" } } } }`,
            },
            env: { LLM_GATE_ALLOW_PRIVATE: 1, QWEN_CREDS_JSON: JSON.stringify(login) },
        });
    };
    try {
        const old = one.login.issue('old', { lifetime: -60 });
        one.login.revokeRefresh('old');
        await restart(old);
        assertError(await one.call(), 401, { code: 'accounts_need_sign_in' });
        const fresh = one.login.issue('new');
        await restart(fresh);
        assert.equal(await one.ask(), 'new');
        await restart(fresh); // the condition of the old one is gone from the record too
        assert.equal(await one.ask(), 'new');
        assert.ok((await accounts(one)).every(({ state }) => state === 'serving'));
    } finally {
        await one.stop();
    }
});

for (const [what, first, second] of [
    ['a login', 'api_key', 'oauth'],
    ['a key', 'oauth', 'api_key'],
]) {
    test(`${what} in the place of an account of another kind`, async () => {
        const one = await Logins.open();
        const restart = async (kind) => {
            await one.gateway?.stop();
            const secret = kind === 'oauth' ? one.login.issue('alice') : one.login.addKey('alice');
            one.gateway = await startGateway({
                dataDir: one.dataDir,
                conf: {
                    'gateway.lua': `return { providers = { { name = "q", plugin = "qwen",
                        accounts = { { alias = "one", key_env = "ONE",
                            oauth = ${kind === 'oauth'} } },
                        options = { auth_url = "${one.login.origin()}", models = { "${MODEL}" },
                            base_url = "${one.login.base}" } } } }`,
                },
                env: {
                    LLM_GATE_ALLOW_PRIVATE: 1,
                    ONE: kind === 'oauth' ? JSON.stringify(secret) : secret,
                },
            });
        };
        try {
            await restart(first);
            assert.equal(await one.ask(), 'alice');
            await restart(second);
            const account = await accountOf(one, 'one');
            assert.equal(account.kind, second);
            assert.equal(account.state, 'serving');
            assert.equal(await one.ask(), 'alice');
        } finally {
            await one.stop();
        }
    });
}
