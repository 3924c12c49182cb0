// Scripts that fail give way to those before them; x-gate-explain; GET /admin/api/events.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { completion } from '../upstream/oauth_answers.mjs';
import { API_KEY, assertError, inParallel, slow, until } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

const IN_A_ROW = 20;
// Passes all samples, and fails for one model.
const failing = (word, more = '') => `return function(req)
    if req.model == "bad" then error("${word}") end
    ${more}
end`;
const single = { workers: 1 };

const ask = async (rig, model, count) => {
    for (let i = 0; i < count; i++) {
        await rig.chat(model);
    }
};

// ---------------------------------------------------------------- takeover

test('takeover: after 20 failing requests in a row the generation before serves', () =>
    withRig({ ...single, files: { 'routing.lua': saying('good') } }, async (rig) => {
        const events = await rig.events();
        await rig.publish({ 'routing.lua': failing('boom') });
        const answer = await rig.gateway.chat('bad');
        assertError(answer, 500, { code: 'script_error', type: 'server_error' });
        assert.ok(!answer.text.includes('boom'), 'clients are told what scripts say');
        await ask(rig, 'bad', IN_A_ROW - 2);
        assert.equal(await rig.running(), 2);
        await ask(rig, 'bad', 1);
        const told = await events.script('takeover');
        assert.deepEqual(told, { event: 'takeover', failed: 2, generation: 3, of: 1 });
        await rig.says('good');
        assert.equal(await rig.chat('bad'), '418 good');
        const { published, disk } = await rig.get();
        assert.deepEqual(
            [published.origin, published.author, published.base, published.of, published.failed],
            ['takeover', 'gateway', 2, 1, false],
        );
        assert.match(published.note, /generation 2 failed 20 requests.*routing\.lua:2: boom/);
        const [third, second, first] = (await rig.get('/history')).generations;
        assert.deepEqual([third.failed, second.failed, first.failed], [false, true, false]);
        // On disk is what runs, so that a restart does not bring it back.
        assert.equal(rig.disk()['routing.lua'], saying('good'));
        assert.equal(disk.differs, false);
        const { log } = rig.gateway;
        assert.match(log, /ERROR scripts: 20 requests in a row failed in generation 2.*boom/);
        assert.match(log, /ERROR scripts: generation 2 was taken out of service, 3 serves/);
        await rig.restart();
        assert.equal(await rig.running(), 3);
    }));

test('takeover: a generation that was taken out is no way back for the next one', () =>
    withRig({ ...single, files: { 'routing.lua': saying('good') } }, async (rig) => {
        await rig.publish({ 'routing.lua': failing('one') });
        await ask(rig, 'bad', IN_A_ROW);
        await rig.until(3);
        await rig.publish({ 'routing.lua': failing('two') });
        await ask(rig, 'bad', IN_A_ROW);
        await rig.until(5);
        await rig.publish({ 'routing.lua': failing('three') });
        await ask(rig, 'bad', IN_A_ROW);
        await rig.until(7);
        await rig.says('good');
        const { generations } = await rig.get('/history');
        assert.deepEqual(
            generations.map(({ failed }) => failed),
            [false, true, false, true, false, true, false],
        );
        // A person may go back to it all the same.
        await rig.ask('POST', '/rollback', { generation: 2 });
        assert.match(await rig.chat('bad'), /^500 /);
    }));

test('takeover: one good request in between, and it is no row', () =>
    withRig({ ...single, files: { 'routing.lua': saying('good') } }, async (rig) => {
        await rig.publish({ 'routing.lua': failing('boom') });
        for (let i = 0; i < 3; i++) {
            await ask(rig, 'bad', IN_A_ROW - 1);
            assert.match(await rig.chat('m'), /^[ab]$/);
        }
        assert.equal(await rig.running(), 2);
        assert.doesNotMatch(rig.gateway.log, /in a row/);
    }));

