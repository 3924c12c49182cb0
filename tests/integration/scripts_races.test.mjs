// What happens between a publish and the requests, answers and edits around it.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { chatStream } from '../upstream/scenarios.mjs';
import { instance, lua } from './accounts.mjs';
import { chatRequest, inParallel, run, sanitized, slow, until } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

// A stream that waits for a word of the test between its head and its end.
function held() {
    let release, arrived;
    const go = new Promise((done) => (release = done));
    const there = new Promise((done) => (arrived = done));
    const scenario = async (request, reply) => {
        arrived();
        await go;
        return { body: chatStream('ok') };
    };
    return { scenario, release, there };
}

const HEADERS = `return { on_response = function(_response, _attempt, req)
    return { cooldown_ms = req.headers["x-team"] == "a" and 0 or 1 }
end }`;

test('headers that route_headers listed are those of the request, whatever is published meanwhile', () =>
    withRig({ files: { 'accounts.lua': HEADERS } }, async (rig) => {
        await rig.publish({ 'gateway.lua': rig.config({ route_headers: ['x-team'] }) });
        const wait = held();
        rig.upstream.next('a', wait.scenario);
        rig.upstream.next('b', wait.scenario);
        const slowOne = rig.gateway.call({
            body: chatRequest('m', { stream: true }), headers: { 'x-team': 'a' },
        });
        await wait.there;
        for (const name of ['x-other', 'x-third']) {
            await rig.publish({ 'gateway.lua': rig.config({ route_headers: [name] }) });
        }
        wait.release();
        assert.equal((await slowOne).status, 200);
        assert.ok(!/on_response failed/.test(rig.gateway.log), rig.gateway.tail);
    }));

test('accounts that move from one provider to another: every request finds the one of its scripts', () =>
    withRig({}, async (rig) => {
        const side = (here, other) => ({
            'gateway.lua': `return ${lua({ echo: false, providers: [
                instance(here, rig.upstream.base, ['a'], { options: { catch_all: false } }),
                { ...instance(other, rig.upstream.base, [], { options: { catch_all: false } }) },
            ].sort((x, y) => (x.name < y.name ? -1 : 1)) })}`,
            'routing.lua': `return function() return "${here}/x" end`,
        });
        await rig.publish(side('one', 'two'));
        let over = false;
        const wrong = [];
        const clients = inParallel([0, 1, 2, 3, 4, 5], 6, async () => {
            while (!over) {
                const answer = await rig.gateway.chat('m');
                if (answer.status !== 200) {
                    wrong.push(answer.text);
                }
            }
        });
        for (let i = 0; i < (sanitized ? 20 : 60); i++) {
            await rig.publish(i % 2 ? side('one', 'two') : side('two', 'one'));
        }
        over = true;
        await clients;
        assert.deepEqual(wrong.slice(0, 3), []);
    }));

test('a takeover whose first choice does not do takes the one before it', () =>
    withRig({ files: { 'routing.lua': saying('good') } }, async (rig) => {
        const failing = (word) => `return function(req)
            if req.max_tokens == 666 then error("boom") end
            return { reject = { status = 418, message = "${word}" } }
        end`;
        await rig.publish({ 'routing.lua': failing('T') });
        await rig.publish({ 'routing.lua': failing('B') });
        const fail = async (count) => {
            for (let i = 0; i < count; i++) {
                await rig.chat('m', { max_tokens: 666 });
            }
        };
        const events = await rig.events();
        await until(async () => {
            await fail(10);
            return events.scripts('takeover').length > 0;
        }, { timeout: 5000 * slow });
        // The one before failed in the same way; it takes the same road.
        await until(async () => {
            await fail(10);
            return (await rig.chat()) === '418 good';
        }, { timeout: 10000 * slow });
        await rig.says('good');
        assert.equal(rig.gateway.exit, null, rig.gateway.tail);
    }));

test('texts that failed once are no way back, under whatever number', () =>
    withRig({ files: { 'routing.lua': saying('good') } }, async (rig) => {
        const worse = (n) => `return function(req)
            if req.max_tokens == ${n} then error("boom ${n}") end
            return { reject = { status = 418, message = "${n}" } }
        end`;
        await rig.publish({ 'routing.lua': worse(2) }); // 2
        const failAll = async (n) => {
            for (let i = 0; i < 45; i++) {
                await rig.chat('m', { max_tokens: n });
            }
        };
        await failAll(2);
        await until(async () => (await rig.chat()) === '418 good', { timeout: 5000 * slow });
        await rig.ask('POST', '/rollback', { generation: 2 }); // the text of 2 again
        await rig.publish({ 'routing.lua': worse(9) });
        await failAll(9);
        await until(async () => (await rig.chat()) === '418 good', { timeout: 5000 * slow });
    }));

