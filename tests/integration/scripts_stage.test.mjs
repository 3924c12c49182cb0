// Staged scripts: a draft that decides chats of the console beside what runs, and nothing else.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatStream } from '../upstream/scenarios.mjs';
import { Clock, MINUTE, instance, lua, who } from './accounts.mjs';
import { assertError, chatRequest, inParallel, sanitized, slow, until } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

const PATH = '/admin/api/chat';
const ID = /^[0-9a-f]{32}$/;

const stage = async (rig, files, more = {}) => {
    const answer = await rig.ask('POST', '/stage', { files, ...more });
    assert.match(answer.stage.id, ID);
    return answer.stage.id;
};
const staged = (rig, id, model = 'm', more = {}) =>
    rig.gateway.call({
        path: PATH,
        key: rig.key,
        headers: id ? { 'x-gate-stage': id } : {},
        body: chatRequest(model, more),
    });
const explained = (answer) => JSON.parse(answer.headers['x-gate-explain']);
// What a draft of saying() said, asked of every worker.
async function says(rig, id, word) {
    for (let i = 0; i < 6; i++) {
        const answer = await staged(rig, id);
        assert.equal(answer.status, 418, answer.text);
        assert.equal(answer.json.error.message, word);
    }
}
const isGone = async (rig, id) =>
    assertError(await staged(rig, id), 404, { code: 'unknown_stage' });
const account = async (rig, id) => {
    const path = `/admin/api/accounts/${id}`;
    return (await rig.gateway.call({ method: 'GET', path, key: rig.key })).json.account;
};

// ---------------------------------------------------------------- what it is

test('a draft decides chats that name it, on every worker, and nobody else', () =>
    withRig({ files: { 'routing.lua': saying('runs') }, workers: 3 }, async (rig) => {
        const at = Date.now();
        const answer = await rig.ask('POST', '/stage', { files: { 'routing.lua': saying('draft') } });
        const { id, expires_at: expires } = answer.stage;
        assert.match(id, ID);
        assert.ok(Math.abs(expires - at - 10 * MINUTE) < MINUTE);
        assert.equal(answer.report.ok, true);
        await says(rig, id, 'draft');
        await rig.says('runs');
        assert.equal((await staged(rig)).json.error.message, 'runs');
        // The header is for chats of the console alone.
        const plain = await rig.gateway.chat('m', {}, { headers: { 'x-gate-stage': id } });
        assert.equal(plain.json.error.message, 'runs');
        // Nothing was published.
        assert.equal(await rig.running(), 1);
        assert.equal((await rig.ask('GET', '/history')).generations.length, 1);
        assert.equal(rig.disk()['routing.lua'], saying('runs'));
        await rig.ask('DELETE', `/stage/${id}`);
        await isGone(rig, id);
    }));

test('explanation, trace and log name the stage in place of a generation', () =>
    withRig({}, async (rig) => {
        const id = await stage(rig, { 'models.lua': 'return { fast = "pool/m" }' });
        const events = await rig.events();
        const answer = await staged(rig, id, 'fast');
        const why = explained(answer);
        assert.equal(answer.status, 200, answer.text);
        assert.equal(why.generation, null);
        assert.equal(why.stage, id);
        assert.equal(why.input.replayable, false);
        assert.match(why.attempts[0].account, /^pool\/[ab]$/);
        const path = `/admin/api/requests/${why.id}`;
        const { request } = (await rig.gateway.call({ method: 'GET', path })).json;
        assert.deepEqual([request.generation, request.stage, request.key], [null, id, 'console']);
        await until(() => events.list.some(({ type, data }) =>
            type === 'request' &&
            data.requests.some((row) => row.id === why.id && row.generation === null && row.stage === id)),
        { timeout: 5000 * slow, what: () => 'the row in the live stream' });
        const stream = await staged(rig, id, 'fast', { stream: true });
        assert.equal(JSON.parse(/^: x-gate-explain (.*)$/m.exec(stream.text)[1]).stage, id);
        // It is a request like others: the account that served has counted it.
        const counts = await Promise.all(['pool/a', 'pool/b'].map((name) => account(rig, name)));
        assert.equal(counts.reduce((sum, a) => sum + a.quota.chat.requests_day.used, 0), 2);
        // The draft's own models are named where none of it serves.
        const none = await staged(rig, await stage(rig, {
            'gateway.lua': 'return { providers = {} }',
            'models.lua': 'return { swift = "echo" }',
        }), 'none');
        assertError(none, 404, { code: 'model_not_found', message: /swift/ });
    }));

