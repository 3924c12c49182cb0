// What the admin API says of what happened: stats, audit, requests, alerts; and the backup.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import http from 'node:http';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { Rig } from './admin_rig.mjs';
import { assertError, tempDir, until } from './helper.mjs';

let rig;
const dataDir = join(tempDir('records'), 'data');
before(async () => {
    rig = await Rig.start({ dataDir });
});
after(() => rig.stop());

const chat = (model, id) => rig.gateway.chat(model, {}, { headers: { 'x-request-id': id } });
const busy = { status: 503, body: '{"error":{"message":"busy now"}}' };

test('a request is explained: attempts, verdicts, who was passed by, quota', async () => {
    await rig.add({ provider: 'openai', name: 'a', api_key: 'sk-a', limits: { chat: { rpd: 1 } } });
    await rig.add({ provider: 'openai', name: 'b', api_key: 'sk-b' });
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: false });
    await rig.ask('POST', '/accounts/openai/a/test', { model: 'm' }); // a is full now
    rig.mock.push(busy);
    assert.ok((await chat('openai/m', 'explained')).status >= 200);
    const { request } = await rig.ask('GET', '/requests/explained');
    assert.equal(request.model, 'openai/m');
    assert.equal(request.upstream_model, 'm');
    assert.equal(request.strategy, 'round_robin');
    assert.equal(request.attempts[0].account, 'openai/b');
    assert.equal(request.attempts[0].verdict, 'overloaded');
    assert.equal(request.attempts[0].status, 503);
    assert.equal(request.attempts[0].requests_day, 1);
    const passed = Object.fromEntries(request.passed_by.map((p) => [p.account, p]));
    assert.equal(passed['openai/0'].reason, 'disabled');
    assert.equal(passed['openai/a'].reason, 'quota');
    assert.equal(passed['openai/a'].limit, 'rpd');
    assert.ok(passed['openai/a'].until > Date.now());
    await rig.ask('POST', '/accounts/openai/b/clear');
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: true });
});

test('requests: newest first over all workers, in pages, filtered', async () => {
    const ids = Array.from({ length: 30 }, (_, i) => `list-${i}`);
    for (const id of ids) {
        await chat('echo', id);
    }
    rig.mock.push({ status: 400, body: '{"error":{"message":"no such model"}}' });
    assert.equal((await chat('no-such-model', 'list-bad')).status, 400);
    const seen = [];
    let before = '';
    for (;;) {
        const page = await rig.ask('GET', `/requests?limit=7&model=echo&before=${before}`);
        assert.ok(page.requests.length <= 7);
        seen.push(...page.requests);
        if (page.next === null) {
            break;
        }
        before = encodeURIComponent(page.next);
    }
    assert.equal(seen.length, 30);
    assert.deepEqual(new Set(seen.map(({ id }) => id)), new Set(ids));
    for (let i = 1; i < seen.length; i++) {
        assert.ok(seen[i - 1].at >= seen[i].at);
    }
    const count = async (query) => (await rig.ask('GET', `/requests?${query}`)).requests.length;
    assert.equal(await count('model=echo&outcome=error&limit=200'), 0);
    const [refused] = (await rig.ask('GET', '/requests?model=no-such-model')).requests;
    assert.match(refused.outcome, /^error:/);
    assert.equal(await count(`outcome=${refused.outcome}&model=no-such-model`), 1);
    assert.ok((await count('outcome=error')) >= 1);
    assert.equal(await count('account=echo/0&limit=200'), 30);
    assert.equal(await count('account=openai/b&outcome=success&model=echo'), 0);
    assert.equal(await count('model=no-such-model'), 1);
});

