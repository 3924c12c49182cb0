// POST /v1/tools/web_search over the pool of logins.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { LoginService } from '../upstream/oauth.mjs';
import { Clock } from './accounts.mjs';
import { assertError, startGateway, stopAll, tempDir } from './helper.mjs';

const path = '/v1/tools/web_search';
let login, gateway;

before(async () => {
    const home = tempDir('search');
    login = await LoginService.start();
    for (const name of ['ann', 'ben']) {
        writeFileSync(join(home, `qwen_creds_${name}.json`), JSON.stringify(login.issue(name)));
    }
    gateway = await startGateway({
        cwd: home,
        env: { LLM_GATE_ALLOW_PRIVATE: 1, SEARCH_DAILY_LIMIT: 4 },
        conf: {
            'gateway.lua': `return { providers = { { name = "qwen-oauth", plugin = "qwen",
                options = { auth_url = "${login.origin()}", base_url = "${login.base}" } } } }`,
        },
    });
});
after(() => stopAll(gateway, login));

const search = (body, options = {}) => gateway.call({ path, body, ...options });

test('results in the form of the gateway, whatever the service calls them', async () => {
    const answer = await search({ query: 'what is "new"?' });
    assert.equal(answer.status, 200, answer.text);
    assert.deepEqual(answer.json, {
        success: true,
        query: 'what is "new"?',
        results: [
            {
                title: 'First',
                url: 'https://one.example/',
                content: 'The first result.',
                score: 0.9,
                publishedDate: '2025-01-02 03:04:05',
            },
            {
                title: 'Second',
                url: 'https://two.example/',
                content: 'The second.',
                score: 0.5,
                publishedDate: '',
            },
        ],
    });
    assert.deepEqual(login.faults, []);
});

test('an account whose token is refused renews it, once, and the search succeeds', async () => {
    const refreshes = login.counts.refresh;
    login.revoke('ann');
    login.revoke('ben');
    assert.equal((await search({ query: 'again' })).status, 200);
    assert.equal(login.counts.refresh, refreshes + 1);
});

test('wrong input says what is wrong', async () => {
    for (const [body, what] of [
        ['{', /JSON|valid/],
        ['[]', /object/],
        ['{}', /query/],
        ['{"query":7}', /query/],
        ['{"query":""}', /query/],
        [JSON.stringify({ query: 'x'.repeat(5000) }), /query/],
        ['{"query":"x","rows":0}', /rows/],
    ]) {
        const answer = await search(body);
        assertError(answer, 400, { message: what }, body.slice(0, 40));
    }
    assert.equal((await search({ query: 'x' }, { key: 'wrong-key-0123456789' })).status, 401);
    assert.equal((await gateway.call({ method: 'GET', path })).status, 405);
});

test('the quota of searches is one of its own; full is 429 at once', async () => {
    let answer;
    let good = 0;
    for (let i = 0; i < 12; i++) {
        answer = await search({ query: `n${i}` });
        good += answer.status === 200 ? 1 : 0;
    }
    assertError(answer, 429, { code: 'accounts_limited', message: /rpd/ });
    assert.ok(Number(answer.headers['retry-after']) > 0);
    assert.ok(good >= 4 && good <= 6, String(good)); // 2 accounts of 4, some were used above
    assert.equal((await gateway.chat('coder-model')).status, 200);
});

// ---- searches and chat do not spoil each other

const admin = async (where) =>
    (await where.call({ method: 'GET', path: '/admin/api/accounts' })).json.accounts;

test('an account that cannot search is passed by, and goes on with chat', async () => {
    const one = await LoginService.start();
    const key = one.addKey('kim');
    const both = await startGateway({
        env: { LLM_GATE_ALLOW_PRIVATE: 1, KEY: key, LOGIN: JSON.stringify(one.issue('lea')) },
        conf: {
            'gateway.lua': `return { providers = {
                { name = "keys", plugin = "qwen", accounts = { { alias = "k", key_env = "KEY" } },
                  options = { base_url = "${one.base}", models = { "m" } } },
                { name = "logins", plugin = "qwen",
                  accounts = { { alias = "l", key_env = "LOGIN", oauth = true } },
                  options = { auth_url = "${one.origin()}", models = { "n" } } } } }`,
        },
    });
    try {
        for (let i = 0; i < 3; i++) {
            const answer = await both.call({ path, body: { query: 'x' } });
            assert.equal(answer.status, 200, answer.text);
        }
        for (const account of await admin(both)) {
            assert.equal(account.state, 'serving', account.id);
            assert.equal(account.last_error, null, account.id);
        }
        assert.match((await both.chat('m')).text, /Hello from kim/);
        assert.match((await both.chat('n')).text, /Hello from lea/);
    } finally {
        await stopAll(both, one);
    }
});

test('a limit of searches stops searches, not chat, and ends when it said', async () => {
    const clock = new Clock();
    const one = await LoginService.start({ clock: () => clock.now });
    const alone = await startGateway({
        env: {
            LLM_GATE_ALLOW_PRIVATE: 1,
            LLM_GATE_CLOCK_FILE: clock.path,
            LOGIN: JSON.stringify(one.issue('lea')),
        },
        conf: {
            'gateway.lua': `return { providers = { { name = "logins", plugin = "qwen",
                  accounts = { { alias = "l", key_env = "LOGIN", oauth = true } },
                  options = { auth_url = "${one.origin()}", models = { "n" } } } } }`,
        },
    });
    const find = () => alone.call({ path, body: { query: 'x' } });
    try {
        clock.at(0);
        one.mock.push({
            status: 429,
            headers: { 'Retry-After': '300' },
            body: JSON.stringify({
                error: { message: 'Too many', type: 'x', param: null, code: 'rate_limit_exceeded' },
            }),
        });
        assertError(await find(), 429);
        const searches = one.counts.search;
        assertError(await find(), 429, { code: 'accounts_limited' });
        assert.equal(one.counts.search, searches, 'not asked again');
        assert.equal((await alone.chat('n')).status, 200);
        const [account] = (await admin(alone)).filter(({ alias }) => alias === 'l');
        assert.equal(account.state, 'serving');
        clock.at(302 * 1000);
        assert.equal((await find()).status, 200);
    } finally {
        await stopAll(alone, one);
    }
});
