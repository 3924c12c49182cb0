// Trying scripts: what a draft changes, dry runs on recorded requests, one made-up request, history
// and rollback. The requests are real ones.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../../tests/upstream/mock.mjs';
import { Console, eventually, LOOKS } from './console.mjs';

const HOSTILE = '<img src=x onerror="document.title=1">"&\u202e';

const ROUTING = `-- Where a request goes.

-- Long prompts go to a model that takes them.
local LONG = 20000

local function is_long(req)
    return req.prompt_tokens > LONG
end

-- Names that clients of old still use.
local names = {
    ["gpt-3.5-turbo"] = "gpt-4o",
    ["gpt-4"] = "gpt-4o",
    ["davinci"] = "gpt-4o",
    ["ada"] = "gpt-4o",
}

local function route(req)
    if is_long(req) then
        return { model = "openai/gpt-4o", reason = "long prompt" }
    end
    return names[req.model]
end

return route
`;

// The same with other ways for some.
const CHANGED = ROUTING.replace('20000', '8000').replace(
    '    return names[req.model]\n',
    `    if req.model == "secret" then
        return { reject = { status = 403, message = "Not for you." } }
    elseif req.model == "broken" then
        return names.nobody.model
    elseif req.model == "gpt-4o" then
        return { model = "echo", reason = "cheaper" }
    end
    return names[req.model]
`,
);

// Only what no recorded request fails by: a check tries these too.
const CHEAPER = CHANGED.replace('names.nobody.model', 'nil');

const OTHERS = {
    'models.lua': 'return {\n    fast = "echo",\n    small = "openai/gpt-4o-mini",\n}\n',
    'tests/names.lua': 'return {\n    { name = "fast", map = "fast", expect = { model = "echo" } },\n}\n',
};

let gate;

before(async () => {
    gate = await Console.start({ conf: { 'routing.lua': ROUTING } });
    await gate.addKeyed('研究组共享');
});

after(() => gate?.stop());

// The draft, as the page keeps it.
async function draft(tab, edits) {
    const { generation, files } = await gate.rig.ask('GET', '/scripts');
    await tab.page.evaluate(
        ([base, texts, all]) => {
            const origins = Object.fromEntries(Object.keys(texts).map((name) => [name, all[name] ?? null]));
            const kept = JSON.stringify({ base, edits: texts, origins, fromDisk: 0 });
            localStorage.setItem(`gate.draft ${location.pathname}`, kept);
        },
        [generation, edits, files],
    );
    await tab.page.reload();
}

async function open(view, { edits = null, ...how } = {}) {
    const tab = await gate.open(how);
    if (edits) {
        await draft(tab, edits);
    }
    await tab.go(`scripts/${view}`);
    await tab.page.locator('.scripts-main').waitFor();
    return tab;
}

async function close(tab) {
    assert.deepEqual(tab.errors, []);
    await tab.page.context().close();
}

const assertTexts = (shown, texts) =>
    eventually(async () => assert.deepEqual(await shown.allInnerTexts(), texts));
const assertText = (shown, pattern) =>
    eventually(async () => assert.match(await shown.innerText(), pattern));
const assertCount = (shown, count, what) =>
    eventually(async () => assert.equal(await shown.count(), count, what));

const publish = (files, more = {}) => gate.rig.ask('POST', '/scripts/publish', { files, ...more });
const generation = async () => (await gate.rig.ask('GET', '/scripts')).generation;

// Who answered: the model echo says what it was told.
async function answered(model) {
    const { json } = await gate.chat(model, 'Marco');
    return json.choices[0].message.content === 'Marco' ? 'echo' : 'openai';
}

