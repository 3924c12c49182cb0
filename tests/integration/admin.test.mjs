// The accounts of the admin API: what docs/admin-api.md says is run as it stands there, and each
// address is tried with what is right and what is wrong.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Rig } from './admin_rig.mjs';
import { API_KEY, assertError, project, slow, tempDir } from './helper.mjs';

const page = readFileSync(join(project, 'docs/admin-api.md'), 'utf8');
const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map((match) => match[1]);

let rig;
before(async () => {
    rig = await Rig.start({ dataDir: join(tempDir('admin'), 'data') });
});
after(() => rig.stop());

const cut = (text) => text.slice(0, 300);

// ---------------------------------------------------------------- the page

// All blocks of the page, one after the other, in one shell. Every answer must be good and JSON.
async function runPage(login, gateway) {
    const cwd = tempDir('page');
    const out = join(cwd, 'answers');
    writeFileSync(join(cwd, 'oauth_creds.json'), JSON.stringify(login.issue('page')));
    const script = `set -euo pipefail
curl() {
    command curl --fail-with-body -o answer "$@" || { cat answer >&2; return 1; }
    cat answer
    { tr -d '\\n' < answer; echo; } >> '${out}'
}
${blocks.join('\n')}`;
    const child = spawn('bash', ['-c', script], {
        cwd,
        env: { PATH: process.env.PATH, HOME: cwd, GATE: gateway.origin, API_KEY },
        stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (text) => (errors += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), 60000 * slow);
    const [code] = await once(child, 'close');
    clearTimeout(timer);
    return { code, errors, answers: readFileSync(out, 'utf8').trim().split('\n') };
}

test('the page: every curl line works', async () => {
    const fresh = await Rig.start();
    try {
        const { code, errors, answers } = await runPage(fresh.login, fresh.gateway);
        assert.equal(code, 0, errors);
        const lines = blocks.join('').match(/\bcurl /g).length;
        assert.equal(answers.length, lines);
        for (const answer of answers) {
            assert.ok(!('error' in JSON.parse(answer)), answer);
        }
        const left = await fresh.ask('GET', '/accounts?provider=openai');
        assert.deepEqual(
            left.accounts.map(({ id }) => id),
            ['openai/0'],
        );
    } finally {
        await fresh.stop();
    }
});

test('the page: it has a heading for every address', () => {
    const table = readFileSync(join(project, 'core/admin/api.c'), 'utf8');
    const routes = [...table.matchAll(/\{"([A-Z]+)", "(\/[^"]*)", admin_/g)];
    assert.ok(routes.length > 20);
    const headings = page.match(/^### .*$/gm).join('\n');
    for (const [, method, path] of routes) {
        const wanted = `${method} ${path.replace('*', '{id}')}`;
        const found = new RegExp(`${wanted.replace(/[{}/]/g, '\\$&')}(,|$)`, 'm').test(headings);
        assert.ok(found, `docs/admin-api.md has no heading for ${wanted}`);
    }
});

// ---------------------------------------------------------------- keys and addresses

test('the key: none, a wrong one, the right one', async () => {
    assertError(await rig.call('GET', '/stats', undefined, { key: null }), 401, {
        code: 'missing_api_key',
    });
    const wrong = await rig.call('GET', '/stats', undefined, { key: `${API_KEY}x` });
    assertError(wrong, 401, { code: 'invalid_api_key' });
    assert.equal(wrong.headers['access-control-allow-origin'], undefined);
    assert.equal(wrong.headers['www-authenticate'], 'Bearer');
    // Who has no key learns nothing of what there is.
    assertError(await rig.call('GET', '/nothing', undefined, { key: 'x' }), 401);
    assert.equal((await rig.call('GET', '/stats')).status, 200);
});

test('ADMIN_KEY: it alone opens the API, and nothing else', async () => {
    const ADMIN_KEY = 'admin-it-90c2d5f1aa37';
    const other = await Rig.start({ env: { ADMIN_KEY } });
    try {
        await other.ask('GET', '/stats');
        assertError(await other.call('GET', '/stats', undefined, { key: API_KEY }), 401);
        assertError(await other.gateway.chat('echo', {}, { key: ADMIN_KEY }), 401);
        assert.equal((await other.gateway.chat('echo')).status, 200);
        const config = await other.ask('GET', '/config');
        assert.equal(config.admin_key, true);
        assert.ok(!JSON.stringify(config).includes(ADMIN_KEY));
    } finally {
        await other.stop();
    }
});

test('addresses that do not exist, methods that do not fit', async () => {
    for (const path of ['', '/', '/nothing', '/accounts/', '/stats/x', '/v1', '/accountsx']) {
        assertError(await rig.call('GET', path), 404, { code: 'not_found' }, path);
    }
    for (const [method, path, allowed] of [
        ['PUT', '/accounts', 'GET, POST'],
        ['DELETE', '/accounts', 'GET, POST'],
        ['POST', '/stats', 'GET'],
        ['POST', '/accounts/openai/0', 'GET, PATCH, DELETE'],
        ['PUT', '/accounts/openai/0/test', 'POST, GET, PATCH, DELETE'],
        ['OPTIONS', '/stats', 'GET'],
        ['GET', '/backup', 'POST'],
    ]) {
        const error = assertError(await rig.call(method, path), 405, {
            code: 'method_not_allowed',
        });
        assert.ok(error.message.includes(`Allowed: ${allowed}.`), error.message);
    }
    // HEAD is GET without a body.
    const head = await rig.call('HEAD', '/stats');
    assert.equal(head.status, 200);
    assert.equal(head.body.length, 0);
    assertError(
        await rig.gateway.call({ method: 'GET', path: '/%61dmin/api/stats', key: rig.key }),
        404,
    );
    assertError(await rig.call('GET', '/accounts/openai%2'), 400, { code: 'invalid_path' });
    assertError(await rig.call('GET', '/accounts/openai%00'), 400, { code: 'invalid_path' });
});

test('a body above the cap, and a client that leaves before its answer', async () => {
    const big = JSON.stringify({ provider: 'x'.repeat(4 << 20) });
    assertError(await rig.call('POST', '/accounts', big), 413, { code: 'request_too_large' });
    rig.login.refreshes('slow');
    const account = await rig.add({
        provider: 'qwen-oauth',
        name: 'leaver',
        oauth: rig.login.issue('leaver'),
    });
    const before = rig.login.counts.refresh;
    const client = await rig.gateway.raw();
    await client.send(
        `POST /admin/api/accounts/${account.id}/refresh HTTP/1.1\r\nHost: x\r\n` +
            `Authorization: Bearer ${rig.key}\r\nContent-Length: 0\r\n\r\n`,
    );
    await rig.login.called('refresh', before + 1);
    client.close();
    rig.login.release();
    await rig.ask('GET', '/stats');
    assert.equal((await rig.ask('POST', `/accounts/${account.id}/refresh`)).account.id, account.id);
});

// ---------------------------------------------------------------- input

const bad = [
    ['POST', '/accounts', '', 'invalid_body'],
    ['POST', '/accounts', 'nonsense', 'invalid_body'],
    ['POST', '/accounts', '[]', 'invalid_body'],
    ['POST', '/accounts', '{"provider":"openai","provider":"qwen"}', 'invalid_body'],
    ['POST', '/accounts', `{"a":${'['.repeat(50)}${']'.repeat(50)}}`, 'invalid_body'],
    ['POST', '/accounts', { provider: 'openai', apikey: 'x' }, 'unknown_key', /"apikey".*api_key/],
    ['POST', '/accounts', { api_key: 'x' }, 'missing_key', /provider/],
    ['POST', '/accounts', { provider: 7, api_key: 'x' }, 'invalid_value', /provider/],
    ['POST', '/accounts', { provider: 'openai' }, 'missing_key', /api_key/],
    ['POST', '/accounts', { provider: 'openai', api_key: '' }, 'invalid_value', /api_key/],
    ['POST', '/accounts', { provider: 'openai', api_key: 'x', oauth: {} }, 'invalid_body', /both/],
    ['POST', '/accounts', { provider: 'qwen-oauth', oauth: 'text' }, 'invalid_value', /oauth/],
    ['POST', '/accounts', { provider: 'qwen-oauth', oauth: {} }, 'invalid_value', /access_token/],
    ['POST', '/accounts', { provider: 'qwen-oauth', api_key: 'sk-1' }, 'invalid_value', /API key/],
    ['POST', '/accounts', { provider: 'openai', api_key: 'x', name: 'a/b' }, 'invalid_value'],
    ['POST', '/accounts', { provider: 'openai', api_key: 'x', alias: 'a\nb' }, 'invalid_value'],
    ['POST', '/accounts', { provider: 'openai', api_key: 'x', tags: 'a' }, 'invalid_value', /tags/],
    ['POST', '/accounts', { provider: 'openai', api_key: 'x', tags: ['a b'] }, 'invalid_value'],
    ['POST', '/accounts', { provider: 'openai', api_key: 'x', weight: -1 }, 'invalid_value'],
    ['POST', '/accounts', { provider: 'openai', api_key: 'x', limits: [] }, 'invalid_value'],
    ['PATCH', '/accounts/openai/0', { limits: { chats: {} } }, 'invalid_value', /limits/],
    ['PATCH', '/accounts/openai/0', { limits: { chat: 5 } }, 'invalid_value', /limits.chat/],
    ['PATCH', '/accounts/openai/0', { limits: { chat: { rp: 1 } } }, 'unknown_key', /rp /],
    ['PATCH', '/accounts/openai/0', { limits: { chat: { rpm: 1.5 } } }, 'invalid_value', /rpm/],
    ['PATCH', '/accounts/openai/0', { limits: { chat: { rpm: -1 } } }, 'invalid_value', /rpm/],
    ['PATCH', '/accounts/openai/0', { enabled: 'yes' }, 'invalid_value', /enabled/],
    ['PATCH', '/accounts/openai/0', { weight: 1001 }, 'invalid_value', /weight/],
    ['PATCH', '/accounts/openai/0', { tags: Array(17).fill('a') }, 'invalid_value', /tags/],
    ['PATCH', '/accounts/openai/0', { alias: '' }, 'invalid_value', /alias/],
    ['PATCH', '/accounts/openai/0', { api_key: 'x', alias: 'y' }, 'invalid_body', /alone/],
    ['PATCH', '/accounts/openai/0', { id: 'x' }, 'unknown_key', /alias/],
    ['POST', '/accounts/openai/0/clear', { now: true }, 'unknown_key'],
    ['POST', '/accounts/openai/0/test', { model: 5 }, 'invalid_value', /model/],
    ['POST', '/accounts/openai/0/test', undefined, 'missing_key', /model/],
    ['POST', '/accounts/bulk', { action: 'clear' }, 'invalid_value', /ids/],
    ['POST', '/accounts/bulk', { ids: [1], action: 'clear' }, 'invalid_value', /ids/],
    ['POST', '/accounts/bulk', { ids: ['a'], action: 'explode' }, 'invalid_value', /action/],
    ['POST', '/accounts/bulk', { ids: ['a'], action: 'tag' }, 'invalid_value', /tag/],
    ['POST', '/accounts/bulk', { ids: ['a'], action: 'clear', tag: 'x' }, 'invalid_value', /tag/],
    ['POST', '/accounts/import', { provider: 'qwen-oauth' }, 'missing_key'],
    ['POST', '/accounts/import', { accounts: {} }, 'invalid_value', /accounts/],
    ['POST', '/accounts/import', { accounts: [], more: 1 }, 'unknown_key'],
    ['POST', '/logins', {}, 'missing_key', /provider/],
    ['POST', '/logins', { provider: 'openai' }, 'invalid_value', /no device login/],
    ['POST', '/logins', { provider: 'qwen-oauth', alias: 5 }, 'invalid_value', /alias/],
    ['GET', '/accounts?limit=0', undefined, 'invalid_value', /limit/],
    ['GET', '/accounts?limit=x', undefined, 'invalid_value', /limit/],
    ['GET', '/accounts?sort=id', undefined, 'unknown_parameter', /"sort".*provider\|state/],
    ['GET', '/accounts?tag=a&tag=b', undefined, 'invalid_query', /twice/],
    ['GET', '/accounts?q=%zz', undefined, 'invalid_query'],
    ['GET', '/stats?x=1', undefined, 'unknown_parameter'],
    ['DELETE', '/accounts/openai/0?purge=yes', undefined, 'invalid_value', /purge/],
    ['GET', '/audit?group=week', undefined, 'invalid_value', /minute, hour, day/],
    ['GET', '/audit?from=yesterday', undefined, 'invalid_value', /from/],
    ['GET', '/audit?from=2026-01-02T25:00', undefined, 'invalid_value', /from/],
    ['GET', '/audit?from=2000&to=1000', undefined, 'invalid_value', /before/],
    ['GET', '/audit?from=2020-01-01&to=2026-01-01', undefined, 'invalid_value', /31 days/],
    ['GET', '/audit?kind=image', undefined, 'invalid_value', /chat, search/],
    ['GET', '/audit?after=here', undefined, 'invalid_value', /next/],
    ['GET', '/audit?limit=5001', undefined, 'invalid_value', /limit/],
    ['GET', '/series?range=2h', undefined, 'invalid_value', /1h, 6h, 24h, 30d/],
    ['GET', '/requests?limit=201', undefined, 'invalid_value', /limit/],
    ['GET', '/requests?before=x', undefined, 'invalid_value', /before/],
];

test('what is wrong is refused with 400 and a reason', async () => {
    const before = (await rig.ask('GET', '/accounts?limit=500')).accounts;
    for (const [method, path, body, code, message] of bad) {
        const what = `${method} ${path} ${cut(JSON.stringify(body) ?? '')}:`;
        assertError(await rig.call(method, path, body), 400, { code, message }, what);
    }
    assert.deepEqual(
        (await rig.ask('GET', '/accounts?limit=500')).accounts.map(({ id }) => id),
        before.map(({ id }) => id),
    );
});

test('names that do not exist are 404', async () => {
    for (const [method, path, body] of [
        ['GET', '/accounts/openai/none'],
        ['PATCH', '/accounts/none', { alias: 'x' }],
        ['DELETE', '/accounts/openai/none'],
        ['POST', '/accounts/openai/none/test'],
        ['POST', '/accounts', { provider: 'none', api_key: 'x' }],
        ['POST', '/accounts/import', { provider: 'none', accounts: [] }],
        ['POST', '/logins', { provider: 'none' }],
        ['POST', '/logins', { account: 'none' }],
        ['GET', '/logins/0123'],
        ['DELETE', '/logins/0123'],
        ['GET', '/requests/none'],
    ]) {
        assertError(await rig.call(method, path, body), 404, {}, `${method} ${path}`);
    }
});

// ---------------------------------------------------------------- accounts

test('an account: add, read, change, take back', async () => {
    const made = await rig.add({
        provider: 'openai',
        name: 'life',
        alias: 'Büro "1"',
        api_key: 'sk-life-1',
        tags: ['paid'],
        weight: 3,
        limits: { chat: { rpm: 5, rpd: 0 } },
    });
    assert.equal(made.id, 'openai/life');
    assert.equal(made.alias, 'Büro "1"');
    assert.equal(made.kind, 'api_key');
    assert.equal(made.source, 'stored');
    assert.equal(made.state, 'serving');
    assert.deepEqual(made.tags, ['paid']);
    assert.equal(made.weight, 3);
    assert.deepEqual(made.limits, { chat: { rpm: 5, rpd: 0 } });
    assert.equal(made.effective.limits.chat.rpm, 5);
    assert.equal(made.quota.chat.requests_minute.limit, 5);
    for (const path of ['openai/life', 'openai%2Flife', encodeURIComponent(made.alias)]) {
        assert.equal((await rig.account(path)).id, made.id);
    }
    const changed = await rig.ask('PATCH', '/accounts/openai/life', {
        alias: 'life',
        tags: [],
        enabled: false,
        weight: null,
        limits: { chat: { rpd: 7, rpm: null }, search: { rpd: 9 } },
    });
    assert.equal(changed.account.alias, 'life');
    assert.equal(changed.account.state, 'disabled');
    assert.equal(changed.account.weight, null);
    assert.equal(changed.account.effective.weight, 1);
    assert.deepEqual(changed.account.limits, { chat: { rpd: 7 }, search: { rpd: 9 } });
    assert.equal(changed.account.effective.limits.chat.rpm, 0);
    await rig.restart();
    const again = await rig.account('openai/life');
    assert.deepEqual(again.limits, changed.account.limits);
    assert.equal(again.state, 'disabled');
    const back = await rig.ask('PATCH', '/accounts/openai/life', { limits: null, enabled: true });
    assert.deepEqual(back.account.limits, {});
    assert.equal(back.account.state, 'serving');
    assert.deepEqual((await rig.ask('PATCH', '/accounts/openai/life', {})).account.tags, []);
});

test('no answer shows a secret', async () => {
    const creds = rig.login.issue('hidden');
    await rig.add({ provider: 'openai', name: 'hidden', api_key: 'sk-hidden-9f3c' });
    await rig.add({ provider: 'qwen-oauth', name: 'hidden', oauth: creds });
    for (const path of ['/accounts?limit=500', '/config', '/providers', '/stats', '/requests']) {
        const { text } = await rig.call('GET', path);
        for (const secret of [
            'sk-hidden-9f3c',
            'sk-of-the-environment',
            creds.access_token,
            creds.refresh_token,
            API_KEY,
        ]) {
            assert.ok(!text.includes(secret), `${path} shows ${secret}`);
        }
    }
    assert.ok(!rig.gateway.log.includes('sk-hidden-9f3c'));
});

test('a credential that is there already is a conflict', async () => {
    const creds = rig.login.issue('twice');
    await rig.add({ provider: 'qwen-oauth', name: 'twice', oauth: creds });
    await rig.add({ provider: 'openai', name: 'twice', api_key: 'sk-twice' });
    const oauth = { ...creds, access_token: 'another' };
    for (const body of [
        { provider: 'qwen-oauth', oauth },
        { provider: 'qwen-oauth', oauth: ` ${JSON.stringify(oauth)}` },
        { provider: 'openai', api_key: 'sk-twice' },
        { provider: 'openai', api_key: 'sk-of-the-environment' },
        { provider: 'openai', name: 'twice', api_key: 'sk-else' },
    ]) {
        assertError(await rig.call('POST', '/accounts', body), 409, { code: 'conflict' });
    }
});

test('a change of key takes effect; one of the environment stays', async () => {
    await rig.add({ provider: 'openai', name: 'key', api_key: 'sk-key-1' });
    await rig.ask('POST', '/accounts/openai/key/test', { model: 'm' });
    assert.equal(rig.mock.last.header('authorization'), 'Bearer sk-key-1');
    await rig.ask('PATCH', '/accounts/openai/key', { api_key: 'sk-key-2' });
    await rig.ask('POST', '/accounts/openai/key/test', { model: 'm' });
    assert.equal(rig.mock.last.header('authorization'), 'Bearer sk-key-2');
    assertError(await rig.call('PATCH', '/accounts/openai/0', { api_key: 'x' }), 409, {
        message: /OPENAI_API_KEY/,
    });
    assertError(await rig.call('DELETE', '/accounts/openai/0'), 409, { message: /disable it/ });
    assertError(await rig.call('PATCH', '/accounts/openai/key', { oauth: {} }), 400);
});

test('paging and filters', async () => {
    const names = Array.from({ length: 25 }, (_, i) => `page${String(i).padStart(2, '0')}`);
    for (const name of names) {
        await rig.add({
            provider: 'openai',
            name,
            api_key: `sk-${name}`,
            alias: `Alias ${name.toUpperCase()}`,
            tags: [Number(name.slice(4)) % 2 ? 'odd' : 'even'],
            enabled: !name.endsWith('7'),
        });
    }
    const all = [];
    let after = '';
    for (;;) {
        const more = await rig.ask('GET', `/accounts?q=PAGE&limit=10&after=${after}`);
        assert.equal(more.total, 25);
        all.push(...more.accounts.map(({ id }) => id));
        if (more.next === null) {
            break;
        }
        assert.equal(more.next, all.at(-1));
        after = encodeURIComponent(more.next);
    }
    assert.deepEqual(
        all,
        names.map((name) => `openai/${name}`),
    );
    const count = async (query) => (await rig.ask('GET', `/accounts?${query}`)).total;
    assert.equal(await count('q=page&tag=odd'), 12);
    assert.equal(await count('q=page&state=disabled'), 2);
    assert.equal(await count('q=alias+page0&tag=even'), 5);
    assert.equal(await count('provider=echo'), 1);
    assert.equal(await count('provider=qwen-oauth&q=page'), 0);
    const purge = { ids: names.map((name) => `openai/${name}`), action: 'delete' };
    assert.equal((await rig.ask('POST', '/accounts/bulk', purge)).ok, 25);
    assert.equal(await count('q=page&state=deleted'), 25);
});

test('delete and restore keep the counters', async () => {
    await rig.add({ provider: 'openai', name: 'gone', api_key: 'sk-gone' });
    for (let i = 0; i < 3; i++) {
        await rig.ask('POST', '/accounts/openai/gone/test', { model: 'm' });
    }
    const before = await rig.account('openai/gone');
    assert.equal(before.quota.chat.requests_day.used, 3);
    assert.equal(before.served, 3);
    const deleted = (await rig.ask('DELETE', '/accounts/openai/gone')).account;
    assert.equal(deleted.state, 'deleted');
    assert.ok(deleted.deleted_at > 0);
    for (const [method, path, body] of [
        ['DELETE', '/accounts/openai/gone'],
        ['PATCH', '/accounts/openai/gone', { alias: 'x' }],
        ['POST', '/accounts/openai/gone/test'],
        ['POST', '/accounts/openai/gone/clear'],
    ]) {
        assertError(await rig.call(method, path, body), 409, { code: 'deleted' });
    }
    await rig.restart();
    const restored = (await rig.ask('POST', '/accounts/openai/gone/restore')).account;
    assert.equal(restored.state, 'serving');
    assert.equal(restored.deleted_at, null);
    assert.equal(restored.quota.chat.requests_day.used, 3);
    const purged = await rig.ask('DELETE', '/accounts/openai/gone?purge=1');
    assert.deepEqual(purged, { purged: 'openai/gone' });
    assertError(await rig.call('GET', '/accounts/openai/gone'), 404);
    const fresh = await rig.add({ provider: 'openai', name: 'gone', api_key: 'sk-gone' });
    assert.equal(fresh.quota.chat.requests_day.used, 0);
});

test('purged while requests run: the next one of that id starts at zero', async () => {
    const busy = await Rig.start({ env: { LLM_GATE_COUNTER_FLUSH_MS: 1 } });
    try {
        for (let i = 0; i < 20; i++) {
            const fields = { provider: 'openai', name: 'again', api_key: 'sk-again' };
            const made = await busy.add(fields);
            assert.equal(made.quota.chat.requests_day.used, 0, `round ${i}`);
            assert.equal(made.served, 0);
            const running = Array.from({ length: 20 }, () => busy.gateway.chat('m'));
            await Promise.race(running);
            await busy.ask('DELETE', '/accounts/openai/again?purge=1');
            assert.ok((await Promise.all(running)).every(({ status }) => status === 200));
        }
        await busy.restart();
        assertError(await busy.call('GET', '/accounts/openai/again'), 404);
    } finally {
        await busy.stop();
    }
});
