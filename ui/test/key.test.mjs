// Another API key, asked for in the settings.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Console, LOOKS } from './console.mjs';

const HOUR = 3600 * 1000;
const REFUSED = 401;
let gate;

before(async () => {
    gate = await Console.start({ key: null });
});

after(() => gate?.stop());

const status = async (key) =>
    (await gate.rig.gateway.call({ method: 'GET', path: '/v1/models', key })).status;

// Asks for a key in the dialog and returns it.
async function makeKey(tab, old) {
    await tab.page.locator('button', { hasText: /New key/ }).click();
    await tab.page.locator('dialog select').selectOption(old);
    await tab.page.locator('dialog .danger').click();
    return tab.page.locator('#new-key').innerText();
}

test('a new key takes the place of the old one, and signs the others out', async () => {
    const tab = await gate.open();
    const other = await gate.open();
    const old = gate.rig.key;
    await tab.go('settings');
    const key = await makeKey(tab, '0');
    assert.match(key, /^gate-[\w-]{43}$/);
    await tab.assertAccessible('the new key');
    await tab.shot('dialog-new-key');
    assert.deepEqual([await status(old), await status(key)], [REFUSED, 200]);
    await other.page.getByText('This session is over').waitFor();
    await tab.page.locator('dialog .primary').click();
    await tab.page.getByText(key).waitFor({ state: 'detached' });
    await tab.page.reload();
    await tab.page.locator('.panel').first().waitFor();
    const page = await tab.page.content();
    assert.ok(!page.includes(key) && !page.includes(old));
    gate.rig.key = key;
    assert.deepEqual([...tab.errors, ...other.errors], []);
});

test('the old key may work on, and Escape changes nothing', async () => {
    const tab = await gate.open();
    const old = gate.rig.key;
    await tab.go('settings');
    await tab.page.locator('button', { hasText: /New key/ }).click();
    await tab.page.locator('dialog select').waitFor();
    await tab.assertAccessible('the question');
    await tab.page.keyboard.press('Escape');
    assert.equal(await status(old), 200);
    const key = await makeKey(tab, String(HOUR));
    await tab.page.locator('dialog', { hasText: 'works until' }).waitFor();
    assert.deepEqual([await status(old), await status(key)], [200, 200]);
    gate.rig.key = key;
    assert.deepEqual(tab.errors, []);
});

for (const look of Object.keys(LOOKS)) {
    test(`the question and the key, ${look}`, async () => {
        const tab = await gate.open({ look });
        await tab.go('settings');
        await tab.page.locator('button', { hasText: /New key|更换密钥/ }).click();
        await tab.page.locator('dialog select').waitFor();
        await tab.assertAccessible(look);
        await tab.shot(`${look}-dialog-new-key`);
        await tab.page.locator('dialog .danger').click();
        gate.rig.key = await tab.page.locator('#new-key').innerText();
        await tab.assertAccessible(look);
        await tab.shot(`${look}-dialog-made-key`);
        assert.deepEqual(tab.errors, []);
    });
}