test('changes: each file, its lines, folds, and the way back', async () => {
    await publish(OTHERS);
    const tab = await open('changes', {
        edits: {
            'routing.lua': CHANGED,
            'tests/names.lua': null,
            'accounts.lua': 'return {}\n',
        },
    });
    const files = tab.page.locator('.file-diff');
    await files.nth(2).waitFor();
    await assertTexts(files.locator('h2'), ['accounts.lua', 'routing.lua', 'tests/names.lua']);
    await assertTexts(files.locator('.counts'), ['+1 −0', '+8 −1', '+0 −3']);
    await assertTexts(files.locator('.tag'), ['new', 'removed']);
    const routing = files.nth(1);
    // The one word that differs is marked, and nothing else of its line.
    await assertTexts(routing.locator('mark'), ['20000', '8000']);
    assert.equal(await routing.getByText('["davinci"]').count(), 0, 'a fold hides it');
    await routing.getByText('11 unchanged lines').click();
    await assertCount(routing.getByText('["davinci"]'), 2, 'on both sides');
    await tab.page.getByRole('button', { name: 'Unified' }).click();
    await assertCount(routing.getByText('["davinci"]'), 1);
    await tab.page.getByRole('button', { name: 'Side by side' }).click();

    await tab.page.getByRole('button', { name: 'Revert routing.lua' }).click();
    await assertCount(files, 2, 'one file less');
    await tab.page.locator('.toast button', { hasText: 'Undo' }).click();
    await files.nth(2).waitFor();
    for (const name of ['accounts.lua', 'routing.lua', 'tests/names.lua']) {
        await tab.page.getByRole('button', { name: `Revert ${name}` }).click();
    }
    await tab.page.getByText('There is no draft').waitFor();
    await close(tab);
});

test('changes: the end of a file, unseen letters, a long file', async () => {
    const long = Array.from({ length: 5000 }, (_, i) => `-- line ${i}\n`).join('');
    const tab = await open('changes', {
        edits: {
            'routing.lua': ROUTING.trimEnd(),
            'models.lua': `-- ${HOSTILE}\nreturn {}\n`,
            'tests/long.lua': `${long}return {}\n`,
        },
    });
    const files = tab.page.locator('.file-diff');
    await files.nth(2).waitFor();
    await assertTexts(files.locator('.counts'), ['+2 −4', '+1 −1', '+5,001 −0']);
    await assertCount(files.nth(1).locator('.line-unended'), 1);
    await assertCount(files.nth(0).getByText('⟨U+202E⟩'), 1);
    assert.equal(await tab.page.locator('.file-diff img').count(), 0);
    assert.ok((await files.nth(2).locator('tbody tr').count()) <= 600);
    await files.nth(2).getByText('Show 4,401 more lines').click();
    await files.nth(2).locator('tbody tr').nth(2000).waitFor();
    await close(tab);
});

