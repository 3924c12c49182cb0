// Logins whose tokens end: renewed before their end, once for all who wait, and told from logins
// that are dead. The login service is a mock, the clock is virtual for both.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertError, slow, until } from './helper.mjs';
import { HOUR, Logins, SECOND, failing, refusedToken, using } from './logins.mjs';

// ---- a token that is refused, or over

test('401 for a token: one refresh, one retry', () =>
    using({}, async (one) => {
        one.login.revoke('alice');
        assert.equal(await one.ask(), 'alice');
        assert.equal(one.login.counts.refresh, 1);
        assert.deepEqual(one.login.of('chat').map(({ accepted }) => accepted), [false, true]);
        assert.equal(await one.ask({ stream: true }), 'alice');
        assert.equal(one.login.counts.refresh, 1);
    }));

test('401 for the renewed token too: the next account, and the first is not asked again', () =>
    using({ logins: { alice: {}, bob: {} } }, async (one) => {
        one.login.chat('alice', refusedToken);
        assert.equal(await one.ask(), 'bob');
        assert.equal(one.login.counts.refresh, 1);
        assert.equal(one.login.of('chat', 'alice').length, 2);
        for (let i = 0; i < 4; i++) {
            assert.equal(await one.ask(), 'bob');
        }
        assert.equal(one.login.of('chat', 'alice').length, 2);
        assert.equal(one.login.counts.refresh, 1);
    }));

test('a token that is over is renewed before it is sent', () =>
    using({ logins: { alice: { lifetime: -60 } } }, async (one) => {
        assert.equal(await one.ask(), 'alice');
        assert.equal(one.login.counts.refresh, 1);
        assert.ok(one.login.of('chat').every(({ accepted }) => accepted));
        one.clock.at(HOUR + 10 * SECOND);
        assert.equal(await one.ask(), 'alice');
        assert.equal(one.login.counts.refresh, 2);
        assert.equal(one.login.deadRefreshUses, 0);
    }));

test('while one account’s token is renewed another serves', () =>
    using(
        { logins: { alice: { lifetime: -60 }, bob: {} }, before: failing('hang') },
        async (one) => {
            for (let i = 0; i < 3; i++) {
                assert.equal(await one.ask(), 'bob');
            }
            assert.equal(one.login.of('chat', 'alice').length, 0);
        },
    ));

test('a target that needs no renewal is asked before one that does', () =>
    using(
        {
            logins: { alice: { lifetime: -60 } },
            before: failing('hang'),
            route: 'return function() return { "logins/coder-model", "echo" } end',
        },
        async (one) => {
            assert.equal(await one.ask(), 'Say hello.');
            assert.equal(one.login.counts.chat, 0);
        },
    ));

// ---- a thousand at a time

const MANY = Math.round(1000 / slow);

for (const what of ['is over', 'is refused']) {
    test(`many requests on a token that ${what}: exactly one refresh, and all succeed`, () =>
        using({ env: { LLM_GATE_WORKERS: 2 } }, async (one) => {
            one.login.refreshes('slow');
            if (what === 'is over') {
                one.clock.at(HOUR + 10 * SECOND);
            } else {
                one.login.revoke('alice');
            }
            const answers = Array.from({ length: MANY }, () => one.ask());
            await until(() => one.login.held.length === 1);
            one.login.release();
            assert.ok((await Promise.all(answers)).every((name) => name === 'alice'));
            assert.equal(one.login.counts.refresh, 1);
            assert.equal(one.login.deadRefreshUses, 0);
        }));
}

test('many requests on a login that is dead: one refresh, and all are told', () =>
    using(
        {
            logins: { alice: { lifetime: -60 } },
            env: { LLM_GATE_WORKERS: 2 },
            before: failing('dead'),
        },
        async (one) => {
            const answers = await Promise.all(Array.from({ length: 200 }, () => one.call()));
            for (const answer of answers) {
                assertError(answer, 401, {
                    type: 'authentication_error',
                    code: 'accounts_need_sign_in',
                    message: /logins\/alice: needs a sign-in/,
                });
            }
            assert.equal(one.login.counts.refresh, 1);
        },
    ));

// ---- before the end

test('a token is renewed before its end, and requests do not wait for that', () =>
    using({}, async (one) => {
        one.login.refreshes('slow');
        assert.equal(await one.ask(), 'alice');
        assert.equal(one.login.counts.refresh, 0);
        const [first] = one.login.of('chat');
        await one.nearEnd();
        assert.equal(await one.ask(), 'alice', 'with the old token meanwhile');
        assert.equal(one.login.of('chat').pop().token, first.token);
        one.login.release();
        one.clock.at(HOUR + 10 * SECOND);
        assert.equal(await one.ask(), 'alice');
        assert.equal(one.login.counts.refresh, 1);
        assert.ok(one.login.of('chat').every(({ accepted }) => accepted));
    }));

test('accounts that are not chosen are kept alive too', () =>
    using(
        {
            logins: { alice: {}, bob: {} },
            policy: 'return { accounts = { bob = { weight = 0 } } }',
        },
        async (one) => {
            assert.equal(await one.ask(), 'alice');
            await one.nearEnd(2);
            const accounts = one.login.of('refresh').map(({ account }) => account);
            assert.deepEqual(accounts.sort(), ['alice', 'bob']);
        },
    ));

// ---- refreshes that fail