test('stats and audit count, and survive a restart', async () => {
    const { today, workers, ...stats } = await rig.ask('GET', '/stats');
    assert.equal(workers.length, 2);
    assert.equal(
        stats.served,
        workers.reduce((sum, { served }) => sum + served, 0),
    );
    assert.equal(stats.active, 0);
    assert.ok(stats.uptime_ms > 0);
    assert.equal(stats.generation, 1);
    assert.equal(stats.storage.failing, false);
    assert.equal(stats.accounts.total, 4);
    assert.equal(stats.accounts.exhausted, 1);
    assert.equal(stats.accounts.requests_left_today, null);
    const echo = today.by_account.find(({ account }) => account === 'echo/0');
    assert.equal(echo.success, 30);
    assert.ok(echo.prompt_tokens > 0);
    assert.ok(today.ends_at > Date.now());
    assert.equal(today.requests, today.by_kind.chat.requests + today.by_kind.search.requests);
    const errors = today.by_outcome.filter(({ outcome }) => outcome.startsWith('error:'));
    assert.equal(
        errors.reduce((sum, { requests }) => sum + requests, 0),
        today.errors,
    );
    assert.ok(today.errors >= 1);

    await rig.restart();
    const again = await rig.ask('GET', '/stats');
    assert.deepEqual(again.today, today);
    assert.equal(again.served, 0);

    const sum = async (query) => {
        const { rows, next } = await rig.ask('GET', `/audit?${query}`);
        assert.equal(next, null);
        return rows.reduce((n, { count }) => n + count, 0);
    };
    const now = Date.now();
    const iso = (ms) => encodeURIComponent(new Date(ms).toISOString());
    for (const group of ['minute', 'hour', 'day']) {
        assert.equal(await sum(`group=${group}`), today.requests, group);
        assert.equal(await sum(`group=${group}&account=echo/0`), 30);
        assert.equal(await sum(`group=${group}&account=echo/0&outcome=success`), 30);
        assert.equal(await sum(`group=${group}&outcome=error`), today.errors);
        assert.equal(await sum(`group=${group}&kind=search`), 0);
    }
    assert.equal(await sum(`from=${iso(now - 900000)}&to=${iso(now + 60000)}`), today.requests);
    assert.equal(await sum(`from=${now - 900000}&to=${now + 60000}`), today.requests);
    assert.equal(await sum(`from=${iso(now + 120000)}&to=${iso(now + 180000)}`), 0);
    const shifted = new Date(now - 900000 + 8 * 3600000).toISOString().slice(0, 19);
    assert.equal(await sum(`from=${encodeURIComponent(`${shifted}+08:00`)}`), today.requests);
    const { rows } = await rig.ask('GET', '/audit?group=hour');
    for (const row of rows) {
        assert.equal(row.at % 3600000, 0);
    }
    // In pages: the same rows, each once.
    const whole = (await rig.ask('GET', `/audit?from=${now - 900000}`)).rows;
    assert.ok(whole.length >= 3);
    const paged = [];
    let next = '';
    do {
        const from = `from=${now - 900000}&limit=1&after=${encodeURIComponent(next)}`;
        const page = await rig.ask('GET', `/audit?${from}`);
        assert.ok(page.rows.length <= 1);
        paged.push(...page.rows);
        next = page.next;
    } while (next !== null);
    assert.deepEqual(paged, whole);
});

test('requests are listed and explained after a restart, in pages without holes or doubles', async () => {
    const pages = async (query, limit) => {
        const seen = [];
        let next = '';
        do {
            const before = encodeURIComponent(next);
            const page = await rig.ask('GET', `/requests?limit=${limit}&before=${before}&${query}`);
            assert.ok(page.requests.length <= limit);
            assert.equal(page.dropped, 0);
            seen.push(...page.requests);
            next = page.next;
        } while (next !== null);
        return seen;
    };
    const before = await pages('', 200);
    assert.ok(before.length >= 32);
    assert.deepEqual(await pages('', 3), before);
    const { request } = await rig.ask('GET', '/requests/explained');
    await rig.restart();
    assert.deepEqual(await pages('', 200), before);
    assert.deepEqual((await rig.ask('GET', '/requests/explained')).request, request);
    assert.ok(request.passed_by.length >= 2);
    // What came before the restart and after it is one list.
    await chat('echo', 'after-restart');
    const all = await pages('', 4);
    assert.deepEqual([all[0].id, all.length], ['after-restart', before.length + 1]);
    assert.deepEqual(all.slice(1), before);
    assert.equal((await pages('model=echo&outcome=success', 7)).length, 31);
    assert.equal((await pages('account=openai/b', 1)).length >= 1, true);
    // Any row says where those behind it begin.
    const { at, id } = all[5];
    const rest = await rig.ask('GET', `/requests?limit=200&before=${at}-${id}`);
    assert.deepEqual(rest.requests, all.slice(6));
    assertError(await rig.call('GET', '/requests?before=17'), 400, { param: 'before' });
    assertError(await rig.call('GET', '/requests/never-seen'), 404, { code: 'not_found' });
});

test('requests left today: of the services, null where one has no limit', async () => {
    const left = async () => (await rig.ask('GET', '/stats')).accounts.requests_left_today;
    const limit = (id, rpd) => rig.ask('PATCH', `/accounts/${id}`, { limits: { chat: { rpd } } });
    assert.equal(await left(), null);
    await limit('openai/0', 100);
    assert.equal(await left(), null);
    await limit('openai/b', 40);
    const used = async (id) => (await rig.account(id)).quota.chat.requests_day.used;
    const more = 140 - (await used('openai/0')) - (await used('openai/b'));
    assert.equal(await left(), more); // a is full, and echo is no service's
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: false });
    assert.equal(await left(), more - 100 + (await used('openai/0')));
    await rig.ask('PATCH', '/accounts/openai/0', { enabled: true });
    await limit('openai/0', 0);
    assert.equal(await left(), null);
});