test('what is wrong is told as publishing tells it', () =>
    withRig({}, async (rig) => {
        const refused = async (body, status, code) => {
            const answer = await rig.call('POST', '/stage', body);
            assert.equal(answer.status, status, answer.text);
            assert.equal(answer.json.error.code, code, answer.text);
            return answer.json;
        };
        const bad = await refused({ files: { 'routing.lua': 'return function(' } }, 422, 'invalid_scripts');
        assert.equal(bad.report.problems[0].file, 'routing.lua');
        const raising = { 'routing.lua': 'return function() error("x") end' };
        await refused({ files: raising }, 422, 'invalid_scripts');
        const test1 = 'return { { name = "n", map = "m", expect = { model = "other" } } }';
        const failing = await refused({ files: { 'tests/a.lua': test1 } }, 422, 'invalid_scripts');
        assert.equal(failing.report.tests.failed, 1);
        await refused({ files: { '../x.lua': '' } }, 400, 'invalid_value');
        await refused({ files: 7 }, 400, 'invalid_type');
        await refused({ file: {} }, 400, 'unknown_key');
        const key = rig.config({}, [{ alias: 'a', key_env: 'KEY_OF_NOBODY' }]);
        await refused({ files: { 'gateway.lua': key } }, 422, 'invalid_scripts');
        // What only a start reads; what the environment says wins over the file anyway.
        const keys = { max_body: 5000, counter_flush_ms: 100, workers: 7 };
        const late = await refused({ files: { 'gateway.lua': rig.config(keys) } }, 409, 'cannot_stage');
        assert.deepEqual(late.keys, ['max_body', 'counter_flush_ms']);
        assert.match(late.error.message, /max_body, counter_flush_ms/);
        assertError(await rig.call('DELETE', '/stage/none'), 404, { code: 'unknown_stage' });
        // complete: nothing but these files.
        const id = await stage(rig, { 'routing.lua': saying('alone') }, { complete: true });
        await says(rig, id, 'alone');
    }));

// ---------------------------------------------------------------- how long

test('it is kept for ten minutes after its last use', async () => {
    const clock = new Clock();
    const env = { LLM_GATE_CLOCK_FILE: clock.path };
    await withRig({ env }, async (rig) => {
        const id = await stage(rig, { 'routing.lua': saying('draft') });
        const other = await stage(rig, { 'routing.lua': saying('other') });
        clock.at(9 * MINUTE);
        await says(rig, id, 'draft');
        clock.at(11 * MINUTE);
        await isGone(rig, other);
        assertError(await rig.call('DELETE', `/stage/${other}`), 404, { code: 'unknown_stage' });
        clock.at(18 * MINUTE);
        await says(rig, id, 'draft');
        clock.at(29 * MINUTE);
        await isGone(rig, id);
    });
});

test('the fifth takes the place of the one that was used least recently', async () => {
    const clock = new Clock();
    await withRig({ env: { LLM_GATE_CLOCK_FILE: clock.path } }, async (rig) => {
        const ids = [];
        for (let i = 0; i < 4; i++) {
            clock.at(i * 1000);
            ids.push(await stage(rig, { 'routing.lua': saying(`draft ${i}`) }));
        }
        clock.at(5000);
        await says(rig, ids[0], 'draft 0');
        clock.at(6000);
        const fifth = await stage(rig, { 'routing.lua': saying('fifth') });
        await isGone(rig, ids[1]);
        for (const i of [0, 2, 3]) {
            await says(rig, ids[i], `draft ${i}`);
        }
        await says(rig, fifth, 'fifth');
    });
});

test('a restart ends all of them', () =>
    withRig({}, async (rig) => {
        const id = await stage(rig, { 'routing.lua': saying('draft') });
        await rig.restart();
        await isGone(rig, id);
        await says(rig, await stage(rig, { 'routing.lua': saying('again') }), 'again');
    }));

