// gateway.lua while the gateway runs: what can change does, what cannot is said to wait for a
// restart, and requests that run keep what they began with.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Upstream, instance, keyOf, lua } from './accounts.mjs';
import { assertError, stopAll, tempDir, textOf, until } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

// Publishes a gateway.lua by the API, or writes it to conf/.
async function change(rig, text, onDisk) {
    const number = (await rig.running()) + 1;
    if (onDisk) {
        writeFileSync(join(rig.conf, 'gateway.lua'), text);
        await rig.until(number);
    } else {
        assert.equal((await rig.publish({ 'gateway.lua': text })).generation, number);
    }
}

async function models(rig) {
    const { data } = (await rig.gateway.call({ method: 'GET', path: '/v1/models' })).json;
    return data.map(({ id }) => id);
}

async function accounts(rig) {
    const path = '/admin/api/accounts';
    const { json } = await rig.gateway.call({ method: 'GET', path, key: rig.key });
    return json.accounts.filter((a) => !a.deleted_at && a.provider !== 'echo');
}

const ids = async (rig) => (await accounts(rig)).map(({ id }) => id);

for (const onDisk of [false, true]) {
    const how = onDisk ? 'on disk' : 'by the API';
    test(`${how}: a provider comes and goes, its key from a variable`, () =>
        withRig({}, async (rig) => {
            const other = await Upstream.start();
            try {
                const base = `return { providers = { ${lua(instance('other', other.base, ['c']))},
                    ${lua(instance('pool', rig.upstream.base, ['a']))} } }`;
                await change(rig, base, onDisk);
                assert.deepEqual(await ids(rig), ['other/c', 'pool/a']);
                assert.equal(await rig.chat('other/m'), 'c');
                assert.equal(await rig.chat('pool/m'), 'a');
                assert.match(await rig.chat('nobody/m'), /^404 /);
                await change(rig, rig.config(), onDisk);
                assert.deepEqual(await ids(rig), ['pool/a', 'pool/b']);
                assert.match(await rig.chat('pool/m'), /^[ab]$/);
                assert.equal(other.count('c'), 1);
                // Its variable is remembered.
                await change(rig, base, onDisk);
                assert.equal(await rig.chat('other/m'), 'c');
            } finally {
                await stopAll(other);
            }
        }));
}

test('accounts come and go; what an account has counted stays', () =>
    withRig({}, async (rig) => {
        for (let i = 0; i < 4; i++) {
            await rig.chat();
        }
        await change(rig, rig.config({}, ['a', 'b', 'c']));
        const names = [];
        for (let i = 0; i < 6; i++) {
            names.push(await rig.chat());
        }
        assert.deepEqual(names.sort(), ['a', 'a', 'b', 'b', 'c', 'c']);
        await change(rig, rig.config({}, ['b']));
        assert.deepEqual(await ids(rig), ['pool/b']);
        assert.equal(await rig.chat(), 'b');
        await change(rig, rig.config({}, ['a', 'b']));
        const used = Object.fromEntries(
            (await accounts(rig)).map(({ id, quota }) => [id, quota.chat.requests_day.used]),
        );
        assert.deepEqual(used, { 'pool/a': 4, 'pool/b': 5 });
    }));

test('limits, tags and weights of accounts', () =>
    withRig({ files: { 'accounts.lua': 'return { strategy = "weighted" }' } }, async (rig) => {
        await change(
            rig,
            rig.config({}, [
                { alias: 'a', limits: { chat: { rpd: 2 } }, tags: ['paid'] },
                { alias: 'b', weight: 0 },
            ]),
        );
        assert.equal(await rig.chat(), 'a');
        assert.equal(await rig.chat(), 'a');
        assert.match(await rig.chat(), /^429 /);
        const [a, b] = await accounts(rig);
        assert.deepEqual([a.effective.tags, b.effective.weight], [['paid'], 0]);
        assert.equal(a.quota.chat.requests_day.limit, 2);
        await change(rig, rig.config({}, [{ alias: 'a', limits: { chat: { rpd: 3 } } }, 'b']));
        await rig.publish({ 'accounts.lua': null });
        assert.deepEqual([await rig.chat(), await rig.chat(), await rig.chat()].sort(), ['a', 'b', 'b']);
    }));

