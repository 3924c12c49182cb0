// The scripts: errors, publishing, and who is faster. On a real gateway: what is published here decides
// where real requests go.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, afterEach, before, test } from 'node:test';
import { completion } from '../../tests/upstream/oauth_answers.mjs';
import { Console, eventually, LOOKS } from './console.mjs';

const EVIL = '<img src=x onerror=alert(1)>';
const NAMES = 'return { ["fast"] = "echo" }\n';
const NOWHERE = 'return function(_req)\n    return nil\nend\n';
const OPEN = `-- ${EVIL}
local function route(req)
    local name = tostring(req.model,
        again = 1)
end

return route
`;

let gate;
let tab;
let conf;

before(async () => {
    gate = await Console.start({
        conf: { 'models.lua': NAMES, 'routing.lua': NOWHERE },
    });
    conf = (await gate.rig.ask('GET', '/config')).conf_dir;
    tab = await gate.open();
});

after(() => gate?.stop());
afterEach(() => assert.deepEqual(tab.errors, []));

const running = () => gate.rig.ask('GET', '/scripts');
const publish = (files, more = {}) => gate.rig.ask('POST', '/scripts/publish', { files, ...more });

// Does this model's answer come from echo, or from the service behind "openai"?
const isEchoed = async (model) => {
    const { choices } = (await gate.chat(model, 'Say it again')).json;
    return choices[0].message.content.includes('Say it again');
};

async function open(file, on = tab) {
    await on.go(`scripts?file=${encodeURIComponent(file)}`);
    await on.page.locator('.files a[aria-current]', { hasText: file }).waitFor();
    await on.page.locator(`.code-editor .cm-content[aria-label*="${file}"]`).waitFor();
}

// The whole text of the file that is shown becomes this.
async function write(text, on = tab) {
    await on.page.locator('.code-editor .cm-content').click();
    await on.page.keyboard.press('Control+a');
    await on.page.keyboard.insertText(text);
}

const shown = (on = tab) =>
    on.page
        .locator('.code-editor .cm-line')
        .allTextContents()
        .then((lines) => lines.join('\n'));

const button = (name, on = tab) => on.page.getByRole('button', { name, exact: true });
const checked = (text, on = tab) => on.page.locator('.check', { hasText: text }).waitFor();
const banner = (text, on = tab) => on.page.locator('.banner', { hasText: text });
const choose = (name, on = tab) => on.page.locator('dialog').getByRole('button', { name }).click();

// Publishing has nothing to do, or may not.
const isBlocked = (on = tab) =>
    on.page.getByRole('button', { name: 'Publish', exact: true, disabled: true }).waitFor();

const until = (what, is) => eventually(async () => assert.ok(await is(), `${what}: never`));
const assertShown = (text, what, on = tab) =>
    eventually(async () => assert.match(await shown(on), text, what));

// Nothing is left of a draft, and this is what runs.
async function settle(files) {
    await publish(files, { over_disk: true });
    // What the test before has published may be a draft for a moment longer.
    await eventually(async () => {
        if (await button('Discard').isVisible()) {
            await button('Discard').click({ timeout: 1000 });
        }
        assert.equal(await button('Discard').count(), 0);
    });
    await checked('Valid');
}

