// Edits in conf/ and scripts/ on disk: however an editor writes them they are published as a whole
// or not at all, and what cannot be published is told and changes nothing.
import assert from 'node:assert/strict';
import {
    appendFileSync,
    cpSync,
    mkdirSync,
    readFileSync,
    readlinkSync,
    renameSync,
    rmSync,
    symlinkSync,
    unlinkSync,
    writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { confDir, project, tempDir, until } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

const first = { files: { 'routing.lua': saying('1') } };
const noted = /the edit in .* is not used, generation \d+ goes on/g;

// Waits until that many edits were refused.
const refused = (rig, count = 1) =>
    until(() => (rig.gateway.log.match(noted) ?? []).length >= count, {
        what: () => `${count} refused edits; ${rig.gateway.tail}`,
    });

test('a file is written, replaced by rename, written in pieces, removed', () =>
    withRig(first, async (rig) => {
        const path = join(rig.conf, 'routing.lua');
        writeFileSync(path, saying('2'));
        await rig.until(2);
        await rig.says('2');
        // As vim and most others do it: a swap file, a backup, a new file under the old name.
        writeFileSync(join(rig.conf, '.routing.lua.swp'), 'swap');
        writeFileSync(join(rig.conf, '4913'), '');
        unlinkSync(join(rig.conf, '4913'));
        renameSync(path, `${path}~`);
        writeFileSync(path, saying('3'));
        unlinkSync(`${path}~`);
        unlinkSync(join(rig.conf, '.routing.lua.swp'));
        await rig.until(3);
        await rig.says('3');
        // As others do it: a temporary file that is renamed over it.
        writeFileSync(join(rig.conf, '.tmp.1234'), saying('4'));
        renameSync(join(rig.conf, '.tmp.1234'), path);
        await rig.until(4);
        await rig.says('4');
        rmSync(path);
        await rig.until(5);
        assert.equal(await rig.chat(), 'a');
        const { published } = await rig.get();
        assert.deepEqual(
            [published.origin, published.author, published.note, published.base],
            ['disk', 'disk', 'edited on disk', 4],
        );
        assert.doesNotMatch(rig.gateway.log, /is not used/);
        assert.deepEqual(Object.keys(rig.disk()), ['gateway.lua']);
    }));

test('several files at once are one generation', () =>
    withRig(first, async (rig) => {
        const events = await rig.events();
        mkdirSync(join(rig.conf, 'tests'));
        // Each alone would be refused: the test names a model that only the other file has.
        writeFileSync(
            join(rig.conf, 'tests', 'names.lua'),
            'return { { name = "x is y", map = "x", expect = { target = "pool/y" } } }',
        );
        writeFileSync(join(rig.conf, 'models.lua'), 'return { x = "pool/y" }');
        writeFileSync(join(rig.conf, 'routing.lua'), 'return function() return nil end');
        await events.script('published');
        assert.equal(await rig.running(), 2);
        assert.equal(await rig.chat('x'), 'a');
        assert.equal(rig.upstream.requests.at(-1).json.model, 'y');
        assert.equal(events.scripts('disk').length, 0);
        const [, before] = (await rig.get('/history')).generations;
        assert.equal(before.generation, 1);
    }));

test('files of other names are nobody’s business; the same text is no new generation', () =>
    withRig(first, async (rig) => {
        for (const name of ['README', 'routing.lua.bak', '#routing.lua#', 'x.lua']) {
            writeFileSync(join(rig.conf, name), 'return nonsense(');
        }
        writeFileSync(join(rig.conf, 'routing.lua'), saying('1'));
        writeFileSync(join(rig.conf, 'models.lua'), 'return {}');
        await rig.until(2);
        assert.deepEqual(Object.keys((await rig.get()).files), [
            'gateway.lua',
            'models.lua',
            'routing.lua',
        ]);
    }));

test('an edit with an error: the running generation goes on; log, answer and event say why', () =>
    withRig(first, async (rig) => {
        const events = await rig.events();
        const path = join(rig.conf, 'routing.lua');
        const before = Date.now();
        writeFileSync(path, 'return function(req\n    return nil\nend\n');
        const told = await events.script('disk');
        assert.deepEqual([told.differs, told.problems >= 1], [true, true]);
        await rig.says('1');
        assert.match(rig.gateway.log, /ERROR scripts: routing\.lua:1:\d+: /);
        const { generation, disk, files } = await rig.get();
        assert.equal(generation, 1);
        assert.equal(files['routing.lua'], saying('1'));
        assert.equal(disk.differs, true);
        assert.ok(disk.at >= before - 1000 && disk.at <= Date.now() + 1000);
        assert.equal(disk.files['routing.lua'], readFileSync(path, 'utf8'));
        const [problem] = disk.problems;
        assert.deepEqual([problem.file, problem.line, problem.severity], ['routing.lua', 1, 'error']);
        assert.equal((await rig.get('/history')).generations.length, 1);
        // Written again as it is: no news. Another error: news.
        writeFileSync(path, 'return function(req\n    return nil\nend\n');
        writeFileSync(path, 'return 7\n');
        await events.script('disk', 2);
        assert.match((await rig.get()).disk.problems[0].message, /function route/);
        // Mended.
        writeFileSync(path, saying('2'));
        await events.script('published');
        assert.deepEqual(await events.script('disk', 3), { event: 'disk', differs: false });
        await rig.says('2');
        assert.deepEqual((await rig.get()).disk, { differs: false });
        // What runs is put back: no new generation.
        writeFileSync(path, 'return 8');
        await events.script('disk', 4);
        writeFileSync(path, saying('2'));
        await events.script('disk', 5);
        assert.deepEqual((await rig.get()).disk, { differs: false });
        assert.equal(await rig.running(), 2);
    }));

test('an edit whose policy tests fail is not used', () =>
    withRig({ files: {
        'models.lua': 'return { x = "pool/y" }',
        'tests/t.lua': 'return { { name = "x", map = "x", expect = { target = "pool/y" } } }',
    } }, async (rig) => {
        writeFileSync(join(rig.conf, 'models.lua'), 'return { x = "pool/z" }');
        await refused(rig);
        await rig.gateway.waitLog(/tests\/t\.lua:1: case 1 "x": target: expected "pool\/y"/);
        await rig.chat('x');
        assert.equal(rig.upstream.requests.at(-1).json.model, 'y');
    }));

test('a module of scripts/ is part of what runs', async () => {
    const scripts = join(tempDir('lib'), 'scripts');
    cpSync(join(project, 'scripts'), scripts, { recursive: true });
    const module = (word) => `return { word = "${word}" }`;
    writeFileSync(join(scripts, 'gate', 'words.lua'), module('one'));
    const files = {
        'routing.lua': `local words = require "gate.words"
        return function() return { reject = { status = 418, message = words.word } } end`,
    };
    await withRig({ files, env: { LLM_GATE_SCRIPT_DIR: scripts } }, async (rig) => {
        await rig.says('one');
        writeFileSync(join(scripts, 'gate', 'words.lua'), module('two'));
        await rig.until(2);
        await rig.says('two');
        assert.equal((await rig.get()).published.origin, 'disk');
        writeFileSync(join(scripts, 'gate', 'words.lua'), 'return {');
        await refused(rig);
        await rig.gateway.waitLog(/gate\/words\.lua:1/);
        await rig.says('two');
        writeFileSync(join(scripts, 'gate', 'words.lua'), module('three'));
        await rig.until(3);
        await rig.says('three');
    });
});

test('an edit on disk that was not looked at yet comes before a publish with an older base', () =>
    withRig(first, async (rig) => {
        writeFileSync(join(rig.conf, 'models.lua'), 'return { of = "pool/disk" }');
        const files = { 'routing.lua': saying('of the API') };
        const early = await rig.publish(files, { base: 1 }, 409);
        assert.equal(early.error.code, 'disk_edit');
        await rig.until(2);
        const late = await rig.publish(files, { base: 1 }, 409);
        assert.equal(late.error.code, 'stale_base');
        assert.equal(late.files['models.lua'], 'return { of = "pool/disk" }');
        assert.equal((await rig.publish(files, { base: late.generation })).generation, 3);
        await rig.says('of the API');
        const now = await rig.get();
        assert.deepEqual(now.files, rig.disk());
        assert.equal(now.files['models.lua'], 'return { of = "pool/disk" }');
    }));

// ---------------------------------------------------------------- conf/ itself

test('conf/ is replaced by another directory', () =>
    withRig(first, async (rig) => {
        const next = confDir({ ...rig.disk(), 'routing.lua': saying('2') });
        renameSync(rig.conf, `${rig.conf}.old`);
        renameSync(next, rig.conf);
        await rig.until(2);
        await rig.says('2');
        // The new one is watched, and written.
        writeFileSync(join(rig.conf, 'routing.lua'), saying('3'));
        await rig.until(3);
        await rig.publish({ 'routing.lua': saying('4') }, { base: 3 });
        assert.equal(rig.disk()['routing.lua'], saying('4'));
        assert.equal(rig.disk(`${rig.conf}.old`)['routing.lua'], saying('1'));
    }));

test('conf/ that is gone is no edit: what runs goes on', () =>
    withRig(first, async (rig) => {
        const away = `${rig.conf}.away`;
        renameSync(rig.conf, away);
        await refused(rig);
        const { generation, disk } = await rig.get();
        assert.deepEqual([generation, disk.differs], [1, true]);
        await rig.says('1');
        renameSync(away, rig.conf);
        await until(async () => !(await rig.get()).disk.differs);
        assert.equal(await rig.running(), 1);
        writeFileSync(join(rig.conf, 'routing.lua'), saying('2'));
        await rig.until(2);
    }));

// As volumes of configuration are mounted: files are links through a link that is swapped.
test('a mounted configuration: ..data is swapped as a whole', () => {
    const volume = tempDir('volume');
    const fill = (name, files) => {
        mkdirSync(join(volume, name));
        for (const [file, text] of Object.entries(files)) {
            writeFileSync(join(volume, name, file), text);
        }
    };
    const swap = (name) => {
        symlinkSync(name, join(volume, '..data_tmp'));
        renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
    };
    const mount = (conf) => {
        const config = readFileSync(join(conf, 'gateway.lua'), 'utf8');
        fill('..1', { 'gateway.lua': config, 'routing.lua': saying('1') });
        fill('..2', { 'gateway.lua': config, 'routing.lua': saying('2') });
        swap('..1');
        for (const file of ['gateway.lua', 'routing.lua']) {
            symlinkSync(join('..data', file), join(volume, file));
        }
        return volume;
    };
    return withRig({ confDir: mount }, async (rig) => {
        await rig.says('1');
        swap('..2');
        rmSync(join(volume, '..1'), { recursive: true });
        await rig.until(2);
        await rig.says('2');
        // A publish goes where the links lead to, and leaves them.
        await rig.publish({ 'routing.lua': saying('3') }, { base: 2 });
        assert.equal(readlinkSync(join(volume, 'routing.lua')), '..data/routing.lua');
        assert.equal(readFileSync(join(volume, '..2', 'routing.lua'), 'utf8'), saying('3'));
        assert.deepEqual((await rig.get()).disk, { differs: false });
    });
});

test('an edit while the gateway does not run has an entry of its own', () =>
    withRig(first, async (rig) => {
        await rig.publish({ 'routing.lua': saying('2') });
        await rig.restart(() => {
            appendFileSync(join(rig.conf, 'routing.lua'), '-- edited\n');
        });
        const { generation, published } = await rig.get();
        assert.equal(generation, 3);
        assert.deepEqual(
            [published.origin, published.author, published.note, published.base],
            ['start', 'start', 'edited while the gateway did not run', 2],
        );
        assert.match((await rig.get('/diff?from=2')).diff, /^\+-- edited$/m);
        await rig.ask('POST', '/rollback', { generation: 1 });
        await rig.says('1');
    }));
