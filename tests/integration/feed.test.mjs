// The live stream of the admin API (what it tells, to whom, how often) and the series that charts
// are made of.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Clock } from './accounts.mjs';
import { Rig } from './admin_rig.mjs';
import { slow, tempDir, until } from './helper.mjs';
import { Events } from './scripts_rig.mjs';

const dataDir = join(tempDir('feed'), 'data');
let rig;
before(async () => {
    rig = await Rig.start({ dataDir });
});
after(() => rig.stop());

const chat = (model, id) => rig.gateway.chat(model, {}, { headers: { 'x-request-id': id } });
const of = (events, type) => events.list.filter((event) => event.type === type).map(({ data }) => data);
const rows = (events) => of(events, 'request').flatMap(({ requests }) => requests);
const accounts = (events, id) => of(events, 'account').flat().filter((account) => account.id === id);
const told = (test, what) => until(test, { timeout: 8000 * slow, what: () => what });

// The stream of one who listens, from its first stats on: what ended in the moment before it came may
// stand before those.
async function listen() {
    const events = await Events.open(rig.gateway);
    await events.wait(({ type }) => type === 'stats');
    assert.equal(events.list[0].type, 'snapshot');
    events.list = events.list.filter(({ type }) => type === 'stats');
    return events;
}

test('everybody who listens is told each request once, and nobody what was before', async () => {
    await chat('echo', 'before');
    const clients = await Promise.all([listen(), listen(), listen()]);
    const ids = Array.from({ length: 40 }, (_, i) => `live-${i}`);
    for (const id of ids) {
        await chat('echo', id);
    }
    for (const client of clients) {
        await told(() => rows(client).length >= ids.length, 'all requests');
        assert.deepEqual(rows(client).map(({ id }) => id).sort(), [...ids].sort());
        assert.deepEqual(
            of(client, 'request').map(({ dropped }) => dropped),
            of(client, 'request').map(() => 0),
        );
    }
    const [row] = rows(clients[0]);
    const { request } = await rig.ask('GET', `/requests/${row.id}`);
    for (const [name, value] of Object.entries(row)) {
        if (!['account', 'alias', 'accounts'].includes(name)) {
            assert.deepEqual(value, request[name], name);
        }
    }
    assert.deepEqual([row.account, row.alias, row.accounts], ['echo/0', '0', ['echo/0']]);
    clients.forEach((client) => client.close());
});

test('who comes back is told nothing of what was between', async () => {
    const first = await listen();
    await chat('echo', 'heard-1');
    await told(() => rows(first).length === 1, 'the request');
    first.close();
    await told(async () => (await rig.ask('GET', '/stats')).listeners === 0, 'that nobody listens');
    await chat('echo', 'unheard');
    const second = await listen();
    await chat('echo', 'heard-2');
    await told(() => rows(second).length > 0, 'the request');
    assert.deepEqual(rows(second).map(({ id }) => id), ['heard-2']);
    second.close();
});

test('live rows have what the filters of GET /requests go by', async () => {
    await rig.add({ provider: 'openai', name: 'b', api_key: 'sk-b' });
    const events = await listen();
    rig.mock.push({ status: 503, body: '{"error":{"message":"busy"}}' });
    await chat('openai/m', 'filter-over'); // one account fails, the other answers
    await chat('echo', 'filter-echo');
    rig.mock.push({ status: 400, body: '{"error":{"message":"no such model"}}' });
    await chat('openai/m', 'filter-bad');
    await told(() => rows(events).length >= 3, 'three requests');
    const live = rows(events).filter(({ id }) => id.startsWith('filter-'));
    assert.equal(live.find(({ id }) => id === 'filter-over').accounts.length, 2);
    const isOutcome = (outcome, wanted) => outcome === wanted || outcome.startsWith(`${wanted}:`);
    const filters = [
        ['account=openai/b', (row) => row.accounts.includes('openai/b')],
        ['account=openai/0', (row) => row.accounts.includes('openai/0')],
        ['account=echo/0', (row) => row.accounts.includes('echo/0')],
        ['outcome=success', (row) => isOutcome(row.outcome, 'success')],
        ['outcome=error', (row) => isOutcome(row.outcome, 'error')],
        ['model=echo', (row) => row.model === 'echo' || row.upstream_model === 'echo'],
        ['model=m', (row) => row.model === 'm' || row.upstream_model === 'm'],
    ];
    for (const [query, matches] of filters) {
        const { requests } = await rig.ask('GET', `/requests?limit=200&${query}`);
        const listed = requests.map(({ id }) => id).filter((id) => id.startsWith('filter-'));
        const filtered = live.filter(matches).map(({ id }) => id);
        assert.deepEqual(filtered.sort(), listed.sort(), query);
    }
    events.close();
});