test('an error is marked and stops publishing; the fix goes out by Ctrl+S and serves', async () => {
    await open('routing.lua');
    await checked('Valid');
    await isBlocked();
    await write(OPEN);
    await checked('1 error');
    const problems = tab.page.locator('.scripts-view .problems li');
    await problems.filter({ hasText: 'routing.lua:4' }).waitFor();
    await problems.filter({ hasText: 'routing.lua:3' }).getByText('not closed').waitFor();
    await tab.page.locator('.cm-lint-marker-error').waitFor();
    await tab.page.locator('.cm-lint-marker-info').waitFor();
    await isBlocked();
    assert.equal(await tab.page.locator('main img').count(), 0);
    // A notice stays for seconds, which a slow machine may need for the keys alone.
    await Promise.all([tab.toast('the draft has errors'), tab.page.keyboard.press('Control+s')]);
    await tab.page.locator('.files a', { hasText: 'routing.lua' }).getByText('1 error').waitFor();
    await tab.shot('scripts-error');

    await write('return function(req)\n    return req.model == "swift" and "echo" or nil\nend\n');
    assert.equal(await isEchoed('swift'), false);
    const before = (await running()).generation;
    await tab.page.locator('.publish-bar input').first().fill(`for ${EVIL}`);
    await tab.page.locator('.publish-bar .author').fill('ada');
    await tab.page.keyboard.press('Control+s');
    await tab.toast(`Generation ${before + 1} serves`);
    assert.equal(await isEchoed('swift'), true);
    const now = await running();
    assert.equal(now.published.author, 'ada');
    assert.equal(now.published.note, `for ${EVIL}`);
    await tab.page.locator('.runs .note', { hasText: EVIL }).waitFor();
    assert.equal(await tab.page.locator('main img').count(), 0);
    await eventually(async () => assert.equal(await tab.page.locator('.runs li b').count(), 2));

    await tab.page.locator('.toast button', { hasText: 'Undo' }).click();
    await tab.toast(`runs again, as generation ${before + 2}`);
    assert.equal(await isEchoed('swift'), false);
    await checked('Valid');
    await assertShown(/swift/, 'what was taken back is a draft again');
    await button('Discard').click();
});

test('a click on a problem goes to its file and line', async () => {
    await open('models.lua');
    await write('return {\n    fast = "echo",\n    slow = nope,\n}\n');
    await checked('1 error');
    await open('routing.lua');
    await tab.page.locator('.problems button', { hasText: 'models.lua:3' }).first().click();
    await tab.page.locator('.files a[aria-current]', { hasText: 'models.lua' }).waitFor();
    await tab.page.locator('.cm-activeLine', { hasText: 'slow = nope' }).waitFor();
    await tab.page.keyboard.type('-- here ');
    await assertShown(/-- here/, 'the editor has the focus');
    await button('Discard').click();
    await tab.toast('The draft is discarded');
    await until('as it runs', async () => (await shown()) === NAMES);
    await tab.page.locator('.toast', { hasText: 'discarded' }).locator('button').last().click();
    await until('the draft is back', async () => /nope/.test(await shown()));
    await button('Discard').click();
    await checked('Valid');
});

test('completion knows the gateway; Tab indents, after Escape it leaves', async () => {
    await open('routing.lua');
    await write('return function(req)\n    return req.has_im');
    await tab.page.keyboard.type('a');
    await tab.page.locator('.cm-tooltip-autocomplete li', { hasText: 'has_images' }).click();
    await assertShown(/req\.has_images/);
    await tab.page.keyboard.type(' and gate.n');
    await tab.page.locator('.cm-tooltip-autocomplete li', { hasText: 'now' }).waitFor();
    await tab.page.keyboard.press('Escape');
    await tab.page.keyboard.press('Home');
    await tab.page.keyboard.press('Tab');
    await assertShown(/\n {8}return/);
    await tab.page.keyboard.press('Escape');
    await tab.page.keyboard.press('Tab');
    await tab.page.locator('.code-editor:not(:focus-within)').waitFor();
    await tab.page.locator('.cm-content').click();
    await tab.page.keyboard.press('Control+f');
    await tab.page.locator('.cm-search').waitFor();
    await tab.page.keyboard.press('Escape');
    await button('Discard').click();
    await checked('Valid');
});