test('a dead login: nothing is tried again, another account serves', () =>
    using({ logins: { alice: {}, bob: {} } }, async (one) => {
        one.login.revoke('alice');
        one.login.refreshMode = 'dead';
        for (let i = 0; i < 4; i++) {
            assert.equal(await one.ask(), 'bob');
        }
        one.clock.at(24 * HOUR);
        one.login.refreshMode = 'rotate';
        for (let i = 0; i < 4; i++) {
            assert.equal(await one.ask(), 'bob');
        }
        assert.equal(one.login.of('refresh', 'alice').length, 1);
        assert.equal(one.login.of('chat', 'alice').length, 1);
    }));

test('a dead login that is the only one: 401, from then on without asking anybody', () =>
    using({}, async (one) => {
        one.login.revoke('alice');
        one.login.refreshMode = 'dead';
        assertError(await one.call(), 401);
        for (let i = 0; i < 3; i++) {
            assertError(await one.call(), 401, {
                type: 'authentication_error',
                code: 'accounts_need_sign_in',
                message: /logins\/alice: needs a sign-in/,
            });
        }
        assert.equal(one.login.counts.refresh, 1);
        assert.equal(one.login.counts.chat, 1);
    }));

test('a login without a refresh token: 401, and the login service is not asked', () =>
    using({ logins: { alice: { lifetime: -60, refresh_token: undefined } } }, async (one) => {
        assertError(await one.call(), 401, { code: 'accounts_need_sign_in' });
        assert.equal(one.login.counts.refresh, 0);
    }));

for (const mode of ['html', '500', '429', 'garbage', 'reset']) {
    test(`a refresh that brings nothing (${mode}): not a dead login, tried again later`, () =>
        using({ logins: { alice: { lifetime: -60 } }, before: failing(mode) }, async (one) => {
            one.clock.at(0);
            for (let i = 0; i < 3; i++) {
                assertError(await one.call(), 503, {
                    code: 'no_account_available',
                    message: /logins\/alice: its token has expired and could not be renewed/,
                });
            }
            const tries = one.login.counts.refresh;
            assert.ok(tries <= 2, `${tries} refreshes`); // of a reset one there may be a second
            await one.gateway.waitLog(/its token could not be refreshed/);
            one.login.refreshMode = 'rotate';
            one.clock.at(5 * SECOND);
            assert.equal(await one.ask(), 'alice');
            assert.equal(one.login.counts.refresh, tries + 1);
            assert.doesNotMatch(one.gateway.log, /needs? a sign-in|sign in again/);
        }));
}

test('a refresh that fails while the token lives: nobody notices', () =>
    using({}, async (one) => {
        one.login.refreshMode = 'html';
        await one.nearEnd();
        await one.gateway.waitLog(/its token could not be refreshed/);
        assert.equal(await one.ask(), 'alice');
        one.login.refreshMode = 'rotate';
        await one.nearEnd(one.login.counts.refresh + 1);
        const count = one.login.counts.refresh;
        one.clock.at(HOUR + 10 * SECOND);
        assert.equal(await one.ask(), 'alice');
        assert.equal(one.login.counts.refresh, count);
        assert.ok(one.login.of('chat').every(({ accepted }) => accepted));
    }));

// ---- what is kept

for (const mode of ['rotate', 'keep', 'omit']) {
    test(`a second start goes on with the newest login (${mode})`, async () => {
        const one = await Logins.open({ logins: { alice: { lifetime: -60 } } });
        try {
            one.login.refreshMode = mode;
            await one.start();
            assert.equal(await one.ask(), 'alice');
            await one.gateway.stop();

            await one.start(); // with the old login in its environment
            assert.equal(await one.ask(), 'alice');
            assert.equal(one.login.counts.refresh, 1);
            one.clock.at(HOUR + 10 * SECOND);
            assert.equal(await one.ask(), 'alice');
            assert.equal(one.login.counts.refresh, 2);
            assert.equal(one.login.deadRefreshUses, 0);
        } finally {
            await one.stop();
        }
    });
}

test('killed right after a refresh: the new login is on record', async () => {
    const one = await Logins.open({ logins: { alice: { lifetime: -60 } } });
    try {
        await one.start();
        assert.equal(await one.ask(), 'alice');
        one.gateway.signal('SIGKILL');
        await one.gateway.exited;
        await one.start();
        assert.equal(await one.ask(), 'alice');
        assert.equal(one.login.counts.refresh, 1);
        assert.equal(one.login.deadRefreshUses, 0);
    } finally {
        await one.stop();
    }
});

test('a dead login is still dead after a restart', async () => {
    const one = await Logins.open({ logins: { alice: { lifetime: -60 } } });
    try {
        one.login.refreshMode = 'dead';
        await one.start();
        assertError(await one.call(), 401);
        await one.gateway.stop();
        await one.start();
        assertError(await one.call(), 401, { code: 'accounts_need_sign_in' });
    } finally {
        await one.stop();
    }
});

test('no login lies in the data directory as text', () =>
    using({ logins: { alice: { lifetime: -60 } } }, async (one) => {
        assert.equal(await one.ask(), 'alice');
        const files = readdirSync(one.dataDir, { recursive: true, withFileTypes: true }).filter(
            (entry) => entry.isFile(),
        );
        assert.ok(files.length > 2);
        for (const file of files) {
            const bytes = readFileSync(join(file.parentPath ?? file.path, file.name));
            for (const secret of one.login.secrets) {
                assert.ok(!bytes.includes(secret), file.name);
            }
        }
    }));