test('takeover: select, on_error and on_response count as well, and cost no answer', async () => {
    for (const [name, text, scenario] of [
        ['select', 'return { select = function(_, req) if req.model == "bad" then error("s") end end }'],
        [
            'on_error',
            'return { on_error = function(_, _, req) if req.model == "bad" then error("s") end end }',
            { status: 500, body: '{}' },
        ],
        [
            'on_response',
            'return { on_response = function(_, _, req) if req.model == "bad" then error("s") end end }',
        ],
    ]) {
        await withRig(single, async (rig) => {
            await rig.publish({ 'accounts.lua': text });
            for (let i = 0; i < IN_A_ROW; i++) {
                if (scenario) {
                    rig.upstream.next('a', scenario);
                    rig.upstream.next('b', scenario);
                }
                const answer = await rig.chat('bad');
                assert.ok(scenario || /^[ab]$/.test(answer), `${name}: ${answer}`);
            }
            await rig.until(3);
            assert.match((await rig.get()).published.note, new RegExp(`${name}: accounts.lua:1: s`));
        });
    }
});

test('takeover: without an earlier generation it goes on', () =>
    withRig({ ...single, files: { 'routing.lua': failing('boom') } }, async (rig) => {
        await ask(rig, 'bad', 2 * IN_A_ROW);
        await rig.gateway.waitLog(/generation 1 fails request after request, and there is no earlier/);
        assert.match(await rig.chat('m'), /^[ab]$/);
        const { published } = await rig.get();
        assert.deepEqual([published.generation, published.failed], [1, true]);
        // Told once.
        assert.equal(rig.gateway.log.match(/no earlier one/g).length, 1);
    }));

test('takeover: an edit on disk that could not be published stays where it is', () =>
    withRig({ ...single, files: { 'routing.lua': saying('good') } }, async (rig) => {
        await rig.publish({ 'routing.lua': failing('boom') });
        const broken = 'return function(';
        writeFileSync(join(rig.conf, 'routing.lua'), broken);
        await rig.gateway.waitLog(/is not used/);
        await ask(rig, 'bad', IN_A_ROW);
        await rig.until(3);
        assert.equal(rig.disk()['routing.lua'], broken);
        assert.equal((await rig.get()).disk.differs, true);
        await rig.says('good');
    }));

// ---------------------------------------------------------------- x-gate-explain

const wanted = { 'x-gate-explain': '1' };
const explained = (answer) => JSON.parse(answer.headers['x-gate-explain']);

test('explain: a header on answers, rejections and errors; a first comment in streams', () =>
    withRig(
        {
            files: {
                'routing.lua': `return function(req)
                    if req.model == "no" then
                        return { reject = { status = 451, message = "not here" }, reason = "the law" }
                    elseif req.model == "bad" then
                        error("boom")
                    end
                    return { model = "pool/x", reason = "grün → blau" }
                end`,
            },
        },
        async (rig) => {
            const headers = { ...wanted, 'x-request-id': 'why-1' };
            const answer = await rig.gateway.chat('m', {}, { headers });
            assert.equal(answer.status, 200);
            assert.ok(/^[\x20-\x7e]+$/.test(answer.headers['x-gate-explain']));
            const why = explained(answer);
            assert.equal(why.id, 'why-1');
            assert.deepEqual(
                [why.model, why.provider, why.upstream_model, why.reason, why.generation],
                ['m', 'pool', 'x', 'grün → blau', 1],
            );
            assert.deepEqual([why.strategy, why.stream, why.status], ['round_robin', false, 200]);
            assert.deepEqual(why.attempts.map(({ account }) => account), ['pool/a']);
            assert.deepEqual(why.passed_by, []);
            // A failure before it is in it.
            rig.upstream.next('b', { status: 503, body: '{}' });
            const second = explained(await rig.gateway.chat('m', {}, { headers: wanted }));
            assert.deepEqual(
                second.attempts.map(({ account, verdict }) => `${account} ${verdict}`),
                ['pool/b overloaded', 'pool/a ok'],
            );
            const stream = await rig.gateway.chat('m', { stream: true }, { headers: wanted });
            assert.equal(stream.headers['x-gate-explain'], undefined);
            const comment = /^: x-gate-explain (\{.*\})\n\ndata: /.exec(stream.text);
            assert.ok(comment, stream.text);
            const streamed = JSON.parse(comment[1]);
            assert.deepEqual([streamed.provider, streamed.stream], ['pool', true]);
            assert.ok(stream.text.trimEnd().endsWith('data: [DONE]'));
            const refused = await rig.gateway.chat('no', {}, { headers: wanted });
            assertError(refused, 451, { code: 'rejected', message: 'not here' });
            assert.deepEqual(
                [explained(refused).reason, explained(refused).status, explained(refused).attempts],
                ['the law', 451, []],
            );
            const failed = await rig.gateway.chat('bad', {}, { headers: wanted });
            assertError(failed, 500, { code: 'script_error' });
            assert.deepEqual([explained(failed).generation, explained(failed).status], [1, 500]);
            rig.upstream.always('a', { status: 500, body: '{}' });
            rig.upstream.always('b', { status: 500, body: '{}' });
            const down = await rig.gateway.chat('m', { stream: true }, { headers: wanted });
            assert.equal(down.status, 500, down.text);
            assert.equal(explained(down).attempts.length, 2);
        },
    ));