test('files: add a policy test, rename it, remove it; its failures are told', async () => {
    await open('models.lua');
    await button('Add file').click();
    const name = tab.page.locator('dialog input');
    await name.fill(`tests/${EVIL}.lua`);
    await tab.submit();
    await tab.page.locator('dialog [role=alert]', { hasText: EVIL }).waitFor();
    assert.equal(await tab.page.locator('dialog img').count(), 0);
    await name.fill('tests/names.lua');
    await tab.submit();
    await tab.page.locator('.files a[aria-current]', { hasText: 'tests/names.lua' }).waitFor();
    await tab.page.locator('.check-foot', { hasText: '1 policy test passed' }).waitFor();
    await write('return { { name = "fast", map = "fast", expect = { model = "other" } } }\n');
    await tab.page.locator('.check-foot', { hasText: '1 of 1 policy tests failed' }).waitFor();
    await checked('1 error');
    await write('return { { name = "fast", map = "fast", expect = { model = "echo" } } }\n');
    await checked('Valid');
    await tab.page.locator('[aria-label="More actions for tests/names.lua"]').click();
    await tab.page.locator(':popover-open [role=menuitem]', { hasText: 'Rename' }).click();
    await name.fill('tests/fast.lua');
    await tab.submit();
    await tab.page.locator('.files a[aria-current]', { hasText: 'tests/fast.lua' }).waitFor();
    await eventually(async () => assert.equal(await tab.page.locator('.files li').count(), 4));
    await button('Publish').click();
    await until('it is there', async () => 'tests/fast.lua' in (await running()).files);
    await tab.page.locator('[aria-label="More actions for tests/fast.lua"]').click();
    await tab.page.locator(':popover-open [role=menuitem]', { hasText: 'Remove' }).click();
    await tab.page.locator('.files .is-removed', { hasText: 'tests/fast.lua' }).waitFor();
    await checked('Valid');
    await button('Publish').click();
    await until('it is gone', async () => !(await running()).files['tests/fast.lua']);
    await tab.page.locator('.files li').nth(3).waitFor({ state: 'detached' });
});

test('the draft survives a reload, and is the same in two tabs', async () => {
    await open('models.lua');
    await write(`${NAMES}-- kept\n`);
    await tab.page.reload();
    await until('it is there', async () => /-- kept/.test(await shown()));
    const other = await gate.open({ context: tab.page.context() });
    await open('models.lua', other);
    await until('the other has it', async () => /-- kept/.test(await shown(other)));
    await open('routing.lua', other);
    await write(`-- of the other\n${NOWHERE}`, other);
    await tab.page.locator('.files a', { hasText: 'routing.lua' }).getByText('edited').waitFor();
    await tab.page.locator('.tabs .count', { hasText: '2' }).waitFor();
    await assertShown(/-- kept/, 'nobody has lost anything');
    await button('Discard', other).click();
    await until('both are clean', async () => (await shown()) === NAMES);
    assert.deepEqual(other.errors, []);
    await other.page.close();
});

test('what others publish: a clean editor follows, a dirty one says so', async () => {
    await open('models.lua');
    await publish({ 'models.lua': `${NAMES}-- one\n` }, { author: 'bob' });
    await until('it follows', async () => /-- one/.test(await shown()));
    assert.equal(await banner('was published by').count(), 0);
    await write(`${NAMES}-- mine\n`);
    const { generation } = await publish(
        { 'routing.lua': `-- theirs\n${NOWHERE}` },
        { author: 'bob', note: EVIL },
    );
    await banner(`Generation ${generation} was published by bob`).waitFor();
    await assertShown(/-- mine/);
    await button('Compare and choose').click();
    await tab.page.locator('.diff-text .is-added', { hasText: '-- theirs' }).waitFor();
    await tab.page.locator('dialog', { hasText: 'both can be kept' }).waitFor();
    await choose('Keep editing from theirs');
    await banner('was published by').waitFor({ state: 'detached' });
    await button('Publish').click();
    await until('mine is there', async () => /-- mine/.test((await running()).files['models.lua']));
    assert.match((await running()).files['routing.lua'], /-- theirs/);
});

// Another browser publishes while this one has a draft, and this one is not told of it.
async function staleBy(mine, theirs) {
    await settle({ 'models.lua': NAMES });
    await open('models.lua');
    await until('all the same', async () => (await shown()) === NAMES);
    await write(mine);
    await checked('Valid');
    const other = await gate.open();
    await open('models.lua', other);
    await write(theirs, other);
    await other.page.keyboard.press('Control+s');
    await other.toast('serves');
    assert.deepEqual(other.errors, []);
    await other.page.context().close();
    await tab.page.locator('.code-editor .cm-content').click();
    await tab.page.keyboard.press('Control+s');
    await tab.page.locator('dialog .merge', { hasText: 'changed by both' }).waitFor();
    await tab.page.locator('dialog .cm-content').nth(1).waitFor();
}