test('a burst: at most 50 rows a message, the others are counted', async () => {
    const events = await listen();
    const many = 400;
    await Promise.all(Array.from({ length: many }, (_, i) => chat('echo', `burst-${i}`)));
    const total = () =>
        of(events, 'request').reduce((sum, { requests, dropped }) => sum + requests.length + dropped, 0);
    await told(() => total() >= many, 'all requests');
    assert.equal(total(), many);
    for (const { requests } of of(events, 'request')) {
        assert.ok(requests.length <= 50);
    }
    assert.equal(new Set(rows(events).map(({ id }) => id)).size, rows(events).length);
    events.close();
});

test('an account is told when its counters, its settings or its state change', async () => {
    const events = await listen();
    const { served } = await rig.account('echo/0');
    await chat('echo', 'counted');
    await told(() => accounts(events, 'echo/0').some((a) => a.served === served + 1), 'the counter');
    const fresh = await rig.add({ provider: 'openai', name: 'feed', api_key: 'sk-feed' });
    await told(() => accounts(events, fresh.id).length > 0, 'a new account');
    await rig.ask('PATCH', `/accounts/${fresh.id}`, { alias: 'Renamed', tags: ['x'] });
    await told(() => accounts(events, fresh.id).some((a) => a.alias === 'Renamed'), 'the alias');
    await rig.ask('PATCH', `/accounts/${fresh.id}`, { enabled: false });
    await told(() => accounts(events, fresh.id).some((a) => a.state === 'disabled'), 'the state');
    await rig.ask('PATCH', `/accounts/${fresh.id}`, { limits: { chat: { rpm: 7 } } });
    await told(() => accounts(events, fresh.id).some((a) => a.effective.limits.chat.rpm === 7), 'limits');
    await rig.ask('DELETE', `/accounts/${fresh.id}`);
    await told(() => accounts(events, fresh.id).some((a) => a.state === 'deleted'), 'the deletion');
    await rig.ask('DELETE', `/accounts/${fresh.id}?purge=1`);
    await told(() => accounts(events, fresh.id).some((a) => a.purged), 'the purge');
    // It is the account as GET /accounts has it.
    const last = accounts(events, 'echo/0').at(-1);
    const listed = await rig.account('echo/0');
    assert.deepEqual(Object.keys(last), Object.keys(listed));
    assert.equal(last.served, listed.served);
    assert.equal(last.spark.length, 24);
    assert.ok(last.quota.day_elapsed >= 0 && last.quota.day_elapsed <= 1);
    const { ends_at: endsAt } = (await rig.ask('GET', '/stats')).today;
    assert.ok(Math.abs(last.quota.day_elapsed - (1 - (endsAt - Date.now()) / 86400000)) < 0.01);
    events.close();
});

test('stats: the numbers of GET /stats, again only when something changed', async () => {
    const events = await listen();
    for (let i = 0; i < 3; i++) {
        await chat('echo', `stats-${i}`);
    }
    const stats = await rig.ask('GET', '/stats');
    await told(() => of(events, 'stats').at(-1).today.requests === stats.today.requests, 'the sums');
    const last = of(events, 'stats').at(-1);
    for (const name of ['requests', 'success', 'errors', 'prompt_tokens', 'ends_at']) {
        assert.equal(last.today[name], stats.today[name], name);
    }
    assert.equal(last.served, stats.served);
    assert.deepEqual(last.accounts, stats.accounts);
    assert.equal(last.workers.length, 2);
    // Ticks go on, as an account that changes shows, but what has been said is not said again.
    for (const alias of ['One', 'Two', 'Three', 'Four', 'Five', 'Six']) {
        await rig.ask('PATCH', '/accounts/openai/b', { alias });
        await told(() => accounts(events, 'openai/b').some((a) => a.alias === alias), alias);
    }
    const said = of(events, 'stats').map((stats) => JSON.stringify({ ...stats, now: 0, uptime_ms: 0 }));
    said.forEach((text, i) => assert.notEqual(text, said[i - 1]));
    assert.ok(said.length < 6);
    events.close();
});

