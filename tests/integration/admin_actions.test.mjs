// The admin API's actions: test, refresh, models, bulk, import, device logins; and web search.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Rig } from './admin_rig.mjs';
import { assertError, slow, until } from './helper.mjs';
import { HANG } from '../upstream/oauth_answers.mjs';
import { refusals } from '../upstream/scenarios.mjs';

let rig;
before(async () => {
    rig = await Rig.start();
});
after(() => rig.stop());

const testOf = (id, body) => rig.ask('POST', `/accounts/${id}/test`, body);
const oauthOf = ({ login }, name, more) => ({
    provider: 'qwen-oauth',
    name,
    oauth: login.issue(name, more),
});
const oauth = (name, more) => oauthOf(rig, name, more);

// ---------------------------------------------------------------- test

test('test: a good answer, and what was sent', async () => {
    const seen = rig.mock.requests.length;
    const result = await testOf('openai/0', { model: 'gpt-4.1-mini' });
    assert.deepEqual(Object.keys(result), [
        'ok',
        'account',
        'model',
        'status',
        'latency_ms',
        'verdict',
        'code',
        'message',
    ]);
    assert.equal(result.ok, true);
    assert.equal(result.status, 200);
    assert.equal(result.verdict, 'ok');
    assert.equal(rig.mock.requests.length, seen + 1);
    const sent = rig.mock.last;
    assert.equal(sent.path, '/v1/chat/completions');
    assert.equal(sent.header('authorization'), 'Bearer sk-of-the-environment');
    assert.deepEqual(sent.json, {
        model: 'gpt-4.1-mini',
        messages: [{ role: 'user', content: 'ping' }],
        max_tokens: 1,
    });
    const { quota, served, last_error: error } = await rig.account('openai/0');
    assert.equal(served, 1);
    assert.equal(error, null);
    assert.equal(quota.chat.requests_day.used, 1);
    assert.equal(quota.chat.tokens_day.used, 3); // as the answer says
    assert.equal(quota.chat.concurrency.used, 0);
});

test('test: a login names its own model; echo answers without a network', async () => {
    await rig.add(oauth('tester'));
    assert.equal((await testOf('qwen-oauth/tester')).model, 'coder-model');
    assert.equal(rig.login.of('chat', 'tester').length, 1);
    const echo = await testOf('echo/0');
    assert.equal(echo.ok, true);
    assert.equal(echo.model, 'echo');
});

test('test: failures are told, noted, and pause nothing', async () => {
    const tries = [
        [refusals['invalid-token'], 'auth'],
        [{ status: 503, body: '{"error":{"message":"busy"}}' }, 'overloaded'],
        [{ body: '<html>captcha</html>' }, 'blocked'],
        [{ body: 'hello' }, 'garbage'],
        [{ raw: '', end: 'reset' }, 'network'],
    ];
    for (const [scenario, verdict] of tries) {
        rig.mock.push(scenario);
        const result = await testOf('openai/0', { model: 'm' });
        assert.equal(result.ok, false);
        assert.equal(result.verdict, verdict, JSON.stringify(result));
        assert.notEqual(result.message, null);
        const { state, last_error: error } = await rig.account('openai/0');
        assert.equal(state, 'serving');
        assert.equal(error.verdict, verdict);
    }
});

test('test: an expired token is refreshed first; a dead login says so', async () => {
    await rig.add(oauth('expired', { lifetime: -10 }));
    assert.equal((await testOf('qwen-oauth/expired')).ok, true);
    const creds = rig.login.issue('dead', { lifetime: -10 });
    rig.login.revokeRefresh('dead');
    await rig.add({ provider: 'qwen-oauth', name: 'dead', oauth: creds });
    const result = await testOf('qwen-oauth/dead');
    assert.equal(result.ok, false);
    assert.equal(result.verdict, 'auth');
    assert.equal(rig.login.of('chat', 'dead').length, 0);
    assert.equal((await rig.account('qwen-oauth/dead')).state, 'needs_sign_in');
});