test('dry run: nothing is recorded', async () => {
    await gate.rig.restart();
    const tab = await open('dry-run', { edits: { 'models.lua': 'return {}' } });
    await tab.page.getByText('No request is recorded yet').waitFor();
    await tab.assertAccessible('nothing recorded');
    assert.deepEqual(tab.errors, []);
    await tab.page.getByText('Open the playground').click();
    await tab.page.waitForURL(/#\/playground/);
    await tab.page.context().close();
});

const ASKED = { 'gpt-4o': 5, 'secret': 2, 'broken': 3, 'other': 4, [HOSTILE]: 1 };

// In a gateway that remembers nothing yet.
async function record() {
    await gate.rig.restart();
    for (const [model, times] of Object.entries(ASKED)) {
        for (let i = 0; i < times; i++) {
            await gate.chat(model);
        }
    }
}

const kinds = (tab) => tab.page.locator('.dry-rows .col-kind');

test('dry run: rows that change, errors first, counts, a drawer, old results', async () => {
    await record();
    const tab = await open('dry-run', { edits: { 'routing.lua': CHANGED } });
    await tab.page.getByText('replayed on the last 15 requests. 10 would go elsewhere.').waitFor();
    // Errors first, then as they came; those of one millisecond came in any order.
    await assertCount(kinds(tab), 10);
    const shown = await kinds(tab).allInnerTexts();
    assert.deepEqual(shown.slice(0, 3), Array(3).fill('Script error'));
    assert.equal(shown.filter((one) => one === 'Provider').length, 5);
    const chips = tab.page.locator('.dry .chip');
    await assertTexts(chips, ['Script error\n3', 'No longer served\n2', 'Provider\n5']);
    await tab.page.getByText('5 unchanged').waitFor();
    const figures = await tab.page.locator('.dry-figures dd').allInnerTexts();
    assert.deepEqual(figures.slice(0, 2), ['15', '10']);
    assert.ok(figures.slice(2, 5).every((one) => /^[\d.]+ µs$/.test(one)), String(figures));
    // Where the script failed, and the way there.
    const error = tab.page.locator('.script-errors');
    await error.getByText('3 requests').waitFor();
    await assertText(error, /routing\.lua:25.*index a nil value[^]*in the function/);
    await error.locator('a[href$="file=routing.lua&line=25"]').waitFor();

    await tab.page.locator('.dry .chip', { hasText: 'Provider' }).click();
    await assertTexts(kinds(tab), Array(5).fill('Provider'));
    const row = tab.page.locator('.dry-rows tbody tr').first();
    await assertText(row, /openai\/gpt-4o on [^]*\secho\/echo on echo\/0/);
    await row.click();
    const drawer = tab.page.locator('dialog.drawer');
    await drawer.getByText('cheaper').waitFor();
    await tab.assertAccessible('both decisions');
    await tab.shot('tries-decisions');
    await drawer.getByText('What happened when it came').click();
    await drawer.getByText('answered (200)').waitFor();
    await tab.page.keyboard.press('Escape');

    // Another draft: what is shown is of the one before.
    await draft(tab, { 'routing.lua': CHANGED });
    await tab.page.getByText('10 would go elsewhere').waitFor();
    const other = await tab.page.context().newPage();
    await other.goto(`${gate.origin}/ui/#/settings`);
    const changed = CHANGED.replace('secret', 'nothing');
    const { files } = await gate.rig.ask('GET', '/scripts');
    await other.evaluate(
        ([text, origin]) => {
            const kept = { base: 2, edits: { 'routing.lua': text }, origins: { 'routing.lua': origin } };
            localStorage.setItem(`gate.draft ${location.pathname}`, JSON.stringify({ ...kept, fromDisk: 0 }));
        },
        [changed, files['routing.lua']],
    );
    await tab.page.getByText('have changed since this dry run').waitFor();
    await tab.assertAccessible('an old result');
    await tab.page.getByRole('button', { name: 'Run again' }).click();
    await tab.page.getByText('8 would go elsewhere').waitFor();
    await tab.page.getByLabel('How many requests').selectOption('100');
    await tab.page.getByText('8 would go elsewhere').waitFor();
    // What clients call models is text.
    await draft(tab, { 'routing.lua': 'return function() return "echo" end\n' });
    await tab.page.getByText('15 would go elsewhere').waitFor();
    await tab.page.locator('.dry-rows .col-request').getByText('<img src=x').waitFor();
    assert.equal(await tab.page.locator('.dry-rows img').count(), 0);
    await close(tab);
});

test('dry run: a draft with errors, and one that changes nothing', async () => {
    await record();
    const wrong = { 'routing.lua': 'return function(req)\n    retrun nil\nend\n' };
    const tab = await open('dry-run', { edits: wrong });
    await tab.page.getByText('The draft has errors. Nothing was replayed.').waitFor();
    await tab.page.locator('.dry .problems').getByText('routing.lua:2').waitFor();
    await tab.assertAccessible('a draft with errors');
    await draft(tab, { 'routing.lua': `-- Only words.\n${ROUTING}` });
    await tab.page.getByText('All 15 requests go where they went.').waitFor();
    await draft(tab, {});
    await tab.page.getByText('There is no draft: nothing would change.').waitFor();
    await close(tab);
});

test('a dry run that was stopped, and one with more rows than are shown, say so', async () => {
    const tab = await open('dry-run');
    await tab.page.route('**/admin/api/scripts/dry-run', async (route) => {
        const response = await route.fetch();
        const body = await response.json();
        const result = body.dry_run;
        const [row] = result.rows;
        result.rows = Array.from({ length: 200 }, (_, at) => ({ ...row, change: 'model', id: `r${at}` }));
        result.changed = 1234;
        result.requests = 2000;
        result.changes = { ...result.changes, model: 1234 };
        result.stopped = true;
        await route.fulfill({ response, json: body });
    });
    await draft(tab, { 'routing.lua': CHANGED });
    await tab.page.locator('.dry-rows tbody tr').nth(199).waitFor();
    await tab.page.getByText('200 of 1,234 rows are shown.').waitFor();
    await tab.page.getByText('It was stopped because it took too long').waitFor();
    await tab.assertAccessible('a dry run that was stopped');
    await close(tab);
});

test('one request: the draft beside what runs', async () => {
    const tab = await open('dry-run', { edits: { 'routing.lua': CHANGED } });
    const form = tab.page.locator('.try-form');
    const cards = tab.page.locator('.decision');
    await form.getByLabel('Model').fill('gpt-4o');
    await form.getByRole('button', { name: 'Try' }).click();
    await cards.nth(1).waitFor();
    await assertText(cards.nth(0), /Runs now\s+openai\/gpt-4o on /);
    await assertText(cards.nth(1), /Draft\s+echo\/echo on echo\/0[^]*cheaper/);
    // 9,000 tokens are long for the draft alone.
    await form.getByLabel('Prompt tokens').fill('9000');
    await form.getByLabel('Tools').fill('2');
    await form.getByLabel('Streaming').uncheck();
    await form.getByLabel('With images').check();
    await form.getByLabel('Client key').fill('lab');
    await form.getByRole('button', { name: 'Try' }).click();
    await cards.nth(1).getByText('long prompt').waitFor();
    assert.equal(await cards.nth(0).getByText('long prompt').count(), 0);
    await form.getByLabel('Prompt tokens').fill('10');
    await form.getByLabel('Model').fill('secret');
    await form.getByRole('button', { name: 'Try' }).click();
    await cards.nth(1).getByText('rejected 403: Not for you.').waitFor();
    await form.getByLabel('Model').fill('broken');
    await form.getByRole('button', { name: 'Try' }).click();
    await cards.nth(1).getByRole('link', { name: 'routing.lua:25' }).waitFor();
    await tab.assertAccessible('one request');
    await draft(tab, { 'routing.lua': 'return function(' });
    await form.getByLabel('Model').fill(HOSTILE);
    await form.getByRole('button', { name: 'Try' }).click();
    await cards.nth(1).getByText('The draft has errors').waitFor();
    assert.equal(await tab.page.locator('.decision img').count(), 0);
    await close(tab);
});

test('publish and roll back by clicks: the traffic goes there, and back', async () => {
    await publish({ 'routing.lua': ROUTING });
    const start = await generation();
    const tab = await open('changes', { edits: { 'routing.lua': CHEAPER } });
    assert.equal(await answered('gpt-4o'), 'openai');
    await tab.page.locator('.scripts-head .primary').click();
    await tab.page.getByText('There is no draft').waitFor();
    assert.equal(await answered('gpt-4o'), 'echo');
    await tab.page.locator('.tabs a', { hasText: 'History' }).click();
    const rows = tab.page.locator('.history li');
    await rows.first().getByText('Runs now').waitFor();
    await tab.page.getByRole('button', { name: `Roll back Generation ${start}`, exact: true }).click();
    await tab.toast(`Generation ${start} runs again, as generation ${start + 2}`);
    assert.equal(await answered('gpt-4o'), 'openai');
    await rows.first().getByText(`texts of generation ${start}`).waitFor();
    // The notice takes it back.
    await tab.page.locator('.toast', { hasText: 'runs again' }).getByText('Undo').click();
    await until(async () => (await generation()) === start + 3, { what: () => 'the undo' });
    assert.equal(await answered('gpt-4o'), 'echo');
    // With a note, from the generation's own page.
    await rows.nth(3).locator('a').click();
    await tab.page.getByLabel('Note (optional)').fill('as it was <b>before</b>');
    await tab.page.getByRole('button', { name: 'Roll back to this' }).click();
    await tab.toast(`as generation ${start + 4}`);
    assert.equal(await answered('gpt-4o'), 'openai');
    await tab.page.getByText('All generations').click();
    await rows.first().getByText('as it was <b>before</b>').waitFor();
    assert.equal(await rows.locator('b:not(.generation)').count(), 0);
    await close(tab);
});

test('roll back: somebody else was faster', async () => {
    const tab = await open('history');
    await tab.page.locator('.history li').nth(1).waitFor();
    // This page does not hear of it before it asks for the rollback.
    let isDeaf = true;
    await tab.page.route('**/admin/api/scripts', (route) => (isDeaf ? route.abort() : route.continue()));
    tab.page.on('request', (request) => {
        isDeaf &&= !request.url().endsWith('/scripts/rollback');
    });
    await publish({ 'accounts.lua': '-- Nothing.\nreturn {}\n' }, { author: 'ada', note: 'meanwhile' });
    const now = await generation();
    await tab.page.getByRole('button', { name: 'Roll back' }).first().click();
    await tab.page.locator('dialog').getByText('ada').waitFor();
    await tab.page.locator('dialog .danger').click();
    await until(async () => (await generation()) === now + 1, { what: () => 'the rollback in spite of it' });
    await tab.page.locator('.history li').nth(1).getByText('meanwhile').waitFor();
    await close(tab);
});

test('history: sixty generations in pages, live ones on top, each with its difference', async () => {
    await publish({ 'routing.lua': ROUTING, 'tests/names.lua': null });
    const from = await generation();
    for (let i = 1; i <= 60; i++) {
        const text = `return {\n    fast = "echo",\n    number = "echo", -- ${i}\n}\n`;
        await publish({ 'models.lua': text }, { author: 'ada', note: `number ${i}` });
    }
    const tab = await open('history');
    const rows = tab.page.locator('.history li');
    const numbers = () => tab.page.locator('.history .generation').allInnerTexts();
    await rows.nth(29).waitFor();
    await assertCount(rows, 30);
    await tab.page.getByText('Show older').click();
    await rows.nth(60).waitFor();
    const shown = (await numbers()).map(Number);
    assert.equal(shown[0], from + 60);
    assert.deepEqual(shown, shown.map((_, at) => shown[0] - at), 'without a gap');
    await rows.first().getByText('1 changed +1 −1').waitFor();
    await assertText(rows.first(), /number 60[^]*ada · published · 3 files/);
    while (await tab.page.getByText('Show older').count()) {
        const known = await rows.count();
        await tab.page.getByText('Show older').click();
        await until(async () => (await rows.count()) > known, { what: () => 'older ones' });
    }
    assert.equal((await numbers()).at(-1), '1');
    await assertText(rows.last(), /found at a start/);

    await publish({ 'models.lua': 'return {}\n' }, { author: HOSTILE, note: HOSTILE });
    await rows.first().getByText('<img src=x').first().waitFor();
    assert.equal((await numbers())[0], String(from + 61));
    await assertCount(rows, from + 61, 'what was known stays');
    assert.equal(await tab.page.locator('.history img').count(), 0);
    await rows.nth(1).getByText('Runs now').waitFor({ state: 'detached' });
    await close(tab);
});

test('history: one generation, against the one before and what runs; edit from here', async () => {
    const tab = await open('history', { edits: { 'routing.lua': CHANGED } });
    const rows = tab.page.locator('.history li');
    await rows.nth(1).locator('a').click();
    const files = tab.page.locator('.file-diff');
    await files.first().waitFor();
    await assertTexts(files.locator('.counts'), ['+1 −1']);
    await assertTexts(files.locator('mark'), ['59', '60']);
    await tab.page.getByRole('button', { name: 'To what runs' }).click();
    await files.getByText('+1 −4').waitFor();
    await tab.page.getByRole('button', { name: 'Files' }).click();
    await tab.page.locator('table[aria-label="routing.lua"]').waitFor();
    await tab.page.reload();
    await files.first().waitFor();
    await tab.page.getByText('Edit from here').click();
    await tab.toast('The draft is generation');
    await tab.page.locator('.tabs a', { hasText: 'Changes' }).click();
    await files.getByText('+4 −1').waitFor();
    await assertTexts(files.locator('h2'), ['models.lua']);
    await tab.page.locator('.toast', { hasText: 'The draft is' }).getByText('Undo').click();
    await files.getByText('+8 −1').waitFor();
    await tab.go('scripts/history?g=100000');
    await tab.page.locator('.entry [role=alert]').waitFor();
    await close(tab);
});

test('history: what the gateway took out of service is marked', async () => {
    const oops = 'if req.model == "late" then error("oops") end';
    const broken = ROUTING.replace('return names', `${oops}\n    return names`);
    const failed = (await publish({ 'routing.lua': broken })).generation;
    const tab = await open('history');
    await until(
        async () => {
            await gate.chat('late');
            return (await generation()) > failed;
        },
        { what: () => 'a takeover' },
    );
    const row = tab.page.locator('.history li', { hasText: 'taken out of service' });
    await row.waitFor();
    assert.equal(await row.locator('.generation').innerText(), String(failed));
    await tab.page.locator('.history li').first().getByText('put back by the gateway').waitFor();
    await tab.assertAccessible('a failed generation');
    await close(tab);
});

const overflow = (tab) => tab.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

async function look(tab, name) {
    await tab.assertAccessible(name);
    await eventually(async () => assert.ok((await overflow(tab)) <= 0, `${name} is wider than the window`));
    await tab.shot(name, { fullPage: true });
}

for (const name of Object.keys(LOOKS)) {
    test(`all three views, ${name}`, async () => {
        await record();
        await publish(OTHERS, { note: 'Names for the teams' });
        await publish({ 'accounts.lua': 'return {}\n' }, { author: 'ada' });
        const edits = {
            'routing.lua': CHANGED,
            'models.lua': OTHERS['models.lua'].replace('small', 'little'),
            'tests/names.lua': null,
        };
        const tab = await open('changes', { look: name, edits });
        await tab.page.locator('.file-diff').nth(2).waitFor();
        await look(tab, `${name}-changes`);
        await tab.go('scripts/dry-run');
        await tab.page.locator('.dry-rows tbody tr').first().waitFor();
        await tab.page.locator('.try-form input').first().fill('gpt-4o');
        await tab.page.locator('.try-form button').click();
        await tab.page.locator('.decision').nth(1).waitFor();
        await look(tab, `${name}-dry-run`);
        await tab.page.locator('.dry-rows tbody tr').first().click();
        await tab.page.locator('dialog.drawer .decision').nth(1).waitFor();
        await tab.assertAccessible(`${name}: a drawer`);
        await tab.page.keyboard.press('Escape');
        await tab.go('scripts/history');
        await tab.page.locator('.history .counts').first().waitFor();
        await tab.page.locator('.history li:first-child .difference:not(:empty)').waitFor();
        await look(tab, `${name}-history`);
        await tab.page.locator('.history li a').first().click();
        await tab.page.locator('.file-diff').first().waitFor();
        await look(tab, `${name}-generation`);
        await tab.page.locator('.entry .segments').first().locator('button').last().click();
        await look(tab, `${name}-generation-files`);
        await close(tab);
    });
}