test('a request keeps the stage that it began with', () =>
    withRig({}, async (rig) => {
        const files = {
            'accounts.lua': `return { on_response = function(response, _, req)
                if req.max_tokens == 7 then error("seen " .. response.status) end
            end }`,
        };
        const id = await stage(rig, files);
        const held = rig.upstream.hold('a');
        const other = rig.upstream.hold('b');
        const answers = [1, 2].map(() => staged(rig, id, 'm', { max_tokens: 7 }));
        await Promise.all([held.arrived, other.arrived]);
        await rig.ask('DELETE', `/stage/${id}`);
        await rig.publish({ 'gateway.lua': 'return { providers = {} }' });
        await isGone(rig, id);
        held.release();
        other.release();
        assert.deepEqual((await Promise.all(answers)).map(who).sort(), ['a', 'b']);
        await rig.gateway.waitLog(new RegExp(`stage ${id}: on_response failed: .*seen 200`));
    }));

// ---------------------------------------------------------------- what it does not do

test('script errors of a stage take nothing out of service', () =>
    withRig({ files: { 'routing.lua': saying('runs') }, workers: 1 }, async (rig) => {
        const id = await stage(rig, {
            'routing.lua': 'return function(req) if req.max_tokens == 666 then error("boom") end end',
        });
        await rig.publish({ 'routing.lua': saying('newer') });
        for (let i = 0; i < 45; i++) {
            const answer = await staged(rig, id, 'm', { max_tokens: 666 });
            assertError(answer, 500, { code: 'script_error' });
            assert.match(explained(answer).reason, /boom/);
        }
        assert.match(rig.gateway.log, new RegExp(`stage ${id}: route failed: .*boom`));
        await rig.says('newer');
        assert.equal(await rig.running(), 2);
        assert.ok(!(await rig.ask('GET', '/history')).generations.some(({ failed }) => failed));
        // They do not count for what runs either: neither up nor down.
        const check = await rig.check({ 'routing.lua': 'return function() return "pool/m" end' });
        assert.equal(check.ok, true, JSON.stringify(check.problems));
        assert.equal(check.recorded, 4);
    }));

test('a draft pauses no account, and its notes are its own', () =>
    withRig({ workers: 1 }, async (rig) => {
        const files = {
            'accounts.lua': `return {
                on_response = function() return { cooldown_ms = 3600000 } end,
                on_error = function() return { action = "fail", cooldown_ms = 3600000 } end,
            }`,
            'routing.lua': `return function()
                gate.counter("drafts")
                gate.kv.set("word", "draft")
            end`,
        };
        const id = await stage(rig, files);
        assert.match(who(await staged(rig, id)), /^[ab]$/);
        for (const name of ['pool/a', 'pool/b']) {
            assert.equal((await account(rig, name)).state, 'serving');
        }
        assert.deepEqual((await rig.get()).counters, {});
        const missing = { 'routing.lua': saying('x').replace('"x"', 'gate.kv.get("word") or "none"') };
        await rig.publish(missing);
        await rig.says('none');
        rig.upstream.next('a', { status: 400, body: '{"error":{"message":"no"}}' });
        rig.upstream.next('b', { status: 400, body: '{"error":{"message":"no"}}' });
        await staged(rig, id);
        for (const name of ['pool/a', 'pool/b']) {
            assert.equal((await account(rig, name)).state, 'serving');
        }
    }));

// ---------------------------------------------------------------- gateway.lua

