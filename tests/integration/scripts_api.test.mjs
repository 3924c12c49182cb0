// /admin/api/scripts: reading, checking, publishing, conflicts, and whoever does not wait for an
// answer. What is wrong with what is sent is in scripts_input.test.mjs.
import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertError, inParallel } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

const one = { files: { 'routing.lua': saying('one') } };
const where = ({ file, line, column, severity }) => `${file}:${line}:${column} ${severity}`;

// ---------------------------------------------------------------- reading

test('GET /scripts: what runs, on every worker', () =>
    withRig({ ...one, workers: 3 }, async (rig) => {
        const { published, files, workers, ...rest } = await rig.get();
        assert.deepEqual(files, rig.disk());
        assert.deepEqual(rest, {
            generation: 1,
            needs_restart: [],
            disk: { differs: false },
            counters: {},
        });
        assert.equal(published.generation, 1);
        assert.equal(published.origin, 'start');
        assert.equal(published.files, 2);
        assert.equal(published.bytes, Object.values(files).join('').length);
        assert.ok(Math.abs(published.at - Date.now()) < 60000);
        assert.equal(workers.length, 3);
        for (const worker of workers) {
            assert.equal(worker.generation, 1);
            assert.equal(worker.requests, 0);
            assert.ok(worker.memory_bytes > 10000);
        }
        await rig.publish({ 'routing.lua': saying('two') });
        const now = await rig.get();
        assert.deepEqual(
            now.workers.map(({ generation }) => generation),
            [2, 2, 2],
        );
    }));

test('GET /scripts: counters of scripts, over all workers and generations', () =>
    withRig(
        {
            files: {
                'routing.lua': `return function(req)
                    gate.counter("asked", 1)
                    gate.counter("of." .. req.model, 2)
                end`,
            },
        },
        async (rig) => {
            await inParallel(Array(20).fill('x'), 4, (model) => rig.chat(model));
            assert.deepEqual((await rig.get()).counters, { asked: 20, 'of.x': 40 });
            // Trying a draft counts nothing, and publishing forgets nothing.
            await rig.publish({
                'routing.lua': 'return function() gate.counter("asked", 1) end',
            });
            assert.equal(await rig.chat('x'), 'a');
            assert.deepEqual((await rig.get()).counters, { asked: 21, 'of.x': 40 });
        },
    ));

// ---------------------------------------------------------------- checking

test('check: all problems, each with its place, and the opener of what is never closed', () =>
    withRig(one, async (rig) => {
        const report = await rig.check({
            'routing.lua': 'local function route(req\n    return (1 +\nend\nreturn route\n',
            'models.lua': 'return {\n    ["a"] = "b",\n',
            'accounts.lua': 'local x = = 1\nreturn {}\n',
        });
        assert.equal(report.ok, false);
        assert.equal(report.errors, report.problems.length);
        const files = new Set(report.problems.map(({ file }) => file));
        assert.deepEqual([...files].sort(), ['accounts.lua', 'models.lua', 'routing.lua']);
        for (const problem of report.problems) {
            assert.ok(problem.line > 0 && problem.column > 0, JSON.stringify(problem));
            assert.ok(problem.message.length > 0);
            assert.equal(problem.severity, 'error');
        }
        const opened = report.problems.find(({ file }) => file === 'models.lua');
        assert.deepEqual(opened.opener, { line: 1, column: 8 });
        const route = report.problems.filter(({ file }) => file === 'routing.lua');
        assert.deepEqual(route[0].opener, { line: 1, column: 21 });
        assert.ok(route.length >= 2, 'only the first problem of a file is told');
        const assign = report.problems.find(({ file }) => file === 'accounts.lua');
        assert.deepEqual([assign.line, assign.column], [1, 11]);
        // Nothing came of it.
        assert.equal(await rig.running(), 1);
        await rig.says('one');
    }));

test('check: what loads but fails when it is called, with the line and a stack', () =>
    withRig(one, async (rig) => {
        const report = await rig.check({
            'routing.lua': `local function helper(req)
    local x = nil
    return x[req.model]
end
return function(req)
    if req.stream then
        return (helper(req))
    end
end`,
            'accounts.lua': 'return { on_error = function(f) return f.kind .. nil end }',
        });
        assert.equal(report.ok, false);
        assert.ok(report.samples >= 6);
        const at = (file) => report.problems.find((p) => p.file === file && p.code === 'sample');
        assert.equal(at('routing.lua').line, 3);
        assert.match(at('routing.lua').stack, /routing\.lua:7/);
        assert.equal(at('accounts.lua').line, 1);
        assert.match(at('accounts.lua').message, /on_error/);
        // One mistake is one problem, for however many requests it fails.
        const codes = report.problems.map(({ file, line, code }) => `${file}:${line} ${code}`);
        assert.equal(new Set(codes).size, codes.length, codes.join());
    }));