test('test: it respects the limit, and takes a pause off', async () => {
    await rig.add({
        provider: 'openai',
        name: 'small',
        api_key: 'sk-small',
        limits: { chat: { rpd: 1 } },
    });
    assert.equal((await testOf('openai/small', { model: 'm' })).ok, true);
    const seen = rig.mock.requests.length;
    const full = await testOf('openai/small', { model: 'm' });
    assert.equal(full.verdict, 'quota_exhausted');
    assert.match(full.message, /rpd/);
    assert.equal(rig.mock.requests.length, seen);
    const { state, condition } = await rig.account('openai/small');
    assert.deepEqual([state, condition], ['exhausted', 'serving']);

    await rig.ask('PATCH', '/accounts/openai/small', { limits: null });
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: false });
    rig.mock.push(refusals['invalid-token']);
    assertError(await rig.gateway.chat('openai/m'), 401);
    assert.equal((await rig.account('openai/small')).condition, 'needs_sign_in');
    assert.equal((await testOf('openai/small', { model: 'm' })).ok, true);
    assert.equal((await rig.account('openai/small')).condition, 'serving');
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: true });
});

test('clear takes a pause off', async () => {
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: false });
    rig.mock.push(refusals['invalid-token']);
    assertError(await rig.gateway.chat('openai/m'), 401);
    const account = (await rig.ask('POST', '/accounts/openai/small/clear')).account;
    assert.equal(account.condition, 'serving');
    assert.equal((await rig.gateway.chat('openai/m')).status, 200);
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: true });
});

// ---------------------------------------------------------------- refresh

test('refresh: a new token; one refresh for all that ask', async () => {
    const made = await rig.add(oauth('fresh', { lifetime: 1000 }));
    rig.login.refreshes('slow');
    const before = rig.login.counts.refresh;
    const dead = rig.login.deadRefreshUses;
    const asks = [1, 2, 3].map(() => rig.ask('POST', '/accounts/qwen-oauth/fresh/refresh'));
    await rig.login.called('refresh', before + 1);
    await rig.ask('GET', '/stats'); // the API goes on meanwhile
    rig.login.release();
    for (const { account } of await Promise.all(asks)) {
        assert.ok(account.expires_at > made.expires_at);
    }
    assert.equal(rig.login.counts.refresh, before + 1);
    assert.equal(rig.login.deadRefreshUses, dead);
});

test('refresh: what goes wrong', async () => {
    await rig.add(oauth('weak'));
    assertError(await rig.call('POST', '/accounts/openai/0/refresh'), 409, { code: 'no_refresh' });
    rig.login.refreshes('html');
    assertError(await rig.call('POST', '/accounts/qwen-oauth/weak/refresh'), 503, {
        code: 'unavailable',
    });
    assert.equal((await rig.account('qwen-oauth/weak')).state, 'serving');
    rig.login.refreshes('dead');
    assertError(await rig.call('POST', '/accounts/qwen-oauth/weak/refresh'), 409, {
        code: 'needs_sign_in',
    });
    assert.equal((await rig.account('qwen-oauth/weak')).state, 'needs_sign_in');
});

// ---------------------------------------------------------------- models

test('models: what the service lists, asked with the account\'s credential', async () => {
    const { id } = await rig.add(oauth('lister'));
    assert.deepEqual(await rig.ask('GET', `/accounts/${id}/models`), {
        models: ['coder-model', 'vision-model'],
    });
    assert.equal(rig.login.of('models', 'lister').length, 1);
    const { quota, served, last_used: used } = await rig.account(id);
    assert.deepEqual([quota.chat.requests_day.used, served, used], [0, 0, null]);

    const data = [{ id: 'b/2' }, { id: 'a "1"' }, { object: 'model' }, { id: 7 }];
    rig.mock.push({ body: JSON.stringify({ data }) });
    const path = `/accounts/${encodeURIComponent('openai/0')}/models`;
    assert.deepEqual(await rig.ask('GET', path), { models: ['b/2', 'a "1"'] });
    const sent = rig.mock.last;
    assert.deepEqual([sent.method, sent.path], ['GET', '/v1/models']);
    assert.equal(sent.header('authorization'), 'Bearer sk-of-the-environment');
    rig.mock.push({ body: '{"data":[]}' });
    assert.deepEqual(await rig.ask('GET', path), { models: [] });
});