test('a draft of gateway.lua has its own providers, accounts, limits and headers', () =>
    withRig({}, async (rig) => {
        const pool = instance('pool', rig.upstream.base, ['a', 'b']);
        pool.options.catch_all = true;
        const extra = instance('extra', rig.upstream.base, [
            { alias: 'c', limits: { chat: { rpm: 2 } }, tags: ['new'] },
        ]);
        const id = await stage(rig, {
            'gateway.lua': `return ${lua({ providers: [pool, extra], route_headers: ['x-team'] })}`,
            'routing.lua': `return function(req)
                return { model = req.headers["x-team"] == "x" and "extra/m" or "pool/m" }
            end`,
        });
        const call = () => rig.gateway.call({ path: PATH, body: chatRequest('m'),
            headers: { 'x-gate-stage': id, 'x-team': 'x' } });
        assert.equal(who(await call()), 'c');
        assert.equal(who(await call()), 'c');
        assert.equal(who(await call()), '429 accounts_limited'); // all workers share its counts
        assert.match(who(await staged(rig, id)), /^[ab]$/);
        // Who runs knows nothing of it.
        assert.equal((await account(rig, 'extra/c')), undefined);
        assert.match(await rig.chat('extra/m'), /^[ab]$/); // catch_all takes it for a name
        const shared = (await account(rig, 'pool/a')).served + (await account(rig, 'pool/b')).served;
        assert.equal(shared, 2);
    }));

test('a provider that the draft changes has accounts of its own: those that run come to no harm', () =>
    withRig({ workers: 1 }, async (rig) => {
        const id = await stage(rig, {
            'gateway.lua': rig.config({}, ['a', 'b'], {
                options: { base_url: 'http://127.0.0.1:1/v1', catch_all: true },
            }),
        });
        const answer = await staged(rig, id);
        assert.equal(answer.status, 502, answer.text);
        assert.deepEqual(explained(answer).attempts.map(({ verdict }) => verdict), ['network', 'network']);
        for (const name of ['pool/a', 'pool/b']) {
            const a = await account(rig, name);
            assert.deepEqual([a.state, a.failed, a.last_error], ['serving', 0, null]);
        }
        // Another key of an account is not that of the one that runs.
        const other = await stage(rig, {
            'gateway.lua': rig.config({}, [{ alias: 'a', key_env: 'KEY_OF_C' }]),
        });
        rig.upstream.next('c', { status: 401, body: '{"error":{"message":"no","code":"invalid_api_key"}}' });
        assert.equal((await staged(rig, other)).status, 401);
        assert.equal((await account(rig, 'pool/a')).state, 'serving');
    }));

test('accounts that people change meanwhile are those of the stage too', () =>
    withRig({ workers: 1 }, async (rig) => {
        const admin = (method, path, body) =>
            rig.gateway.call({ method, path: `/admin/api${path}`, body, key: rig.key });
        const same = await stage(rig, { 'models.lua': 'return { fast = "pool/m" }' });
        const changed = await stage(rig, {
            'gateway.lua': rig.config({}, ['a', 'b'], { clocks: { idle_ms: 5000 } }),
        });
        for (const name of ['a', 'b']) {
            await admin('PATCH', `/accounts/pool/${name}`, { enabled: false });
        }
        for (const id of [same, changed]) {
            assert.equal((await staged(rig, id)).status, 503);
        }
        const added = await admin('POST', '/accounts', {
            provider: 'pool', name: 'late', api_key: 'sk-account-late-0a1b2c3d4e',
        });
        assert.equal(added.status, 201, added.text);
        for (const id of [same, changed]) {
            assert.equal(who(await staged(rig, id)), 'late');
        }
        await admin('PATCH', '/accounts/pool/late', { api_key: 'sk-account-later-0a1b2c3d4e' });
        for (const id of [same, changed]) {
            assert.equal(who(await staged(rig, id)), 'later');
        }
        await admin('DELETE', '/accounts/pool/late?purge=1');
        for (const id of [same, changed]) {
            assert.equal((await staged(rig, id)).status, 503);
        }
    }));

test('a login that only the draft names cannot be staged: it would have to be taken into storage', () => {
    const LOGIN = JSON.stringify({
        access_token: 'at', refresh_token: 'rt', token_type: 'Bearer', resource_url: 'example.org',
        expiry_date: Date.now() + 24 * 60 * MINUTE,
    });
    return withRig({ env: { LOGIN } }, async (rig) => {
        const files = (more) => ({ 'gateway.lua': `return ${lua({ ...more, providers: [{
            name: 'q', plugin: 'qwen', options: { plan: 'oauth' },
            accounts: [{ alias: 'seed', key_env: 'LOGIN', oauth: true }],
        }] })}` });
        const answer = await rig.call('POST', '/stage', { files: files() });
        assert.equal(answer.status, 409, answer.text);
        assert.equal(answer.json.error.code, 'cannot_stage');
        assert.match(answer.json.error.message, /q\/seed/);
        assert.deepEqual(answer.json.keys, ['providers']);
        // One that runs is there.
        await rig.publish(files());
        const id = await stage(rig, {
            ...files({ max_attempts: 3 }),
            'routing.lua': `return function()
                for _, a in ipairs(gate.accounts("q")) do
                    return { reject = { status = 418, message = a.id .. " " .. a.state } }
                end
            end`,
        });
        await says(rig, id, 'q/seed serving');
    });
});