test('explain: many accounts that were passed by do not fit into a header', async () => {
    const names = Array.from({ length: 120 }, (_, i) => `account_with_a_long_name_${i}`);
    const env = Object.fromEntries(names.map((n) => [`KEY_OF_${n.toUpperCase()}`, `sk-${n}`]));
    await withRig({ ...single, env }, async (rig) => {
        rig.upstream.mock.otherwise((request) => completion('Hello.', request.json));
        await rig.publish({ 'gateway.lua': rig.config({}, names) });
        for (const alias of names.slice(1)) {
            await rig.gateway.call({
                method: 'PATCH',
                path: `/admin/api/accounts/pool/${alias}`,
                body: { enabled: false },
            });
        }
        const answer = await rig.gateway.chat('m', {}, { headers: wanted });
        assert.ok(answer.headers['x-gate-explain'].length <= 8000);
        assert.equal(explained(answer).attempts[0].account, `pool/${names[0]}`);
        const stream = await rig.gateway.chat('m', { stream: true }, { headers: wanted });
        const comment = /^: x-gate-explain (\{.*\})\n\n/m.exec(stream.text);
        assert.ok(comment, stream.text.slice(0, 300));
    });
});

test('explain: never unasked', () =>
    withRig({}, async (rig) => {
        for (const headers of [{}, { 'x-gate-explain': '0' }]) {
            for (const stream of [false, true]) {
                const answer = await rig.gateway.chat('m', { stream }, { headers });
                assert.equal(answer.status, 200);
                assert.equal(answer.headers['x-gate-explain'], undefined);
                assert.ok(!answer.text.includes('x-gate-explain'));
            }
        }
    }));

test('explain: where the admin has another key, it is wanted too', () => {
    const ADMIN_KEY = 'admin-it-c41f5b09de77';
    return withRig({ env: { ADMIN_KEY } }, async (rig) => {
        for (const more of [{}, { 'x-gate-admin-key': 'wrong' }, { 'x-gate-admin-key': API_KEY }]) {
            const headers = { ...wanted, ...more };
            const answer = await rig.gateway.chat('m', {}, { headers });
            assertError(answer, 403, { code: 'admin_key_required', type: 'permission_error' });
            assert.equal(answer.headers['x-gate-explain'], undefined);
        }
        assert.equal(rig.upstream.asked.length, 0);
        const headers = { ...wanted, 'x-gate-admin-key': ADMIN_KEY };
        assert.equal(explained(await rig.gateway.chat('m', {}, { headers })).provider, 'pool');
        const [request] = rig.upstream.requests;
        assert.equal(request.header('x-gate-admin-key'), undefined);
        assert.equal(request.header('x-gate-explain'), undefined);
        // It does not replace the client's key.
        const keyless = await rig.gateway.chat('m', {}, { headers, key: ADMIN_KEY });
        assertError(keyless, 401);
    });
});

