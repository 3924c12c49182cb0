// The history of scripts: pages, single generations, differences, the way back, restarts, and what
// happens while it cannot be written.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Clock } from './accounts.mjs';
import { until } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

const first = { files: { 'routing.lua': saying('1') } };
const entry = ({ generation, origin, author, note, base, of, failed }) => ({
    generation,
    origin,
    author,
    note,
    base,
    of,
    failed,
});

// Publishes saying("2") to saying(last).
async function publishUpTo(rig, last) {
    for (let i = 2; i <= last; i++) {
        const { generation } = await rig.publish({ 'routing.lua': saying(i) }, { note: `n${i}` });
        assert.equal(generation, i);
    }
}

test('history: newest first, in pages, each with who, when and why', () =>
    withRig(first, async (rig) => {
        await publishUpTo(rig, 12);
        const { generations, next } = await rig.get('/history');
        assert.equal(next, null);
        assert.deepEqual(
            generations.map(({ generation }) => generation),
            Array.from({ length: 12 }, (_, i) => 12 - i),
        );
        assert.deepEqual(entry(generations[0]), {
            generation: 12,
            origin: 'admin',
            author: null,
            note: 'n12',
            base: 11,
            of: null,
            failed: false,
        });
        assert.deepEqual(entry(generations[11]), {
            generation: 1,
            origin: 'start',
            author: 'start',
            note: 'found at the first start',
            base: null,
            of: null,
            failed: false,
        });
        for (let i = 1; i < generations.length; i++) {
            assert.ok(generations[i - 1].at >= generations[i].at);
        }
        const seen = [];
        let page = await rig.get('/history?limit=5');
        for (;;) {
            seen.push(...page.generations);
            if (page.next === null) {
                break;
            }
            assert.equal(page.generations.length, 5);
            page = await rig.get(`/history?limit=5&before=${page.next}`);
        }
        assert.deepEqual(seen, generations);
        assert.deepEqual(await rig.get('/history?before=1'), { generations: [], next: null });
        assert.equal((await rig.get('/history?limit=12')).next, null);
        assert.equal((await rig.get('/history?limit=11')).next, 2);
    }));

test('one generation has all its texts, those that are gone since too', () =>
    withRig(first, async (rig) => {
        const before = rig.disk();
        const tests = { 'tests/some-test.lua': 'return {}\n-- ü' };
        await rig.publish({ ...tests, 'models.lua': 'return { a = "b" }\r\n' });
        await rig.publish({ 'models.lua': null, 'tests/some-test.lua': null, 'routing.lua': null });
        const at = async (n) => (await rig.get(`/history/${n}`)).files;
        assert.deepEqual(await at(1), before);
        assert.deepEqual(await at(2), {
            ...before,
            ...tests,
            'models.lua': 'return { a = "b" }\r\n',
        });
        assert.deepEqual(Object.keys(await at(3)), ['gateway.lua']);
        const { published } = await rig.get('/history/2');
        const [, listed] = (await rig.get('/history')).generations;
        assert.deepEqual(published, listed);
    }));