test('at most four messages a second of each kind, however much happens', async () => {
    const events = await listen();
    const begin = performance.now();
    const before = { request: of(events, 'request').length, account: of(events, 'account').length };
    for (let i = 0; performance.now() - begin < 1500; i++) {
        await chat('echo', `often-${i}`);
    }
    await told(() => rows(events).length > 10, 'requests');
    const most = Math.ceil((performance.now() - begin) / 250) + 1;
    for (const type of ['request', 'account']) {
        assert.ok(of(events, type).length - before[type] <= most, type);
    }
    events.close();
});

test('a client that does not read misses events and is told so; others miss none', async () => {
    const tags = Array.from({ length: 16 }, (_, k) => `${'t'.repeat(50)}${k}`);
    const wide = (_, i) => rig.add({ provider: 'openai', name: `wide-${i}`, api_key: `sk-w-${i}`, tags });
    const adding = Promise.all(Array.from({ length: 120 }, wide));
    const [eager, added] = await Promise.all([listen(), adding]);
    const ids = added.map(({ id }) => id);
    let bytes = 0;
    eager.response.on('data', (text) => (bytes += text.length));
    const long = 'x'.repeat(90);
    let round = 0;
    // A client that reads nothing until so many bytes of events have gone out.
    const startLate = async (enough) => {
        const lazy = await listen();
        lazy.response.pause();
        for (const from = bytes; bytes < from + enough; round++) {
            const then = bytes;
            await rig.ask('POST', '/accounts/bulk', { ids, action: round % 2 ? 'enable' : 'disable' });
            const some = Array.from({ length: 50 }, (_, k) => chat(`echo-${long}`, `${long}-${round}-${k}`));
            await Promise.all(some);
            await told(() => bytes > then, 'events');
        }
        lazy.response.resume();
        const mark = `mark-${round}`;
        await rig.ask('PATCH', '/accounts/echo/0', { alias: mark });
        await told(() => accounts(lazy, 'echo/0').some(({ alias }) => alias === mark), mark);
        return lazy;
    };
    // As much as sockets and the gateway keep for one client, however much that is here. Each try is a
    // client of its own, as the sockets of one that has read grow.
    let lazy;
    for (let enough = 750_000; ; enough *= 3) {
        lazy = await startLate(enough);
        if (of(lazy, 'resync').length > 0) {
            break;
        }
        lazy.close();
        assert.ok(enough < 24_000_000, 'a client that does not read may have all that memory');
    }
    assert.equal(of(eager, 'resync').length, 0);
    await chat('echo', 'after-resync');
    await told(() => rows(lazy).some(({ id }) => id === 'after-resync'), 'the request behind it');
    await rig.ask('POST', '/accounts/bulk', { ids, action: 'delete' });
    lazy.close();
    eager.close();
});