// ---------------------------------------------------------------- events

test('events: a snapshot first, then what happens to scripts, for every client', () =>
    withRig({ workers: 3, files: { 'routing.lua': saying('1') } }, async (rig) => {
        const clients = await Promise.all(Array.from({ length: 9 }, () => rig.events()));
        for (const { response, list } of clients) {
            assert.equal(response.statusCode, 200);
            assert.match(response.headers['content-type'], /^text\/event-stream/);
            assert.equal(response.headers['access-control-allow-origin'], undefined);
            const [{ type, data }] = list;
            assert.equal(type, 'snapshot');
            assert.deepEqual(
                [data.generation, data.workers, data.disk_differs],
                [1, 3, false],
            );
            assert.match(data.version, /^\d/);
        }
        await rig.publish({ 'routing.lua': saying('2') }, { author: 'ada', note: 'a "note"\n2' });
        writeFileSync(join(rig.conf, 'routing.lua'), 'return (');
        for (const client of clients) {
            const { took_ms: ms, ...told } = await client.script('published');
            assert.ok(ms > 0);
            assert.deepEqual(told, {
                event: 'published',
                generation: 2,
                origin: 'admin',
                author: 'ada',
                note: 'a "note"\n2',
            });
            assert.equal((await client.script('disk')).differs, true);
        }
        // Who comes now is told in the snapshot.
        const late = await rig.events();
        const [{ data }] = late.list;
        assert.deepEqual([data.generation, data.disk_differs], [2, true]);
        // Some leave; the others go on.
        for (const client of clients.slice(0, 6)) {
            client.close();
        }
        await rig.publish({ 'routing.lua': saying('3') }, { over_disk: true });
        for (const client of [...clients.slice(6), late]) {
            const all = await client.script('published', client === late ? 1 : 2);
            assert.equal(all.generation, 3);
        }
    }));

test('events: clients that come and go while scripts are published', () =>
    withRig({ workers: 2, files: { 'routing.lua': saying('0') } }, async (rig) => {
        const stays = await rig.events();
        const rounds = Array.from({ length: 40 }, (_, i) => i);
        await inParallel(rounds, 4, async (i) => {
            const stream = await rig.events();
            if (i % 4 === 0) {
                await rig.publish({ 'routing.lua': saying(`r${i}`) });
            }
            stream.close();
        });
        await stays.script('published', 10);
        const numbers = stays.scripts('published').map(({ generation }) => generation);
        assert.deepEqual(numbers, Array.from({ length: 10 }, (_, i) => i + 2));
        const { active } = (await rig.gateway.call({ method: 'GET', path: '/admin/api/stats' })).json;
        assert.equal(active, 0);
    }));

test('events: a drain ends them, and waits for nobody', () =>
    withRig({ files: {} }, async (rig) => {
        const clients = [await rig.events(), await rig.events()];
        rig.gateway.signal('SIGTERM');
        await rig.gateway.ended();
        assert.deepEqual(rig.gateway.exit, { code: 0, signal: null });
        await until(() => clients.every(({ ended }) => ended));
    }));

test('events: the key, the method and parameters', () =>
    withRig({ env: { ADMIN_KEY: 'admin-it-c41f5b09de77' } }, async (rig) => {
        const path = '/admin/api/events';
        const signal = AbortSignal.timeout(5000 * slow); // it would not end
        const call = (more) =>
            rig.gateway.call({ method: 'GET', path, key: rig.key, signal, ...more });
        assertError(await call({ key: null }), 401);
        assertError(await call({ key: API_KEY }), 401);
        assertError(await call({ method: 'POST' }), 405, { code: 'method_not_allowed' });
        assertError(await call({ path: `${path}?x=1` }), 400, { code: 'unknown_parameter' });
    }));