test('check: what is no draft is what runs; an edit of a single file is put into it', () =>
    withRig(one, async (rig) => {
        for (const body of [undefined, {}, { files: {} }]) {
            const report = await rig.ask('POST', '/check', body);
            assert.deepEqual([report.ok, report.problems], [true, []]);
        }
        const gone = await rig.check({ 'gateway.lua': 'return { listen = 7 }' });
        assert.deepEqual([gone.ok, gone.problems[0].file], [false, 'gateway.lua']);
        const unknown = await rig.check({ 'gateway.lua': 'return {\n  listen = "x",\n}' });
        assert.match(unknown.problems[0].message, /listen/);
    }));

test('warnings are told and stop nothing', () =>
    withRig(one, async (rig) => {
        const files = {
            'routing.lua': `return function(req)
                if req.model == "never" then return req.modell end
                return { reject = { status = 418, message = "two" } }
            end`,
        };
        const report = await rig.check(files);
        assert.deepEqual(report.problems.map(where), ['routing.lua:2:57 warning']);
        assert.deepEqual([report.ok, report.errors, report.warnings], [true, 0, 1]);
        assert.match(report.problems[0].message, /'modell'.*'model'/);
        const published = await rig.publish(files);
        assert.deepEqual(published.report.problems, report.problems);
        await rig.gateway.waitLog(/WARN.*routing\.lua:2:57: .*modell/);
        await rig.says('two');
    }));

// ---------------------------------------------------------------- publishing