test('diff: of generations, of what runs and of what is on disk, in both directions', () =>
    withRig(first, async (rig) => {
        await rig.publish({
            'routing.lua': `-- a comment\n${saying('2')}`,
            'models.lua': 'return {}\n',
        });
        const there = await rig.get('/diff?from=1&to=2');
        assert.deepEqual([there.added, there.removed], [3, 1]);
        const lines = there.diff.split('\n');
        for (const line of [
            '--- a/routing.lua',
            '+++ b/routing.lua',
            `-${saying('1').trimEnd()}`,
            '+-- a comment',
            `+${saying('2').trimEnd()}`,
            '+return {}',
        ]) {
            assert.ok(lines.includes(line), `${line}\nin\n${there.diff}`);
        }
        const back = await rig.get('/diff?from=2&to=1');
        assert.deepEqual([back.added, back.removed], [1, 3]);
        // What is not said is what runs.
        assert.deepEqual(await rig.get('/diff?from=1'), there);
        assert.deepEqual(await rig.get('/diff?to=1&from=running'), back);
        assert.deepEqual(await rig.get('/diff?from=2'), { added: 0, removed: 0, diff: '' });
        assert.equal((await rig.get('/diff?from=disk&to=2')).diff, '');
        writeFileSync(join(rig.conf, 'models.lua'), 'return {\n');
        await rig.gateway.waitLog(/the edit in .* is not used/);
        const edited = await rig.get('/diff?to=disk');
        assert.match(edited.diff, /^-return \{\}\n\+return \{$/m);
    }));

// ---------------------------------------------------------------- the way back

test('rollback: the texts of an earlier generation as a new one', () =>
    withRig(first, async (rig) => {
        await publishUpTo(rig, 4);
        await rig.publish({ 'models.lua': 'return {}' });
        const answer = await rig.ask('POST', '/rollback', {
            generation: 2,
            base: 5,
            author: 'ada',
            note: 'back to what worked',
        });
        assert.equal(answer.generation, 6);
        await rig.says('2');
        const now = await rig.get();
        assert.deepEqual(entry(now.published), {
            generation: 6,
            origin: 'rollback',
            author: 'ada',
            note: 'back to what worked',
            base: 5,
            of: 2,
            failed: false,
        });
        assert.deepEqual(now.files, (await rig.get('/history/2')).files);
        assert.deepEqual(rig.disk(), now.files);
        // And forward again; to what runs is no step.
        await rig.ask('POST', '/rollback', { generation: 5 });
        await rig.says('4');
        const same = await rig.ask('POST', '/rollback', { generation: 5 });
        assert.deepEqual([same.generation, same.unchanged], [7, true]);
        await rig.gateway.waitLog(/generation 6 serves \(rollback, by ada: back to what worked/);
    }));

test('rollback drill: a publish that rejects everybody is undone while requests come', () =>
    withRig({}, async (rig) => {
        // What a request was asked and answered in: 0 open, 1 closing, 2 closed, 3 opening, 4 open.
        let phase = 0;
        let over = false;
        const answers = [];
        const client = async () => {
            while (!over) {
                const asked = phase;
                const text = await rig.chat();
                answers.push({ text, asked, answered: phase });
            }
        };
        const clients = [client(), client(), client()];
        const seen = (now) =>
            until(() => answers.some(({ asked, answered }) => asked === now && answered === now));
        await seen(0);
        phase = 1;
        await rig.publish({ 'routing.lua': saying('closed') }, { base: 1 });
        phase = 2;
        await seen(2);
        phase = 3;
        await rig.ask('POST', '/rollback', { generation: 1, base: 2, note: 'drill' });
        phase = 4;
        await seen(4);
        over = true;
        await Promise.all(clients);
        for (const { text, asked, answered } of answers) {
            const isOpen = answered === 0 || asked === 4;
            const isClosed = asked === 2 && answered === 2;
            const wanted = isOpen ? /^[ab]$/ : isClosed ? /^418 closed$/ : /^([ab]|418 closed)$/;
            assert.match(text, wanted, `asked in ${asked}, answered in ${answered}`);
        }
        assert.deepEqual(
            (await rig.get('/history')).generations.map(({ origin }) => origin),
            ['rollback', 'admin', 'start'],
        );
    }));

test('rollback: to texts that another configuration would not have let pass', () =>
    withRig({}, async (rig) => {
        const policy = (model) => ({
            'routing.lua': `return function(req)
                if req.model == "m" then return "pool/${model}" end
            end`,
            'tests/t.lua': `return { {
                request = { model = "m" },
                expect = { provider = "pool", model = "${model}" },
            } }`,
        });
        await rig.publish(policy('x'));
        await rig.publish({ ...policy('y'), 'gateway.lua': rig.config({}, ['a']) });
        // Generation 4 has no instance "pool": the test of 3 would fail beside it.
        await rig.publish(
            {
                'gateway.lua': rig.config().replace('"name"] = "pool"', '"name"] = "other"'),
            },
            {},
            422,
        );
        await rig.publish({
            ...policy('x'),
            'tests/t.lua': null,
            'models.lua': 'return { y = "pool/z" }',
        });
        const answer = await rig.ask('POST', '/rollback', { generation: 3 });
        assert.equal(answer.generation, 5);
        assert.equal(answer.report.tests.failed, 0);
        assert.equal(await rig.chat(), 'a');
        assert.equal(rig.upstream.requests.at(-1).json.model, 'y');
    }));

test('rollback: a generation whose tests fail by now is allowed, with warnings', () => {
    const clock = new Clock(Date.parse('2026-03-04T12:00:00Z'));
    // Its test does not say when: it holds before the day that the script knows, and not after.
    const files = {
        'routing.lua': `return function()
            if gate.now() > 1775000000000 then return { reject = { status = 418, message = "late" } } end
        end`,
        'tests/t.lua': `return { {
            name = "is served", request = { model = "m" }, expect = { provider = "pool" } } }`,
    };
    return withRig({ files, env: { LLM_GATE_CLOCK_FILE: clock.path } }, async (rig) => {
        assert.equal(await rig.chat(), 'a');
        await rig.publish({ 'routing.lua': null, 'tests/t.lua': null });
        clock.at(60 * 24 * 3600 * 1000);
        const refused = await rig.publish(files, {}, 422);
        assert.equal(refused.report.problems[0].code, 'test');
        const answer = await rig.ask('POST', '/rollback', { generation: 1 });
        assert.equal(answer.generation, 3);
        assert.equal(answer.report.ok, true);
        assert.deepEqual([answer.report.tests.cases, answer.report.tests.failed], [1, 1]);
        assert.equal(answer.report.warnings, answer.report.problems.length);
        for (const { file, line, severity, code } of answer.report.problems) {
            assert.deepEqual([file, line, severity, code], ['tests/t.lua', 2, 'warning', 'test']);
        }
        await rig.says('late');
    });
});

// ---------------------------------------------------------------- restarts and full disks

test('a restart keeps number and history; the texts of conf/ are the active ones', () =>
    withRig(first, async (rig) => {
        await publishUpTo(rig, 3);
        await rig.ask('POST', '/rollback', { generation: 1 });
        const before = await rig.get();
        const history = await rig.get('/history');
        await rig.restart();
        const after = await rig.get();
        assert.deepEqual({ ...after, workers: 0 }, { ...before, workers: 0 });
        assert.deepEqual(await rig.get('/history'), history);
        await rig.says('1');
        assert.equal((await rig.publish({ 'routing.lua': saying('5') }, { base: 4 })).generation, 5);
        assert.deepEqual((await rig.get('/history/2')).files['routing.lua'], saying('2'));
    }));

// A limit on file sizes that the small files of conf/ do not reach, and the log of storage does.
test('storage that takes no writes: it serves, says so, and is written later', () => {
    const clock = new Clock();
    return withRig({ ...first, env: { LLM_GATE_CLOCK_FILE: clock.path } }, async (rig) => {
        const limit = (bytes) =>
            execFileSync('prlimit', [`--pid=${rig.gateway.pid}`, `--fsize=${bytes}:unlimited`]);
        await rig.publish({ 'tests/large.lua': `return {}\n--${'-'.repeat(100000)}` });
        limit(50000);
        const answer = await rig.publish({ 'routing.lua': saying('3') }, { note: 'kept' });
        assert.equal(answer.generation, 3);
        assert.ok(answer.warning.length > 0);
        await rig.says('3');
        await rig.gateway.waitLog(/ERROR scripts: generation 3 serves, but is not on record/);
        assert.equal(rig.disk()['routing.lua'], saying('3'));
        // What is not written yet is there all the same.
        const now = await rig.get();
        assert.deepEqual([now.generation, now.published.note], [3, 'kept']);
        assert.equal((await rig.get('/history')).generations[0].generation, 3);
        assert.equal((await rig.get('/history/3')).files['routing.lua'], saying('3'));
        const next = await rig.publish({ 'routing.lua': saying('4') });
        assert.ok(next.generation === 4 && next.warning);
        limit('unlimited');
        clock.at(61000);
        await until(async () => !('warning' in (await rig.publish({}))));
        const good = await rig.publish({ 'routing.lua': saying('5') });
        assert.deepEqual([good.generation, 'warning' in good], [5, false]);
        await rig.restart();
        assert.deepEqual(
            (await rig.get('/history')).generations.map(({ generation }) => generation),
            [5, 4, 3, 2, 1],
        );
        assert.equal((await rig.get('/history/3')).published.note, 'kept');
        assert.equal((await rig.get('/history/4')).files['routing.lua'], saying('4'));
        assert.equal(await rig.running(), 5);
    });
});

test('conf/ that cannot be written: it serves, and says so', () =>
    withRig(first, async (rig) => {
        const away = `${rig.conf}.away`;
        renameSync(rig.conf, away);
        writeFileSync(rig.conf, 'a file in its place');
        try {
            await until(async () => (await rig.get()).disk.differs);
            assert.equal(await rig.running(), 1);
            const answer = await rig.publish({ 'routing.lua': saying('2') }, { over_disk: true });
            assert.equal(answer.generation, 2);
            assert.ok(answer.warning.includes(rig.conf), answer.warning);
            await rig.gateway.waitLog(/ERROR scripts: generation 2 serves, but conf\/ is not/);
            await rig.says('2');
        } finally {
            rmSync(rig.conf);
            renameSync(away, rig.conf);
        }
        await until(async () => !(await rig.get()).disk.differs);
    }));