test('stale: take theirs, and undo that', async () => {
    await staleBy(`${NAMES}-- mine\n`, `${NAMES}-- theirs\n`);
    await tab.assertAccessible('stale');
    await tab.shot('scripts-stale');
    await choose('Take theirs');
    await until('theirs', async () => /-- theirs/.test(await shown()));
    await isBlocked();
    await tab.page.locator('.toast', { hasText: 'discarded' }).locator('button').last().click();
    await until('mine again', async () => /-- mine/.test(await shown()));
});

test('stale: put mine over it', async () => {
    await staleBy(`${NAMES}-- mine\n`, `${NAMES}-- theirs\n`);
    await choose('Put mine over it');
    const mine = async () => (await running()).files['models.lua'] === `${NAMES}-- mine\n`;
    await until('mine serves', mine);
});

test('stale: keep editing from theirs, with both in one file', async () => {
    await staleBy(`${NAMES}-- mine\n`, `-- theirs\n${NAMES}`);
    await tab.page.locator('dialog .cm-merge-revert button').first().click();
    await choose('Keep editing from theirs');
    await until('both', async () => (await shown()) === `-- theirs\n${NAMES}-- mine\n`);
    await checked('Valid');
    await button('Publish').click();
    await until('it serves', async () =>
        /-- theirs[^]*-- mine/.test((await running()).files['models.lua']),
    );
});

test('an edit on disk serves and is shown; one with errors is told and can be loaded', async () => {
    await settle({ 'models.lua': NAMES });
    await open('models.lua');
    await until('all the same', async () => (await shown()) === NAMES);
    writeFileSync(join(conf, 'models.lua'), `${NAMES}-- by hand\n`);
    await until('it follows', async () => /-- by hand/.test(await shown()));
    await tab.page.locator('.runs', { hasText: 'edited on disk' }).waitFor();

    writeFileSync(join(conf, 'models.lua'), `return { fast = ${EVIL} }\n`);
    await banner('An edit in conf/ has errors').locator('.problems li').first().waitFor();
    await assertShown(/-- by hand/);
    await tab.assertAccessible('disk edit');
    await tab.shot('scripts-disk');

    await write(`${NAMES}-- mine\n`);
    await checked('Valid');
    await button('Publish').click();
    await tab.page.locator('dialog .diff-text .is-added', { hasText: EVIL }).waitFor();
    assert.equal(await tab.page.locator('dialog img').count(), 0);
    await tab.assertAccessible('disk dialog');
    await tab.shot('scripts-disk-dialog');
    await choose('Take the disk’s');
    await until('it is the draft', async () => (await shown()).includes(EVIL));
    await checked('error');
    await banner('An edit in conf/ has errors').waitFor({ state: 'detached' });
    await write(`${NAMES}-- mended\n`);
    await checked('Valid');
    await button('Publish').click();
    await until('written', () => /-- mended/.test(readFileSync(join(conf, 'models.lua'), 'utf8')));

    writeFileSync(join(conf, 'models.lua'), 'return {');
    await banner('An edit in conf/ has errors').waitFor();
    await write(`${NAMES}-- over it\n`);
    await checked('Valid');
    await button('Publish').click();
    await choose('Overwrite the disk’s');
    await until('written', () => /-- over it/.test(readFileSync(join(conf, 'models.lua'), 'utf8')));
    await banner('An edit in conf/ has errors').waitFor({ state: 'detached' });
});

test('scripts that fail are taken out of service, and the banner says so', async () => {
    await settle({ 'models.lua': NAMES });
    const broken = 'return function(req)\n    return req.model == "boom" and req.headers.x.y or nil\nend\n';
    const { generation } = await publish({ 'routing.lua': broken });
    await until('taken over', async () => {
        await gate.chat('boom');
        return (await running()).published.origin === 'takeover';
    });
    await open('routing.lua');
    await banner(`Generation ${generation} was taken out of service`).waitFor();
    await tab.assertAccessible('takeover');
    await tab.shot('scripts-takeover');
    await button('Load what failed as a draft').click();
    await until('it is loaded', async () => /boom/.test(await shown()));
    await button('Discard').click();
    await banner('was taken out').locator('button', { hasText: 'Close' }).click();
    await banner('was taken out').waitFor({ state: 'detached' });
});