test('clocks, max_attempts, route_headers', () =>
    withRig({}, async (rig) => {
        const hold = rig.upstream.hold('a');
        await change(rig, rig.config({ clocks: { first_token_ms: 50 } }, ['a']));
        assertError(await rig.gateway.chat('m'), 504, { code: 'upstream_timeout' });
        hold.release();
        await change(rig, rig.config({ max_attempts: 1 }));
        rig.upstream.always('a', { status: 500, body: '{}' });
        rig.upstream.always('b', { status: 500, body: '{}' });
        rig.upstream.forget();
        await rig.chat();
        assert.equal(rig.upstream.asked.length, 1);
        await rig.publish({
            'gateway.lua': rig.config({ route_headers: ['x-team'] }),
            'routing.lua': `return function(req) return { reject = {
                status = 418, message = req.headers["x-team"] or "none" } } end`,
        });
        assert.equal(await rig.chat('m', {}, { headers: { 'X-Team': 'blue' } }), '418 blue');
        await change(rig, rig.config());
        assert.equal(await rig.chat('m', {}, { headers: { 'X-Team': 'blue' } }), '418 none');
    }));

test('a key from a file, and the clocks of clients', () =>
    withRig({}, async (rig) => {
        const path = join(tempDir('key'), 'key');
        writeFileSync(path, `${keyOf('c')}\n`, { mode: 0o600 });
        const account = { alias: 'c', key_env: undefined, key_file: path };
        const text = rig.config({ idle_timeout_ms: 100 }, [account]);
        await change(rig, text.replace('["key_env"] = undefined, ', ''));
        assert.equal(await rig.chat(), 'c');
        const client = await rig.gateway.raw();
        await client.send('GET /health HTTP/1.1\r\nHost: x\r\n\r\n');
        await client.answer();
        await client.closed();
    }));

test('log_level and echo', () =>
    withRig({ files: { 'routing.lua': 'return function() gate.log("debug", "seen") end' } }, async (rig) => {
        await rig.chat();
        await change(rig, rig.config({ log_level: 'DEBUG' }));
        await rig.chat();
        await rig.gateway.waitLog(/DEBUG .*seen/);
        await change(rig, rig.config({ log_level: 'ERROR' }));
        const called = (id) => rig.chat('m', {}, { headers: { 'x-request-id': id } });
        await called('quiet');
        assert.ok((await models(rig)).includes('echo'));
        assert.equal((await rig.gateway.chat('echo')).status, 200);
        await change(rig, rig.config({ echo: false }));
        assert.ok(!(await models(rig)).includes('echo'));
        // The pool takes every name.
        assert.match(await rig.chat('echo'), /^[ab]$/);
        await change(rig, rig.config());
        assert.match((await rig.gateway.chat('echo')).text, /Say hello/);
        await called('loud');
        await rig.gateway.waitLog('id=loud');
        assert.ok(!rig.gateway.log.includes('id=quiet'), rig.gateway.tail);
    }));

test('what is read at start only: said in the answer, in the log and by GET /scripts', () =>
    withRig({ files: { 'routing.lua': saying('1') } }, async (rig) => {
        const text = rig.config({ listen: '127.0.0.1:9', workers: 7, max_attempts: 3 });
        const { report } = await rig.publish({
            'gateway.lua': text,
            'routing.lua': saying('2'),
        });
        // LLM_GATE_LISTEN and LLM_GATE_WORKERS are set: the variables win, so nothing waits.
        assert.deepEqual(report.needs_restart, []);
        await rig.says('2');
        const storage = rig.config({ max_body: 1 << 20, counter_flush_ms: 100 });
        const checked = await rig.check({ 'gateway.lua': storage });
        assert.deepEqual(checked.needs_restart, ['max_body', 'counter_flush_ms']);
        assert.deepEqual([checked.ok, checked.warnings], [true, 2]);
        assert.match(checked.problems[0].message, /max_body|counter_flush_ms/);
        assert.deepEqual((await rig.get()).needs_restart, []);
        const published = await rig.publish({ 'gateway.lua': storage });
        assert.deepEqual(published.report.needs_restart, ['max_body', 'counter_flush_ms']);
        await rig.gateway.waitLog(/WARN.*gateway\.lua: max_body is read at start only/);
        assert.deepEqual((await rig.get()).needs_restart, ['max_body', 'counter_flush_ms']);
        // It goes on waiting while other things are published, and is over when it is taken back.
        await rig.publish({ 'routing.lua': saying('3') });
        assert.deepEqual((await rig.get()).needs_restart, ['max_body', 'counter_flush_ms']);
        await rig.publish({ 'gateway.lua': rig.config() });
        assert.deepEqual((await rig.get()).needs_restart, []);
        await rig.publish({ 'gateway.lua': storage });
        await rig.restart();
        assert.deepEqual((await rig.get()).needs_restart, []);
    }));