test('models: an expired token is refreshed first; a dead login says so', async () => {
    await rig.add(oauth('old-lister', { lifetime: -10 }));
    const { models } = await rig.ask('GET', '/accounts/qwen-oauth/old-lister/models');
    assert.deepEqual(models, rig.login.models);
    const creds = rig.login.issue('dead-lister', { lifetime: -10 });
    rig.login.revokeRefresh('dead-lister');
    await rig.add({ provider: 'qwen-oauth', name: 'dead-lister', oauth: creds });
    assertError(await rig.call('GET', '/accounts/qwen-oauth/dead-lister/models'), 409, {
        code: 'needs_sign_in',
    });
    assert.equal(rig.login.of('models', 'dead-lister').length, 0);
});

test('models: what goes wrong changes nothing', async () => {
    const refused = async (id, status, code, message) =>
        assertError(await rig.call('GET', `/accounts/${id}/models`), status, { code, message });
    const before = await rig.account('openai/0');
    await refused('echo/0', 404, 'no_models');
    await refused('openai/nobody', 404, 'not_found');
    assertError(await rig.call('GET', '/accounts/openai/0/models?limit=3'), 400);
    assertError(await rig.call('POST', '/accounts/openai/0/models'), 405, { message: /GET/ });
    for (const [scenario, status, code] of [
        [refusals['invalid-token'], 409, 'denied'],
        [refusals['rate-limit'], 503, 'unavailable'],
        [{ status: 503, body: '{"error":{"message":"busy"}}' }, 503, 'unavailable'],
        [{ status: 404, body: '' }, 503, 'unavailable'],
        [{ body: '<html>captcha</html>' }, 503, 'unavailable'],
        [{ body: '{"choices":[]}' }, 503, 'unavailable'],
        [{ raw: '', end: 'reset' }, 503, 'unavailable'],
    ]) {
        rig.mock.push(scenario);
        await refused('openai/0', status, code, /openai\/0: ./);
    }
    assert.deepEqual(await rig.account('openai/0'), before);
    const { id } = await rig.add(oauth('gone-lister'));
    await rig.ask('DELETE', `/accounts/${id}`);
    await refused(id, 409, 'deleted');
});

test('models: an account of that name keeps its address', async () => {
    await rig.add({ provider: 'openai', name: 'models', api_key: 'sk-models' });
    assert.equal((await rig.account('openai/models')).id, 'openai/models');
    rig.mock.push({ body: '{"data":[{"id":"m"}]}' });
    const { models } = await rig.ask('GET', '/accounts/openai/models/models');
    assert.deepEqual(models, ['m']);
    assert.equal(rig.mock.last.header('authorization'), 'Bearer sk-models');
    await rig.ask('DELETE', '/accounts/openai/models?purge=1');
});

test('the gateway stops while requests wait for a service', async () => {
    const other = await Rig.start({ env: { LLM_GATE_DRAIN_MS: 100 } });
    const { id } = await other.add(oauthOf(other, 'silent'));
    other.login.chat('silent', HANG);
    other.login.list = function list(request) {
        this.record('models', request);
        return HANG;
    };
    const waiting = [
        ['POST', 'test'],
        ['GET', 'models'],
        ['GET', 'models'],
    ].map(([method, what]) =>
        other
            .call(method, `/accounts/${id}/${what}`)
            .then(({ status }) => status)
            .catch(() => 'cut'),
    );
    await other.login.called('chat');
    await other.login.called('models', 2);
    await other.gateway.stop(); // and it ends well
    for (const status of await Promise.all(waiting)) {
        assert.ok(['cut', 503].includes(status), `${status}`);
    }
    await other.stop();
});

// ---------------------------------------------------------------- bulk and import

