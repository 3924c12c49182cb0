// POST /v1/tools/web_search over the pool of logins.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { LoginService } from '../upstream/oauth.mjs';
import { assertError, startGateway, stopAll, tempDir } from './helper.mjs';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

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