test('what each worker runs: requests of an older generation, keys that wait for a restart', async () => {
    await settle({ 'models.lua': NAMES });
    await open('gateway.lua');
    let release;
    const isReleased = new Promise((done) => (release = done));
    gate.rig.mock.when('held', () => isReleased.then(() => completion('At last.', {})));
    const held = gate.chat('held');
    await tab.page.locator('.runs', { hasText: '1 running' }).waitFor();
    const { files } = await running();
    const { generation } = await publish({
        'gateway.lua': files['gateway.lua'].replace('return {', 'return { max_body = 1048576,'),
    });
    await tab.page.locator('.runs .older', { hasText: '1 request ends with an older' }).waitFor();
    await tab.page.locator('.runs b', { hasText: `generation ${generation}` }).nth(1).waitFor();
    await tab.page.locator('.runs .restart', { hasText: 'max_body' }).waitFor();
    await tab.assertAccessible('an older generation');
    release();
    assert.equal((await held).status, 200);
    await tab.page.locator('.runs .older').waitFor({ state: 'detached' });
    await publish(files, { complete: true });
    await tab.page.locator('.runs .restart').waitFor({ state: 'detached' });
});

test('the gateway away: the draft stays, and is checked when it is back', async () => {
    await settle({ 'models.lua': NAMES });
    await open('models.lua');
    await write(`${NAMES}-- through a restart\n`);
    await checked('Valid');
    await gate.rig.gateway.stop();
    await tab.page.keyboard.type('-- more');
    await checked('Not checked');
    await gate.rig.restart();
    await checked('Valid');
    await assertShown(/-- more/);
    await button('Discard').click();
});

for (const name of Object.keys(LOOKS)) {
    test(`in every look: ${name}`, async () => {
        const one = await gate.open({ look: name });
        await open('routing.lua', one);
        await one.page.locator('.check.is-good').waitFor();
        await one.assertAccessible(`${name}, valid`);
        await one.shot(`${name}-scripts`);
        await write(OPEN, one);
        await one.page.locator('.check.is-error').waitFor();
        await one.page.locator('.cm-lint-marker-error').waitFor();
        await one.assertAccessible(`${name}, errors`);
        const over = () => document.documentElement.scrollWidth - innerWidth;
        await eventually(async () =>
            assert.equal(await one.page.evaluate(over), 0, `${name} is wider than the window`),
        );
        await one.shot(`${name}-scripts-error`);
        await publish({ 'routing.lua': `-- ${name}\n${NOWHERE}` }, { author: 'bob', note: 'by day' });
        await one.page.locator('.banner button').click();
        await one.page.locator('dialog .merge .cm-content').first().waitFor();
        await one.page.locator('dialog .diff-text .is-added').first().waitFor();
        await one.assertAccessible(`${name}, stale`);
        await one.shot(`${name}-scripts-stale`);
        assert.deepEqual(one.errors, []);
        await one.page.context().close();
    });
}

test('no scripts at all: the first is a click away; undo asks when somebody was faster', async () => {
    const { files } = await running();
    await publish({}, { complete: true });
    const one = await gate.open();
    await one.go('scripts');
    await one.page.locator('.empty').waitFor();
    await one.assertAccessible('empty');
    await button('Add routing.lua', one).click();
    await checked('Valid', one);
    await button('Publish', one).click();
    await one.toast('serves');
    await publish({ 'models.lua': NAMES }, { author: 'bob' });
    await one.page.locator('.toast button', { hasText: 'Undo' }).click();
    await one.page.locator('dialog', { hasText: 'was published by bob' }).waitFor();
    assert.deepEqual(Object.keys((await running()).files), ['models.lua', 'routing.lua']);
    assert.equal(await button('Discard', one).count(), 0, 'no draft comes from it');
    await choose('Roll back', one);
    await one.toast('runs again');
    assert.deepEqual((await running()).files, {});
    await publish(files, { complete: true });
    assert.deepEqual(one.errors, []);
    await one.page.context().close();
});