test('bulk: each id has its own result', async () => {
    await rig.add(oauth('b1'));
    await rig.add(oauth('b2'));
    const bulk = (ids, action, tag) => rig.ask('POST', '/accounts/bulk', { ids, action, tag });
    const ids = ['qwen-oauth/b1', 'qwen-oauth/b2', 'none/none', 'openai/0'];
    const tagged = await bulk(ids, 'tag', 'night');
    assert.deepEqual(
        tagged.results.map(({ id, ok }) => [id, ok]),
        [
            ['qwen-oauth/b1', true],
            ['qwen-oauth/b2', true],
            ['none/none', false],
            ['openai/0', true],
        ],
    );
    assert.equal(tagged.results[2].error.code, 'not_found');
    assert.deepEqual([tagged.ok, tagged.failed], [3, 1]);
    assert.deepEqual((await rig.account('openai/0')).tags, ['night']);
    await bulk(ids, 'tag', 'night');
    assert.deepEqual((await rig.account('openai/0')).tags, ['night']);
    await bulk(ids, 'untag', 'night');
    assert.deepEqual((await rig.account('openai/0')).tags, []);
    await bulk(ids, 'disable');
    assert.equal((await rig.account('qwen-oauth/b2')).state, 'disabled');
    await bulk(ids, 'enable');
    assert.equal((await rig.account('qwen-oauth/b2')).state, 'serving');
    const refreshed = await bulk(ids, 'refresh');
    assert.deepEqual(
        refreshed.results.map(({ ok, error }) => error?.code ?? ok),
        [true, true, 'not_found', 'no_refresh'],
    );
    const deleted = await bulk(ids, 'delete');
    assert.deepEqual(
        deleted.results.map(({ ok, error }) => error?.code ?? ok),
        [true, true, 'not_found', 'conflict'],
    );
    assert.equal((await bulk(['qwen-oauth/b1'], 'clear')).results[0].error.code, 'conflict');
    assert.equal((await bulk(ids.slice(0, 2), 'restore')).ok, 2);
    assert.equal((await rig.gateway.chat('coder-model')).status, 200);
});

test('import: a file, a list, and what is there already', async () => {
    const one = rig.login.issue('i1');
    const file = JSON.stringify({ ...one, scope: 'anything beside', nested: { more: [1] } });
    const single = await rig.ask('POST', '/accounts/import', file);
    assert.equal(single.added, 1);
    const { account } = single.results[0];
    assert.match(account, /^qwen-oauth\/[0-9a-f]{8}$/);
    assert.equal((await rig.account(account)).origin, 'import');
    assert.equal((await testOf(account)).ok, true);

    const two = rig.login.issue('i2');
    const many = await rig.ask('POST', '/accounts/import', {
        accounts: [
            { alias: 'same', oauth: one },
            { alias: 'second', oauth: two },
            { oauth: JSON.stringify(rig.login.issue('i3')) },
            { oauth: two },
            { oauth: { access_token: 7 } },
            { alias: 'x' },
            { oauth: two, extra: 1 },
            'text',
        ],
    });
    assert.deepEqual(
        many.results.map(({ ok, error }) => error?.code ?? ok),
        [
            'conflict',
            true,
            true,
            'conflict',
            'invalid_value',
            'invalid_value',
            'invalid_value',
            'invalid_value',
        ],
    );
    assert.equal(many.results[0].account, account);
    assert.equal(many.results[1].alias, 'second');
    assert.equal(many.added, 2);
    await rig.ask('DELETE', `/accounts/${account}`);
    const again = await rig.ask('POST', '/accounts/import', file);
    assert.match(again.results[0].error.message, /restore/);
});

// ---------------------------------------------------------------- device logins

const ended = async (id) => {
    let login;
    const end = performance.now() + 10000 * slow;
    do {
        ({ login } = await rig.ask('GET', `/logins/${id}`));
        assert.ok(performance.now() < end, `still ${login.state}`);
    } while (['starting', 'pending'].includes(login.state));
    return login;
};

