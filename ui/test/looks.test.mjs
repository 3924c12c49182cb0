// Every screen in every look: no violation of accessibility rules, nothing wider than the window, no
// complaint of the browser under the page's own security policy. With SHOTS: a picture of each.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Console, eventually, LOOKS } from './console.mjs';

const FIRST_VIEW_MS = 1000;
let gate;

before(async () => {
    gate = await Console.start();
    await gate.addKeyed('main', { limits: { chat: { rpm: 60, rpd: 2000 } }, tags: ['paid'] });
    await gate.addKeyed('研究组共享', { limits: { chat: { rpm: 60, rpd: 30 } } });
    await gate.addKeyed('spent', { limits: { chat: { rpm: 60, rpd: 2 } } });
    await gate.addKeyed('off', { enabled: false });
    await gate.addDeadLogin('old-laptop');
    for (let i = 0; i < 30; i++) {
        await gate.chat(i % 3 ? 'gpt-4o' : 'echo');
    }
});

after(() => gate?.stop());

const width = (tab) => tab.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);

// A Chinese letter before a mark of Latin text: the wide mark belongs there.
const NARROW_MARK = /[\u4e00-\u9fff][,:;?!](?!\d)/;

async function look(tab, name) {
    await tab.assertAccessible(name);
    assert.doesNotMatch(await tab.page.locator('body').innerText(), NARROW_MARK, name);
    await eventually(async () => assert.equal(await width(tab), 0, `${name} is wider than the window`));
    await tab.shot(name, { fullPage: !name.includes('dialog') });
}

for (const name of Object.keys(LOOKS)) {
    test(`all screens, ${name}`, async () => {
        const tab = await gate.open({ look: name });
        await tab.page.locator('.accounts tbody tr').first().waitFor();
        await tab.page.locator('.chart canvas').waitFor();
        await look(tab, `${name}-overview`);
        await tab.go('accounts');
        await look(tab, `${name}-accounts`);
        await tab.page.locator('.panel-head .primary').click();
        for (const way of [0, 1, 2]) {
            await tab.page.locator('.ways button').nth(way).click();
            await look(tab, `${name}-dialog-add-${way}`);
        }
        await tab.page.keyboard.press('Escape');
        await tab.go('logs');
        await tab.page.locator('.requests tbody tr').first().waitFor();
        await look(tab, `${name}-logs`);
        await tab.page.locator('.requests tbody tr').first().click();
        await tab.page.locator('.attempts li').first().waitFor();
        await look(tab, `${name}-dialog-request`);
        await tab.page.keyboard.press('Escape');
        await tab.go('settings');
        await tab.page.locator('.settings').waitFor();
        await look(tab, `${name}-settings`);
        await tab.page.keyboard.press('Control+k');
        await tab.page.locator('#palette-hits').waitFor();
        await look(tab, `${name}-dialog-palette`);
        assert.deepEqual(tab.errors, []);
        await tab.page.context().close();
    });
}

test('the first view is there within a second', async () => {
    const tab = await gate.open();
    await tab.page.reload();
    await tab.page.locator('.accounts tbody tr').first().waitFor();
    const painted = await tab.page.evaluate(
        () => performance.getEntriesByName('first-contentful-paint')[0].startTime,
    );
    assert.ok(painted < FIRST_VIEW_MS, `${painted} ms`);
});