test('publish: every worker, the history, and conf/ on disk', () =>
    withRig({ ...one, workers: 4 }, async (rig) => {
        const answer = await rig.publish(
            { 'routing.lua': saying('two'), 'models.lua': 'return { x = "y" }' },
            { base: 1, note: 'Ä note\nof two lines', author: 'ada' },
        );
        assert.equal(answer.generation, 2);
        assert.equal(answer.unchanged, false);
        assert.ok(!('warning' in answer));
        assert.ok(answer.report.ok && answer.took_us > 0);
        await rig.says('two');
        const now = await rig.get();
        assert.deepEqual(
            now.workers.map(({ generation }) => generation),
            [2, 2, 2, 2],
        );
        const { generation, origin, base, of, failed, author, note, files } = now.published;
        assert.deepEqual(
            [generation, origin, base, of, failed, author, note, files],
            [2, 'admin', 1, null, false, 'ada', 'Ä note\nof two lines', 3],
        );
        assert.deepEqual(now.files, rig.disk());
        assert.equal(rig.disk()['models.lua'], 'return { x = "y" }');
        await rig.gateway.waitLog(/generation 2 serves \(admin, by ada: /);
        assert.ok(!rig.gateway.log.includes('\nof two lines'), 'a note makes lines in the log');
    }));

test('publish: mode and other files of conf/ are kept, a file that is null goes', () =>
    withRig({ files: { ...one.files, 'models.lua': 'return {}' } }, async (rig) => {
        const path = join(rig.conf, 'routing.lua');
        writeFileSync(join(rig.conf, 'notes.txt'), 'mine');
        mkdirSync(join(rig.conf, 'old'));
        writeFileSync(join(rig.conf, 'old', 'routing.lua'), 'an old one');
        chmodSync(path, 0o640);
        await rig.publish({
            'routing.lua': saying('two'),
            'models.lua': null,
            'accounts.lua': null,
            'tests/first.lua': 'return {}',
        });
        assert.equal(statSync(path).mode & 0o7777, 0o640);
        assert.deepEqual(Object.keys(rig.disk()), [
            'gateway.lua',
            'notes.txt',
            'old/routing.lua',
            'routing.lua',
            'tests/first.lua',
        ]);
        assert.deepEqual(Object.keys((await rig.get()).files), [
            'gateway.lua',
            'routing.lua',
            'tests/first.lua',
        ]);
        // A complete set has nothing beside what is sent.
        await rig.publish(
            { 'gateway.lua': rig.config(), 'routing.lua': saying('three') },
            { complete: true },
        );
        assert.deepEqual(Object.keys(rig.disk()), [
            'gateway.lua',
            'notes.txt',
            'old/routing.lua',
            'routing.lua',
        ]);
        await rig.says('three');
    }));

test('publish: the same texts are no new generation', () =>
    withRig(one, async (rig) => {
        const at = statSync(join(rig.conf, 'routing.lua')).mtimeMs;
        for (const files of [{}, one.files, { 'models.lua': null }]) {
            const answer = await rig.publish(files, { base: 1, note: 'again' });
            assert.deepEqual([answer.generation, answer.unchanged], [1, true]);
        }
        assert.equal((await rig.get('/history')).generations.length, 1);
        assert.equal(statSync(join(rig.conf, 'routing.lua')).mtimeMs, at);
    }));

test('publish: what has errors leaves everything as it was', () =>
    withRig(one, async (rig) => {
        const before = { now: await rig.get(), disk: rig.disk() };
        const refused = [
            { 'routing.lua': 'return function( end' },
            { 'routing.lua': saying('two'), 'models.lua': 'return 7' },
            { 'routing.lua': saying('two'), 'gateway.lua': 'return { provider = {} }' },
            { 'gateway.lua': rig.config({}, ['a', 'nobody']) },
            { 'routing.lua': 'error("not today")' },
            { 'routing.lua': 'return function() while true do end end' },
            { 'accounts.lua': 'return { strategy = "best" }' },
            { 'tests/t.lua': 'return { { request = { model = "m" }, expect = { model = "x" } } }' },
        ];
        for (const files of refused) {
            const answer = await rig.call('POST', '/publish', { files });
            assertError(answer, 422, { code: 'invalid_scripts' }, JSON.stringify(files));
            const { generation, report } = answer.json;
            assert.equal(generation, 1);
            assert.equal(report.ok, false);
            assert.ok(report.errors > 0 && report.problems.length > 0);
            assert.ok(report.problems.every(({ file }) => file !== null), JSON.stringify(report));
        }
        const now = await rig.get();
        assert.deepEqual({ now: { ...now, workers: 0 }, disk: rig.disk() }, {
            ...before,
            now: { ...before.now, workers: 0 },
        });
        assert.equal((await rig.get('/history')).generations.length, 1);
        await rig.says('one');
    }));

test('publish: a draft that recent requests would make fail is refused', () =>
    withRig({}, async (rig) => {
        const files = {
            'routing.lua': `return function(req)
                if req.model == "odd" then error("no odd ones") end
            end`,
        };
        const sent = { headers: { 'x-request-id': 'the-odd-one' } };
        assert.equal(await rig.chat('odd', {}, sent), 'a');
        const { report } = await rig.publish(files, {}, 422);
        assert.equal(report.recorded, 1);
        assert.equal(report.problems[0].code, 'recorded');
        assert.match(report.problems[0].message, /no odd ones.*the-odd-one.*odd/);
        assert.equal(report.problems[0].line, 2);
        assert.equal(await rig.running(), 1);
    }));

// ---------------------------------------------------------------- conflicts

test('409: of two who began with the same text the second gets the other one’s', () =>
    withRig(one, async (rig) => {
        await rig.publish({ 'routing.lua': saying('two') }, { base: 1 });
        for (const [path, body] of [
            ['/publish', { files: { 'routing.lua': saying('three') }, base: 1 }],
            ['/publish', { files: { 'routing.lua': saying('three') }, base: 7 }],
            ['/publish', { files: { 'routing.lua': 'what is no Lua' }, base: 1 }],
            ['/rollback', { generation: 1, base: 1 }],
        ]) {
            const answer = await rig.call('POST', path, body);
            assertError(answer, 409, { code: 'stale_base', param: 'base' });
            assert.equal(answer.json.generation, 2);
            assert.equal(answer.json.files['routing.lua'], saying('two'));
        }
        await rig.says('two');
        assert.equal((await rig.publish({ 'routing.lua': saying('three') }, { base: 2 })).generation, 3);
        await rig.says('three');
        assert.equal((await rig.publish({ 'routing.lua': saying('four') })).generation, 4);
    }));

test('409: of many at once with one base exactly one wins', () =>
    withRig(one, async (rig) => {
        const answers = await Promise.all(
            Array.from({ length: 12 }, (_, i) =>
                rig.call('POST', '/publish', { files: { 'routing.lua': saying(i) }, base: 1 }),
            ),
        );
        const statuses = answers.map(({ status }) => status).sort();
        assert.deepEqual(statuses, [200, ...Array(11).fill(409)]);
        const winner = answers.findIndex(({ status }) => status === 200);
        await rig.says(String(winner));
        // Without a base they follow one another, and none is lost.
        const all = await Promise.all(
            Array.from({ length: 12 }, (_, i) => rig.publish({ 'routing.lua': saying(100 + i) })),
        );
        const numbers = all.map(({ generation }) => generation).sort((a, b) => a - b);
        assert.deepEqual(numbers, Array.from({ length: 12 }, (_, i) => i + 3));
        const last = all.findIndex(({ generation }) => generation === 14);
        await rig.says(String(100 + last));
        assert.equal(rig.disk()['routing.lua'], saying(100 + last));
    }));

test('409: an edit on disk that could not be published is not lost unasked', () =>
    withRig(one, async (rig) => {
        const broken = 'return function(\n';
        const edit = async () => {
            writeFileSync(join(rig.conf, 'routing.lua'), broken);
            await rig.gateway.waitLog(/the edit in .* is not used/);
        };
        await edit();
        for (const [path, body] of [
            ['/publish', { files: { 'routing.lua': saying('two') } }],
            ['/publish', { files: {} }],
            ['/rollback', { generation: 1 }],
        ]) {
            const answer = await rig.call('POST', path, body);
            assertError(answer, 409, { code: 'disk_edit' });
            assert.equal(answer.json.files['routing.lua'], broken);
            assert.equal(answer.json.problems[0].file, 'routing.lua');
        }
        assert.equal(rig.disk()['routing.lua'], broken);
        assert.match((await rig.get('/diff?to=disk')).diff, /^\+return function\($/m);
        const answer = await rig.publish({ 'routing.lua': saying('two') }, { over_disk: true });
        assert.equal(answer.generation, 2);
        await rig.says('two');
        assert.equal(rig.disk()['routing.lua'], saying('two'));
        assert.deepEqual((await rig.get()).disk, { differs: false });
        // What runs may be put in its place, too.
        rig.gateway.log = '';
        await edit();
        const same = await rig.publish({}, { over_disk: true });
        assert.deepEqual([same.generation, same.unchanged], [2, true]);
        assert.equal(rig.disk()['routing.lua'], saying('two'));
        assert.deepEqual((await rig.get()).disk, { differs: false });
    }));

// ---------------------------------------------------------------- no answer

test('a client that leaves has published all the same', () =>
    withRig(one, async (rig) => {
        for (let i = 0; i < 10; i++) {
            const body = JSON.stringify({ files: { 'routing.lua': saying(`left ${i}`) } });
            const client = await rig.gateway.raw();
            await client.send(
                'POST /admin/api/scripts/publish HTTP/1.1\r\nHost: x\r\n' +
                    `Authorization: Bearer ${rig.key}\r\n` +
                    `Content-Length: ${body.length}\r\n\r\n${body}`,
            );
            client.close();
        }
        await rig.until(11);
        const now = await rig.get();
        assert.match(now.files['routing.lua'], /left \d/);
        assert.deepEqual(rig.disk(), now.files);
    }));

test('a stop while publishes, checks and dry runs wait in line', async () => {
    for (const drain of [0, 30000]) {
        await withRig({ ...one, env: { LLM_GATE_DRAIN_MS: drain } }, async (rig) => {
            const paths = ['/publish', '/check', '/dry-run', '/rollback'];
            const calls = Array.from({ length: 32 }, (_, i) => {
                const files = { 'routing.lua': saying(i) };
                const body = i % 4 === 3 ? { generation: 1 } : { files };
                return rig.call('POST', paths[i % 4], body).then(
                    ({ status }) => status,
                    (error) => error.code,
                );
            });
            await Promise.race(calls);
            rig.gateway.signal('SIGTERM');
            const ends = await Promise.all(calls);
            await rig.gateway.ended();
            const fine = drain > 0 ? [200] : [200, 503, 'ECONNRESET', 'ECONNREFUSED'];
            assert.deepEqual(ends.filter((end) => !fine.includes(end)), []);
            // What serves next is what was published last.
            const disk = rig.disk();
            await rig.restart();
            assert.deepEqual((await rig.get()).files, disk);
        });
    }
});
