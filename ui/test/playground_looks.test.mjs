// The playground with the draft of the scripts, with nothing to ask, and in every look.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { completion } from '../../tests/upstream/oauth_answers.mjs';
import { chunkOf, streamOf } from '../../tests/upstream/scenarios.mjs';
import { Console, eventually, LOOKS } from './console.mjs';
import {
    answers,
    ask,
    choose,
    ended,
    field,
    forget,
    MODELS,
    playground,
    steps,
    USAGE,
} from './playground_rig.mjs';

let gate;
let usual; // what the service says to what no test has in mind

before(async () => {
    gate = await Console.start({ conf: { 'models.lua': MODELS } });
    usual = gate.rig.mock.fallback;
});

after(() => gate?.stop());

beforeEach(() => forget(gate, usual));

// As the editor of another tab keeps it; until this tab has heard of it.
async function putDraft(tab, edits) {
    await tab.page.evaluate(() => {
        window.heard = new Promise((done) => addEventListener('storage', () => done(), { once: true }));
    });
    const other = await tab.page.context().newPage();
    await other.goto(`${gate.origin}/health`);
    await other.evaluate((changed) => {
        const draft = { base: 1, edits: changed, origins: {}, fromDisk: 0 };
        localStorage.setItem('gate.draft /ui/', JSON.stringify(draft));
    }, edits);
    await tab.page.evaluate(() => window.heard);
    await other.close();
}

const routing = (reason) =>
    `return function() return { model = "openai/other", reason = "${reason}" } end\n`;

test('the draft of the scripts decides when it is told to, and as it is now', async () => {
    gate.rig.mock.when('other', (request) => completion('By the draft.', request.json));
    gate.rig.mock.when('gpt-4o', (request) => completion('As it runs.', request.json));
    const tab = await playground(gate);
    const use = tab.page.getByLabel('Use the draft scripts');
    await eventually(async () => assert.ok(await use.isDisabled()));
    await putDraft(tab, { 'routing.lua': routing('a try') });
    await choose(tab, 'fast');
    await ask(tab, 'x');
    await answers(tab).getByText('As it runs.').waitFor();
    await use.check();
    await tab.page.getByText('The draft of routing.lua decides.').waitFor();
    await ask(tab, 'x');
    await answers(tab).nth(1).getByText('By the draft.').waitFor();
    await answers(tab).nth(1).locator('.tag').waitFor();
    await steps(tab).getByText('fast → openai/other').waitFor();
    await steps(tab).getByText('Scripts, draft').waitFor();
    await steps(tab).getByText('a try').waitFor();
    await ended(tab);
    await tab.shot('play-draft');

    // Gone at the gateway: it is staged again by itself.
    let staged = 0;
    tab.page.on('request', (one) => (staged += one.url().endsWith('/scripts/stage') ? 1 : 0));
    await ask(tab, 'x');
    await answers(tab).nth(2).getByText('By the draft.').waitFor();
    assert.equal(staged, 0);
    const sent = tab.page.waitForRequest((one) => one.url().endsWith('/chat'));
    await ask(tab, 'x');
    const stage = (await sent).headers()['x-gate-stage'];
    await answers(tab).nth(3).getByText('By the draft.').waitFor();
    await gate.rig.ask('DELETE', `/scripts/stage/${stage}`);
    await ask(tab, 'x');
    await answers(tab).nth(4).getByText('By the draft.').waitFor();
    assert.equal(staged, 1);

    // Another tab changes the draft.
    await putDraft(tab, { 'routing.lua': routing('another try') });
    await ask(tab, 'x');
    await answers(tab).nth(5).getByText('By the draft.').waitFor();
    await steps(tab).getByText('another try').waitFor();
    assert.equal(staged, 2);
    await putDraft(tab, { 'routing.lua': 'return function( end\n' });
    await ask(tab, 'x');
    const failure = answers(tab).nth(6).locator('.play-failure');
    await failure.getByText('The draft scripts have errors').waitFor();
    await failure.getByText('routing.lua:1').first().waitFor();
    await tab.shot('play-draft-errors');
    await tab.assertAccessible('errors of a draft');
    await failure.locator('a').first().click();
    await tab.page.waitForURL(/#\/scripts\?file=routing\.lua&line=1$/);
    assert.deepEqual(tab.errors, []);
});

test('where no model is served the way to one is offered', async () => {
    const tab = await gate.open();
    const body = JSON.stringify({ providers: [], names: [] });
    const none = (route) => route.fulfill({ contentType: 'application/json', body });
    await tab.page.route('**/admin/api/providers', none);
    await tab.go('playground');
    await tab.page.reload();
    await tab.page.getByText('No model is served yet').waitFor();
    await tab.assertAccessible('nothing is served');
    await field(tab).fill('x');
    await tab.page.getByRole('button', { name: 'Send', disabled: true }).waitFor();
    await tab.page.locator('.play-talk .primary').click();
    await tab.page.locator('dialog .ways').waitFor();
    assert.deepEqual(tab.errors, []);
});

for (const look of Object.keys(LOOKS)) {
    test(`the playground, ${look}`, async () => {
        gate.rig.mock.when('gpt-4o', {
            body: streamOf(
                chunkOf({ reasoning_content: 'A short answer will do.' }),
                chunkOf({ content: 'A quasar is the bright core of a distant galaxy, ' }),
                chunkOf({ content: 'powered by gas that falls into a black hole. ' }),
                chunkOf({ content: 'It can outshine all the stars around it.' }),
                chunkOf({}, 'stop'),
                { ...chunkOf({}), choices: [], usage: USAGE },
                '[DONE]',
            ),
        });
        const tab = await playground(gate, { look });
        await tab.assertAccessible(`${look}, empty`);
        await tab.shot(`${look}-playground-empty`, { fullPage: true });
        await tab.page.locator('.play-composer select').selectOption('fast');
        await ask(tab, 'What is a quasar?');
        await tab.page.locator('.play-figures').waitFor();
        await steps(tab).locator('li').nth(4).waitFor();
        await tab.assertAccessible(look);
        const over = () => document.documentElement.scrollWidth - innerWidth;
        await eventually(async () =>
            assert.equal(await tab.page.evaluate(over), 0, 'wider than the window'),
        );
        await tab.shot(`${look}-playground`);
        await tab.shot(`${look}-playground-full`, { fullPage: true });
        assert.deepEqual(tab.errors, []);
        await tab.page.context().close();
    });
}
