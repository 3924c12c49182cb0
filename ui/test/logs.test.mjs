// The logs: rows that arrive obey the filters, older ones come in pages, the page stays small.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { apiError } from '../../tests/upstream/oauth_answers.mjs';
import { Console, eventually } from './console.mjs';

const MAX_ROWS = 500;
let gate;
let tab;

before(async () => {
    gate = await Console.start();
    await gate.addKeyed('main');
    gate.rig.mock.when('refused', apiError(400, 'bad_value', 'This is not understood.'));
    await gate.chat('echo');
    await gate.chat('gpt-4o');
    tab = await gate.open();
});

after(() => gate?.stop());
afterEach(() => assert.deepEqual(tab.errors, []));

const rows = () => tab.page.locator('.requests tbody tr');
const models = () => tab.page.locator('.requests .col-model').allInnerTexts();
const results = () => tab.page.locator('.requests .outcome').allInnerTexts();
const stamps = () => tab.page.locator('.requests .col-tokens').allInnerTexts();

// As many rows as that, and no other.
async function assertRows(count) {
    await rows().nth(count - 1).waitFor();
    await eventually(async () => assert.equal(await rows().count(), count));
}

// Waits for all that the gateway knows of these filters.
async function assertAll(filters) {
    const { requests } = await gate.rig.ask('GET', `/requests?limit=50&${filters}`);
    await assertRows(requests.length);
    return requests.length;
}

// Sent after all that must not show: once it is there, they had their chance.
async function chats(...names) {
    for (const name of names) {
        await gate.chat(name);
    }
}

test('rows that arrive obey the filter by model', async () => {
    await tab.go('logs?model=echo');
    await assertRows(1);
    await chats('gpt-4o', 'refused', 'echo');
    await assertRows(2);
    await eventually(async () => assert.deepEqual(await models(), ['echo', 'echo']));
});

test('and by result', async () => {
    await tab.page.getByLabel('Result').selectOption({ label: 'Errors' });
    await tab.page.getByLabel('Model').selectOption('');
    await tab.page.locator('.outcome.is-success').first().waitFor({ state: 'detached' });
    const before = await assertAll('outcome=error');
    await chats('echo', 'gpt-4o', 'refused');
    await assertRows(before + 1);
    assert.ok((await results()).every((one) => one !== 'OK'));
    await tab.page.waitForURL(/outcome=error/);
});

test('and by account', async () => {
    await tab.page.getByLabel('Result').selectOption('');
    await tab.page.getByLabel('Account').selectOption({ label: 'echo/0' });
    await tab.page.locator('.outcome.is-error').first().waitFor({ state: 'detached' });
    const before = await assertAll('account=echo/0');
    await chats('gpt-4o', 'refused', 'echo');
    await assertRows(before + 1);
    assert.ok((await models()).every((one) => one === 'echo'));
});

test('a filter that nothing matches offers the way back', async () => {
    await tab.go('logs?model=nothing');
    await tab.page.getByText('No request matches').waitFor();
    await tab.assertAccessible('no row');
    await chats('echo');
    await tab.page.getByText('Clear filter').click();
    await rows().first().waitFor();
    assert.equal(await tab.page.locator('.empty').count(), 0);
});

test('rows wait while paused, other filters then too', async () => {
    // All that was sent before is shown; the stream may tell of it once more.
    const before = await assertAll('');
    await tab.page.getByText('Pause').click();
    await chats('echo', 'gpt-4o');
    await tab.page.getByText('Resume (2 new)').waitFor();
    assert.equal(await rows().count(), before);
    await tab.page.getByLabel('Model').selectOption('echo');
    await tab.page.locator('.requests tr:has-text("gpt-4o")').first().waitFor({ state: 'detached' });
    const ofEcho = await assertAll('model=echo');
    await chats('gpt-4o', 'echo');
    await tab.page.getByText('Resume (1 new)').click();
    await assertRows(ofEcho + 1);
    await tab.page.getByLabel('Model').selectOption('');
});

test('/ goes to the filters, a row explains itself, its address survives a reload', async () => {
    await tab.page.keyboard.press('/');
    await tab.assertFocus('.filters select');
    await rows().first().click();
    await tab.page.locator('.attempts li, .passed li').first().waitFor();
    await tab.page.waitForURL(/id=/);
    await tab.page.reload();
    await tab.page.locator('.attempts li, .passed li').first().waitFor();
    await tab.page.keyboard.press('Escape');
    await tab.dialog.waitFor({ state: 'detached' });
    await tab.page.waitForURL(/logs(?!.*id=)/);
    await tab.go('logs?id=of-long-ago');
    await tab.dialog.getByRole('alert').waitFor();
    await tab.page.keyboard.press('Escape');
});

test('a page of the logs keeps its older rows when the stream comes back', async () => {
    for (let n = 0; n < 60; n++) {
        await gate.chat('echo');
    }
    await tab.go('logs');
    await tab.page.reload();
    await rows().nth(49).waitFor();
    await tab.page.getByText('Show older').click();
    await rows().nth(60).waitFor();
    const before = await rows().count();
    const again = tab.page.waitForResponse((one) => one.url().includes('/requests?limit=50'));
    await tab.page.clock.install();
    await tab.hide(true);
    await tab.page.clock.fastForward(11_000);
    await tab.page.locator('.link.is-paused').waitFor();
    await gate.chat('echo');
    await tab.hide(false);
    await again;
    await assertRows(before + 1);
});

// Every request has a length of its own, by which its row is known.
test('older rows to the very end, with never too many in the page', async () => {
    const lengths = [];
    for (let n = 0; n < MAX_ROWS + 120; n++) {
        await gate.chat('echo', 'word '.repeat(200 + n));
        lengths.push(n);
    }
    const { requests } = await gate.rig.ask('GET', '/requests?limit=200');
    assert.equal(requests.length, 200);
    await tab.go('logs?model=echo');
    await tab.page.reload();
    await rows().nth(49).waitFor();
    const seen = new Set(await stamps());
    const older = tab.page.getByText('Show older');
    for (let page = 0; page < 30 && (await older.count()) > 0; page++) {
        const last = rows().last();
        const before = await last.innerText();
        const answered = tab.page.waitForResponse((one) => one.url().includes('before='));
        await older.click();
        await answered;
        await tab.page.locator('.requests tbody tr').last().filter({ hasNotText: before }).waitFor();
        assert.ok((await rows().count()) <= MAX_ROWS, 'too many rows');
        (await stamps()).forEach((one) => seen.add(one));
    }
    assert.equal(await older.count(), 0);
    assert.ok(seen.size >= lengths.length, `${seen.size} of ${lengths.length} seen`);
    // Now it looks at the past: what arrives waits.
    await gate.chat('echo');
    await tab.page.getByText('Resume (1 new)').click();
    await older.waitFor();
    await assertRows(50);
});