test('listen and workers of gateway.lua wait for a restart where no variable sets them', () =>
    withRig({ env: { LLM_GATE_WORKERS: '' } }, async (rig) => {
        const workers = (await rig.get()).workers.length;
        writeFileSync(join(rig.conf, 'gateway.lua'), rig.config({ workers: workers + 1 }));
        await rig.until(2);
        const now = await rig.get();
        assert.deepEqual(now.needs_restart, ['workers']);
        assert.equal(now.workers.length, workers);
        await rig.gateway.waitLog(/WARN.*gateway\.lua: workers is read at start only/);
        await rig.restart();
        const after = await rig.get();
        assert.deepEqual(after.needs_restart, []);
        assert.equal(after.workers.length, workers + 1);
        assert.equal(after.generation, 2);
    }));

test('a gateway.lua with an error changes nothing', () =>
    withRig({}, async (rig) => {
        const bad = [
            'return {',
            'return { providers = 7 }',
            'return { no_such_key = 1 }',
            'return { listen = "nowhere" }',
            'return { providers = { { name = "x", plugin = "no-such-plugin" } } }',
            `return { providers = { ${lua(
                instance('pool', 'no address', ['a']),
            )} } }`,
            rig.config({}, [{ alias: 'a', key_env: 'NOT_SET_ANYWHERE' }]),
            rig.config({}, [{ alias: 'a', key_file: '/nonexistent/key', key_env: undefined }]),
            rig.config({}, ['a', 'a']),
            rig.config({ clocks: { first_token_ms: -1 } }),
            'error("no")',
        ];
        for (const text of bad) {
            const { report } = await rig.publish({ 'gateway.lua': text }, {}, 422);
            assert.ok(report.errors > 0, text);
            assert.equal(report.problems[0].file, 'gateway.lua', JSON.stringify(report.problems));
        }
        writeFileSync(join(rig.conf, 'gateway.lua'), bad[1]);
        await rig.gateway.waitLog(/the edit in .* is not used/);
        assert.equal(await rig.running(), 1);
        assert.deepEqual(await ids(rig), ['pool/a', 'pool/b']);
        assert.equal(await rig.chat(), 'a');
    }));

// ---------------------------------------------------------------- requests that run

const delta = (content) => ({ choices: [{ index: 0, delta: { content } }] });

// A stream that goes on when the test says so.
function slowStream(upstream, name) {
    const stream = {};
    const go = new Promise((resolve) => (stream.finish = resolve));
    stream.arrived = new Promise((resolve) => {
        upstream.next(name, async (request, reply) => {
            await reply.head();
            await reply.event(delta('begun '));
            resolve(request);
            await go;
            await reply.event(delta('and ended'));
            await reply.event({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] });
            await reply.event('[DONE]');
            await reply.end();
            return null;
        });
    });
    return stream;
}

test('a stream ends on the provider it began with, while others are served by the new one', () =>
    withRig({ workers: 1 }, async (rig) => {
        const other = await Upstream.start();
        try {
            const slow = slowStream(rig.upstream, 'a');
            const client = await rig.gateway.rawChat('m', { stream: true });
            await slow.arrived;
            // Generation 2: the instance is another one at another address; 3: it is gone.
            await rig.publish({
                'gateway.lua': `return { providers = { ${lua({
                    ...instance('pool', other.base, ['c']),
                    options: { base_url: other.base, catch_all: true },
                })} } }`,
                'routing.lua': 'return function() return { reason = "by two" } end',
            });
            assert.equal(await rig.chat(), 'c');
            const { workers } = await rig.get();
            assert.deepEqual(workers[0].generation, 2);
            await rig.publish({ 'gateway.lua': 'return {}', 'routing.lua': saying('3') });
            await rig.says('3');
            slow.finish();
            const answer = await client.answer();
            assert.equal(answer.status, 200);
            assert.equal(textOf(answer.text), 'begun and ended');
            client.close();
            const path = '/admin/api/requests?limit=200';
            let requests;
            await until(async () => {
                requests = (await rig.gateway.call({ method: 'GET', path })).json.requests;
                return requests.some(({ stream }) => stream);
            });
            const ended = requests.find(({ stream }) => stream);
            assert.deepEqual([ended.generation, ended.provider, ended.outcome], [1, 'pool', 'success']);
            assert.equal(ended.attempts[0].account, 'pool/a');
        } finally {
            await stopAll(other);
        }
    }));

test('a request whose account fails after a publish goes on with its own script', () =>
    withRig({ workers: 1, files: {
        'routing.lua': 'return function() return { "pool/m", "pool/second" } end',
    } }, async (rig) => {
        const hold = rig.upstream.hold('a');
        const asked = rig.chat();
        await hold.arrived;
        await rig.publish({
            'routing.lua': saying('new'),
            'accounts.lua': 'return { on_error = function() return "fail" end }',
        });
        await rig.says('new');
        hold.release({ status: 500, body: '{}' });
        assert.equal(await asked, 'b', 'on_error of the new generation decided');
    }));
