// What somebody does across screens, by clicks alone: a script is broken, mended, tried, published,
// seen at work in the logs, and taken back; a draft is tried in the playground.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Console, eventually } from './console.mjs';
import { answers, ask, choose, ended, steps } from './playground_rig.mjs';

const BROKEN = 'return function(req)\n    if req.model == "gpt-4o"\n        return "echo"\n    end\nend\n';
const MENDED = BROKEN.replace('"gpt-4o"\n', '"gpt-4o" then\n');

let gate;
let tab;

before(async () => {
    gate = await Console.start();
    tab = await gate.open();
});

after(() => gate?.stop());
afterEach(() => assert.deepEqual(tab.errors, []));

async function screen(name) {
    await tab.page.locator('nav a:visible', { hasText: name }).first().click();
    await tab.page.locator('.side [aria-current=page]', { hasText: name }).waitFor();
}

const view = (name) => tab.page.locator('.tabs a', { hasText: name }).click();
const publishing = () => tab.page.locator('.scripts-head .primary');
const checked = (text) => tab.page.locator('.check', { hasText: text }).waitFor();
const rows = () => tab.page.locator('.requests tbody tr');

async function write(text) {
    await tab.page.locator('.code-editor .cm-content[aria-label*="routing.lua"]').click();
    await tab.page.keyboard.press('Control+a');
    await tab.page.keyboard.insertText(text);
}

const assertFacts = (expected) =>
    eventually(async () => assert.match(await tab.page.locator('dl.facts').innerText(), expected));

// The newest request, as the logs show and explain it.
async function assertNewest(route, expected) {
    await screen('Logs');
    await rows().first().locator('.col-route', { hasText: route }).waitFor();
    await rows().first().click();
    await tab.page.locator('.attempts li').first().waitFor();
    await assertFacts(expected);
    await tab.page.keyboard.press('Escape');
}

test('an error, its mending, a dry run, what serves then, and back', async () => {
    await gate.chat('gpt-4o', 'before');
    await assertNewest('gpt-4o', /Generation, strategy\s+1 /);
    await screen('Scripts');
    await tab.page.getByText('Add file').click();
    await tab.dialog.locator('input').fill('routing.lua');
    await tab.submit();
    await tab.page.locator('.files a[aria-current]', { hasText: 'routing.lua' }).waitFor();
    await write(BROKEN);
    await checked('1 error');
    await tab.page.locator('.scripts-head .primary:disabled').waitFor();
    await tab.page.locator('.problems', { hasText: 'routing.lua:' }).waitFor();
    await write(MENDED);
    await checked('Valid');
    await view('Dry run');
    await tab.page.getByText('1 would go elsewhere').waitFor();
    await tab.page.locator('.dry-rows .is-after', { hasText: 'echo' }).waitFor();
    await publishing().click();
    await tab.toast('Generation 2 serves');
    await gate.chat('gpt-4o', 'published');
    await assertNewest('echo', /Generation, strategy\s+2 /);
    await screen('Scripts');
    await view('History');
    await tab.page.getByRole('button', { name: 'Roll back Generation 1', exact: true }).click();
    await tab.toast('Generation 1 runs again, as generation 3');
    await gate.chat('gpt-4o', 'rolled back');
    await assertNewest('gpt-4o', /Generation, strategy\s+3 /);
    // The notice can take that back too.
    await tab.page.locator('.toast', { hasText: 'runs again' }).getByText('Undo').click();
    await tab.toast('Generation 2 runs again, as generation 4');
    await gate.chat('gpt-4o', 'and again');
    await assertNewest('echo', /Generation, strategy\s+4 /);
});

test('a draft in the playground serves nobody else, and its request is in the logs', async () => {
    await screen('Scripts');
    await tab.page.locator('.files a', { hasText: 'routing.lua' }).click();
    await write('return function()\n    return nil\nend\n');
    await checked('Valid');
    await screen('Playground');
    await tab.page.getByLabel('Use the draft scripts').check();
    await choose(tab, 'gpt-4o');
    await ask(tab, 'Marco');
    await ended(tab);
    await answers(tab).getByText('Hello.').waitFor();
    await steps(tab).getByText('Scripts, draft').waitFor();
    const others = await gate.chat('gpt-4o', 'Polo');
    assert.equal(others.json.choices[0].message.content, 'Polo');
    await tab.page.getByText('In the logs').click();
    await tab.page.locator('.attempts li').first().waitFor();
    await assertFacts(/Generation, strategy\s+draft /);
    await assertFacts(/Client key\s+console/);
    await tab.page.keyboard.press('Escape');
});