test('series: totals of the whole range', async () => {
    const { today } = await rig.ask('GET', '/stats');
    const { total, points } = await rig.ask('GET', '/series?range=24h');
    for (const name of ['success', 'error', 'limited', 'cancelled', 'prompt_tokens']) {
        const sum = points.reduce((n, point) => n + point[name], 0);
        assert.equal(total[name], sum, name);
    }
    assert.equal(total.success, today.success);
    const p95 = points.map((point) => point.p95_ms).filter((one) => one !== null);
    assert.ok(total.p95_ms >= Math.min(...p95) && total.p95_ms <= Math.max(...p95));
    assert.ok(total.p50_ms <= total.p95_ms);
    const none = (await rig.ask('GET', '/series?range=1h&account=openai/none')).total;
    assert.deepEqual([none.success, none.p50_ms, none.p95_ms, none.first_p50_ms], [0, null, null, null]);
});

test('providers and settings', async () => {
    const { providers, names } = await rig.ask('GET', '/providers');
    assert.deepEqual(names, ['research-model-v1']); // of the default MODEL_MAPPINGS
    const named = Object.fromEntries(providers.map((p) => [p.name, p]));
    assert.deepEqual(
        [named['qwen-oauth'].logins, named['qwen-oauth'].search, named.openai.logins],
        [true, true, false],
    );
    assert.deepEqual(
        [named['qwen-oauth'].kinds, named.openai.kinds, named.echo.kinds],
        [['login', 'import'], ['api_key'], []],
    );
    assert.deepEqual(named.echo.models, ['echo']);
    assert.equal(named.openai.accounts, 3);
    assert.equal(named.openai.dialect, 'openai_chat');
    const config = await rig.ask('GET', '/config');
    assert.equal(config.workers, 2);
    assert.equal(config.listen_port, rig.gateway.port); // it was asked for any
    assert.equal(config.admin_key, false);
    assert.equal(config.storage.plugin, 'rocksdb');
    assert.equal(config.providers.find(({ name }) => name === 'openai').options.base_url, rig.mock.base);
});

test('alerts: the list, and a notice to the web hook', async () => {
    assert.ok(Array.isArray((await rig.ask('GET', '/alerts')).alerts));
    const none = await rig.ask('POST', '/alerts/test');
    assert.equal(none.ok, false);
    assert.match(none.message, /ALERT_WEBHOOK_URL/);

    const notices = [];
    const hook = http.createServer((request, response) => {
        let text = '';
        request.on('data', (piece) => (text += piece));
        request.on('end', () => {
            notices.push(JSON.parse(text));
            response.end('{}');
        });
    });
    hook.listen(0, '127.0.0.1');
    await once(hook, 'listening');
    const other = await Rig.start({
        env: { ALERT_WEBHOOK_URL: `http://127.0.0.1:${hook.address().port}/hook?token=hidden` },
    });
    try {
        const sent = await other.ask('POST', '/alerts/test');
        assert.deepEqual([sent.ok, sent.status], [true, 200]);
        assert.equal(notices.length, 1);
        const { text } = await other.call('GET', '/config');
        assert.ok(!text.includes('token=hidden'));
    } finally {
        await other.stop();
        hook.close();
    }
});

test('backup: one file, whole, private, and nothing left beside it', async () => {
    const made = await rig.ask('POST', '/backup');
    assert.equal(dirname(made.file), dataDir);
    assert.match(made.file, /\/backup-\d{8}-\d{6}(-\d+)?\.llmgate$/);
    const bytes = readFileSync(made.file);
    assert.equal(bytes.length, made.bytes);
    assert.equal(statSync(made.file).mode & 0o777, 0o600);
    assert.ok(bytes.subarray(0, 18).equals(Buffer.from('llm-gate backup 1\n')));
    assert.ok(made.records > 5);
    assert.ok(bytes.includes('credential/openai/a'));
    assert.ok(!bytes.includes('sk-a'), 'a credential lies there as it is');
    assert.deepEqual(
        readdirSync(dataDir).filter((name) => name.endsWith('.tmp')),
        [],
    );
    // Two at once: one is made, or both, one after the other; nothing breaks.
    const answers = await Promise.all([rig.call('POST', '/backup'), rig.call('POST', '/backup')]);
    assert.ok(answers.some(({ status }) => status === 200));
    for (const answer of answers.filter(({ status }) => status !== 200)) {
        assertError(answer, 409, { code: 'conflict' });
    }
    assert.equal((await chat('echo', 'after-backup')).status, 200);
});

test('many requests at once are answered, none is lost', async () => {
    const answers = await Promise.all(
        Array.from({ length: 200 }, (_, i) =>
            rig.call('GET', ['/stats', '/accounts', '/requests', '/audit'][i % 4]),
        ),
    );
    for (const { status } of answers) {
        assert.ok(status === 200 || status === 503, String(status));
    }
    assert.ok(answers.some(({ status }) => status === 200));
    await until(() => !rig.gateway.exit);
});