test('series: counts and latencies by minute and by hour', async () => {
    // One account whose only request is slow.
    const others = ['openai/0', 'openai/b'];
    await rig.add({ provider: 'openai', name: 'slow', api_key: 'sk-slow' });
    await rig.ask('POST', '/accounts/bulk', { ids: others, action: 'disable' });
    const message = { role: 'assistant', content: 'At last.' };
    const choices = [{ index: 0, message, finish_reason: 'stop' }];
    rig.mock.push({ delay: 400, body: JSON.stringify({ id: 'c-1', object: 'chat.completion', choices }) });
    const begin = performance.now();
    assert.equal((await chat('openai/m', 'slow-one')).status, 200);
    const took = performance.now() - begin;
    await rig.ask('POST', '/accounts/bulk', { ids: others, action: 'enable' });
    const sum = (points, name) => points.reduce((n, point) => n + point[name], 0);
    const { today } = await rig.ask('GET', '/stats');
    const shapes = { '1h': [60000, 60], '6h': [300000, 72], '24h': [900000, 96], '30d': [14400000, 180] };
    for (const [range, [step, count]] of Object.entries(shapes)) {
        const series = await rig.ask('GET', `/series?range=${range}`);
        assert.equal(series.step_ms, step);
        assert.equal(series.points.length, count);
        assert.equal(series.to - series.from, step * count);
        assert.ok(series.to > Date.now() && series.from % step === 0);
        series.points.forEach((point, i) => assert.equal(point.at, series.from + i * step));
        for (const [name, total] of [
            ['success', today.success],
            ['error', today.errors],
            ['limited', today.limited],
            ['cancelled', today.cancelled],
            ['prompt_tokens', today.prompt_tokens],
            ['completion_tokens', today.completion_tokens],
        ]) {
            assert.equal(sum(series.points, name), total, `${range} ${name}`);
        }
    }
    const one = await rig.ask('GET', '/series?account=echo/0');
    const echo = today.by_account.find(({ account }) => account === 'echo/0');
    assert.equal(sum(one.points, 'success'), echo.success);
    assert.equal(one.account, 'echo/0');
    for (const range of ['1h', '30d']) {
        const { points } = await rig.ask('GET', `/series?range=${range}&account=openai/slow`);
        const found = points.filter(({ success }) => success > 0);
        assert.equal(found.length, 1);
        for (const name of ['p50_ms', 'p95_ms', 'first_p50_ms']) {
            assert.ok(found[0][name] >= 350 && found[0][name] <= took * 1.15, `${name} of ${took}`);
        }
        assert.equal(points.find(({ success }) => success === 0).p50_ms, null);
    }
    assert.equal(sum((await rig.ask('GET', '/series?account=nobody')).points, 'success'), 0);
});

test('more purged accounts than one message can tell: everybody looks again', async () => {
    const clock = new Clock();
    const own = await Rig.start({
        dataDir: join(tempDir('feed'), 'purge'),
        env: { LLM_GATE_CLOCK_FILE: clock.path },
    });
    try {
        const ids = [];
        for (let i = 0; i < 850; i += 50) {
            const names = Array.from({ length: 50 }, (_, k) => `${'long-'.repeat(24)}${i + k}`);
            const add = (name) => own.add({ provider: 'openai', name, api_key: `sk-${name}` });
            ids.push(...(await Promise.all(names.map(add))).map(({ id }) => id));
        }
        assert.equal((await own.ask('POST', '/accounts/bulk', { ids, action: 'delete' })).failed, 0);
        const events = await Events.open(own.gateway);
        await events.wait(({ type }) => type === 'stats');
        clock.at(31 * 86400000);
        await told(() => of(events, 'resync').length > 0, 'the resync');
        const { accounts: left } = await own.ask('GET', '/accounts');
        assert.ok(left.every(({ id }) => !ids.includes(id)));
        events.close();
    } finally {
        await own.stop();
    }
});

test('a restart: the stream ends, and what was counted is there again', async () => {
    const events = await listen();
    const before = await rig.ask('GET', '/series?range=24h');
    const { today } = await rig.ask('GET', '/stats');
    const { spark } = await rig.account('echo/0');
    assert.ok(spark.at(-1) + spark.at(-2) > 400);
    await rig.restart();
    await told(() => events.ended, 'the end of the stream');
    const again = await rig.ask('GET', '/series?range=24h');
    const total = ({ points }) => points.reduce((n, p) => n + p.success + p.error + p.limited, 0);
    assert.equal(total(again), total(before));
    assert.deepEqual(
        again.points.filter(({ success }) => success > 0),
        before.points.filter(({ success }) => success > 0),
    );
    const sum = (list) => list.reduce((n, count) => n + count, 0);
    assert.equal(sum((await rig.account('echo/0')).spark), sum(spark));
    const { accounts: listed } = await rig.ask('GET', '/accounts?limit=500');
    assert.equal(sum(listed.find(({ id }) => id === 'echo/0').spark), sum(spark));
    const stream = await listen();
    assert.deepEqual(of(stream, 'stats')[0].today.requests, today.requests);
    await chat('echo', 'after-restart');
    await told(() => rows(stream).length === 1, 'the request');
    await told(() => accounts(stream, 'echo/0').some((a) => sum(a.spark) === sum(spark) + 1), 'its spark');
    stream.close();
});