// ---------------------------------------------------------------- races

test('a publish in between does not hurt', () =>
    withRig({}, async (rig) => {
        const id = await stage(rig, { 'routing.lua': 'return function() return "pool/m" end' });
        await rig.publish({ 'routing.lua': saying('newer') });
        assert.match(who(await staged(rig, id)), /^[ab]$/);
        // The provider is another one now, and then none: the stage has what it was made of.
        await rig.publish({ 'gateway.lua': rig.config({}, ['b', 'c'], { clocks: { idle_ms: 4000 } }) });
        for (let i = 0; i < 4; i++) {
            assert.match(who(await staged(rig, id)), /^[ab]$/);
        }
        await rig.publish({ 'gateway.lua': 'return { providers = {} }' });
        for (let i = 0; i < 4; i++) {
            assert.match(who(await staged(rig, id)), /^[ab]$/);
        }
        await rig.says('newer');
        await rig.ask('POST', '/rollback', { generation: 1 });
        assert.match(who(await staged(rig, id)), /^[ab]$/);
    }));

test('stages, publishes, chats and changes at the same time', () =>
    withRig({ workers: 3 }, async (rig) => {
        let over = false;
        const wrong = [];
        const ids = [];
        const chatters = inParallel([0, 1, 2, 3, 4, 5], 6, async (n) => {
            while (!over) {
                const id = n % 3 === 0 ? undefined : ids[Math.floor(Math.random() * ids.length)];
                const answer = await staged(rig, id, 'm', { stream: n % 2 === 0 });
                if (answer.status !== 200 && answer.status !== 404) {
                    wrong.push(answer.text);
                }
            }
        });
        const rounds = sanitized ? 8 : 25;
        const one = async (n) => {
            for (let i = 0; i < rounds; i++) {
                const files = i % 2
                    ? { 'gateway.lua': rig.config({ max_attempts: 3 + n + i }) }
                    : { 'gateway.lua': rig.config({}, ['a', 'b'], { clocks: { idle_ms: 5000 + n + i } }) };
                ids[n] = await stage(rig, files);
                if (i % 3 === 2) {
                    await rig.call('DELETE', `/stage/${ids[n]}`);
                }
            }
        };
        const publisher = async () => {
            for (let i = 0; i < rounds; i++) {
                await rig.publish({ 'gateway.lua':
                    rig.config({}, ['a', 'b'], { clocks: { idle_ms: 6000 + i } }) });
                const path = '/admin/api/accounts/pool/a';
                await rig.gateway.call({ method: 'PATCH', path, body: { tags: [`t${i}`] } });
            }
        };
        await Promise.all([one(0), one(1), one(2), publisher()]);
        over = true;
        await chatters;
        assert.deepEqual(wrong.slice(0, 3), []);
        assert.equal(rig.gateway.exit, null, rig.gateway.tail);
    }));

test('the gateway stops while drafts are staged and used', () =>
    withRig({}, async (rig) => {
        const id = await stage(rig, { 'routing.lua': 'return function() return "pool/m" end' });
        rig.upstream.always('a', { headers: { 'Content-Type': 'text/event-stream' }, body: chatStream('x') });
        const running = Array.from({ length: 6 }, (_, i) =>
            rig.call('POST', '/stage', { files: { 'routing.lua': saying(`${i}`) } }).catch(() => {}));
        const chats = Array.from({ length: 6 }, () => staged(rig, id).catch(() => {}));
        await rig.gateway.stop();
        await Promise.all([...running, ...chats]);
    }));