test('a publish without a base does not drop an edit that it does not know', () =>
    withRig({ files: { 'routing.lua': saying('1') } }, async (rig) => {
        writeFileSync(join(rig.conf, 'accounts.lua'), 'return { strategy = "sticky" }');
        const answer = await rig.call('POST', '/publish', { files: { 'routing.lua': saying('2') } });
        if (answer.status === 200) {
            assert.equal(answer.json.generation, 3, 'the edit on disk was first');
        } else {
            assert.equal(answer.status, 409, answer.text);
            assert.match(answer.json.error.code, /^(disk_edit|stale_base)$/);
        }
        await until(async () => 'accounts.lua' in (await rig.get()).files, { timeout: 5000 * slow });
        await until(() => 'accounts.lua' in rig.disk(), { timeout: 5000 * slow });
    }));

test('a file that is just being written is not taken for an edit that failed', () =>
    withRig({ files: { 'routing.lua': saying('1') } }, async (rig) => {
        writeFileSync(join(rig.conf, 'routing.lua'), 'return function(');
        const answer = await rig.call('POST', '/publish', {
            files: { 'models.lua': 'return { fast = "pool/m" }' },
        });
        writeFileSync(join(rig.conf, 'routing.lua'), saying('2'));
        assert.equal(answer.status, 409, answer.text);
        assert.equal(answer.json.error.code, 'disk_edit');
        await until(async () => (await rig.chat()) === '418 2', { timeout: 5000 * slow });
    }));

test('a file that is not UTF-8: check, start and publish say so', async () => {
    const latin = Buffer.concat([Buffer.from('-- caf'), Buffer.from([0xe9]),
        Buffer.from('\nreturn {}\n')]);
    await withRig({}, async (rig) => {
        writeFileSync(join(rig.conf, 'models.lua'), latin);
        await until(async () => (await rig.get()).disk.differs, { timeout: 5000 * slow });
        const [problem] = (await rig.get()).disk.problems;
        assert.deepEqual([problem.file, /UTF-8/.test(problem.message)], ['models.lua', true]);
        const env = { ...rig.options.env, LLM_GATE_LISTEN: '127.0.0.1:0', API_KEY: rig.key };
        for (const args of [['check'], []]) {
            const result = await run(args, { env: { ...env, LLM_GATE_DATA_DIR: `${rig.dataDir}2` } });
            assert.notEqual(result.code, 0, result.output);
            assert.match(result.output, /models\.lua: the file is not UTF-8/);
        }
    });
});

test('GET /admin/api/config tells what a publish has changed', () =>
    withRig({}, async (rig) => {
        await rig.publish({ 'gateway.lua': rig.config({ max_attempts: 3, workers: 7 }) });
        const answer = await rig.gateway.call({ method: 'GET', path: '/admin/api/config' });
        assert.deepEqual([answer.json.max_attempts, answer.json.workers], [3, 2]);
        await rig.publish({ 'gateway.lua': 'return { providers = {} }' });
        const after = (await rig.gateway.call({ method: 'GET', path: '/admin/api/config' })).json;
        assert.ok(!after.providers.some(({ name }) => name === 'pool'), JSON.stringify(after.providers));
    }));

test('an explanation in a header has a bound, also for a stream that never began', () =>
    withRig({}, async (rig) => {
        const names = Array.from({ length: 120 }, (_, i) => `account${i}`);
        for (const name of names) {
            rig.upstream.always(name, { status: 500, body: '{"error":{"message":"down"}}' });
        }
        const config = instance('pool', rig.upstream.base, []);
        config.options.catch_all = true;
        await rig.publish({ 'gateway.lua': `return ${lua({ providers: [config] })}` });
        for (const name of names) {
            const answer = await rig.gateway.call({ path: '/admin/api/accounts',
                body: { provider: 'pool', name, api_key: `sk-account-${name}-0a1b2c3d4e` } });
            assert.equal(answer.status, 201, answer.text);
        }
        for (const stream of [false, true]) {
            const answer = await rig.gateway.call({
                body: chatRequest('m', { stream }), headers: { 'x-gate-explain': '1' },
            });
            assert.ok(answer.status >= 500, answer.text);
            const why = answer.headers['x-gate-explain'];
            assert.ok(why.length <= 6000, `${why.length} bytes`);
            assert.ok(JSON.parse(why).id);
        }
    }));

test('a stream that keepalives began and that fails then is explained before its error', () =>
    withRig({}, async (rig) => {
        await rig.publish({ 'gateway.lua': rig.config({}, ['a'], { clocks: { keepalive_ms: 100 } }) });
        const wait = held();
        rig.upstream.next('a', async (request, reply) => {
            await wait.scenario(request, reply);
            return { status: 500, body: '{"error":{"message":"down"}}' };
        });
        const client = await rig.gateway.rawChat('m', { stream: true }, { 'X-Gate-Explain': '1' });
        await until(() => /: keepalive/.test(client.text), { timeout: 5000 * slow });
        wait.release();
        await until(() => /"error"/.test(client.text), { timeout: 5000 * slow });
        const at = client.text.indexOf(': x-gate-explain {');
        assert.ok(at > 0 && at < client.text.indexOf('data: {"error"'), client.text);
        client.close();
    }));