test('a device login makes an account, another renews it', async () => {
    const answer = await rig.call('POST', '/logins', { provider: 'qwen-oauth', alias: 'phone' });
    assert.equal(answer.status, 201);
    const { login } = answer.json;
    assert.equal(login.state, 'pending');
    assert.match(login.verification_uri_complete, /^https?:/);
    assert.ok(login.expires_at > Date.now());
    assert.ok((await rig.ask('GET', '/logins')).logins.some(({ id }) => id === login.id));
    rig.login.approve(login.user_code, 'phone-1');
    const done = await ended(login.id);
    assert.equal(done.state, 'done');
    const made = await rig.account(done.account);
    assert.equal(made.alias, 'phone');
    assert.equal(made.origin, 'login');

    const renewal = (await rig.ask('POST', '/logins', { account: 'phone' })).login;
    rig.login.approve(renewal.user_code, 'phone-2');
    const renewed = await ended(renewal.id);
    assert.deepEqual([renewed.state, renewed.account], ['done', made.id]);
    assert.equal((await testOf(made.id)).ok, true);
    assert.equal(rig.login.of('chat', 'phone-2').length, 1);
    assertError(await rig.call('POST', '/logins', { account: 'openai/0' }), 400);
    assertError(await rig.call('POST', '/logins', { account: 'phone', alias: 'x' }), 400);
});

test('a device login that is cancelled, denied, or cannot begin', async () => {
    const start = async () =>
        (await rig.ask('POST', '/logins', { provider: 'qwen-oauth' })).login;
    const first = await start();
    const cancelled = (await rig.ask('DELETE', `/logins/${first.id}`)).login;
    assert.equal(cancelled.state, 'cancelled');
    const second = await start();
    rig.login.deny(second.user_code);
    assert.equal((await ended(second.id)).state, 'denied');
    const stays = (await rig.ask('DELETE', `/logins/${second.id}`)).login;
    assert.equal(stays.state, 'denied');
});

// ---------------------------------------------------------------- web search

const search = (body) => rig.gateway.call({ path: '/v1/tools/web_search', body });

test('web search: the answer, and what was asked', async () => {
    const { endpoints } = (await rig.gateway.call({ method: 'GET', path: '/' })).json;
    assert.ok(endpoints.includes('POST /v1/tools/web_search'));
    const answer = await search({ query: 'llm "gateway" \u{1f600}', rows: 2 });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.json.success, true);
    assert.equal(answer.json.query, 'llm "gateway" \u{1f600}');
    assert.equal(answer.json.results.length, 2);
    assert.equal(answer.json.results[0].url, 'https://one.example/');
    assert.equal(answer.headers['access-control-allow-origin'], '*');
    const { uq, rows } = rig.login.of('search').at(-1).request.json;
    assert.deepEqual([uq, rows], ['llm "gateway" \u{1f600}', 2]);
    await search({ query: 'x'.repeat(2000) });
    assert.equal(rig.login.of('search').at(-1).request.json.rows, 10);
    const { requests } = await rig.ask('GET', '/requests?limit=1');
    assert.equal(requests[0].kind, 'search');
});

test('web search: wrong input', async () => {
    const asked = rig.login.counts.search;
    for (const [body, param] of [
        ['nonsense', null],
        ['', null],
        ['["query"]', null],
        ['{"query":"a","query":"b"}', null],
        [{}, 'query'],
        [{ query: '' }, 'query'],
        [{ query: 5 }, 'query'],
        [{ query: 'ü'.repeat(2001) }, 'query'],
        [{ query: 'a', rows: 0 }, 'rows'],
        [{ query: 'a', rows: 101 }, 'rows'],
        [{ query: 'a', rows: 1.5 }, 'rows'],
        [{ query: 'a', rows: '5' }, 'rows'],
        [{ query: 'a', max_results: 5 }, 'max_results'],
    ]) {
        assertError(await search(body), 400, { param }, JSON.stringify(body).slice(0, 60));
    }
    assertError(await search({ query: 'x'.repeat(70000) }), 413);
    assertError(await rig.gateway.call({ method: 'GET', path: '/v1/tools/web_search' }), 405);
    assertError(await rig.gateway.call({ path: '/v1/tools/web_search', key: 'x', body: {} }), 401);
    assert.equal(rig.login.counts.search, asked);
});

test('nothing was sent to the login service that it does not know', async () => {
    await until(() => rig.login.faults.length === 0, { what: () => rig.login.faults.join('; ') });
});
