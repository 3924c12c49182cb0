// Without a mouse, without motion, with a thumb.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Console, eventually } from './console.mjs';

const SMALLEST = 36; // CSS pixels of what a thumb presses
let gate;

before(async () => {
    gate = await Console.start();
    await gate.addKeyed('main', { limits: { chat: { rpd: 2000 } }, tags: ['paid'] });
    await gate.addDeadLogin('old-laptop');
    await gate.chat('echo');
});

after(() => gate?.stop());

const ADD = '.panel-head .primary';

test('an account is added by keyboard alone', async () => {
    const tab = await gate.open();
    const { keyboard } = tab.page;
    await keyboard.press('Tab');
    await tab.assertFocus('.skip');
    assert.ok((await tab.page.locator('.skip').boundingBox()).height > 20, 'it is seen');
    await keyboard.press('Enter');
    await tab.assertFocus('main');
    await tab.pressTo('Tab', ADD);
    await keyboard.press('Enter');
    await tab.assertFocus('dialog [type=password]'); // the field that must be filled
    await tab.pressTo('Shift+Tab', 'dialog select');
    await keyboard.type('openai');
    await keyboard.press('Tab');
    await keyboard.type('typed');
    await keyboard.press('Tab');
    await tab.assertFocus('dialog [type=password]');
    await keyboard.type('sk-typed');
    await keyboard.press('Enter');
    await tab.dialog.getByText('Which model').waitFor();
    await tab.pressTo('Tab', 'dialog [list]');
    await keyboard.press('Control+a');
    await keyboard.type('gpt-4o');
    await keyboard.press('Enter');
    await tab.toast('typed works');
    await tab.assertFocus(ADD); // where it began
    assert.deepEqual(tab.errors, []);
});

test('a menu and a rename by keyboard; the focus stays in the row', async () => {
    const tab = await gate.open();
    const { keyboard } = tab.page;
    await tab.go('accounts');
    await tab.row('main').locator('[aria-haspopup]').focus();
    await keyboard.press('Enter');
    await tab.assertFocus('[role=menuitem]');
    await keyboard.press('End');
    await tab.assertFocus('[role=menuitem].is-danger');
    await keyboard.press('Escape');
    await tab.assertFocus('[aria-haspopup]');
    await keyboard.press('Enter');
    await tab.assertFocus('[role=menuitem]');
    await keyboard.press('Home');
    await keyboard.press('Enter');
    await tab.assertFocus('input.rename');
    await keyboard.type('typed-anew');
    await keyboard.press('Enter');
    await tab.row('typed-anew').waitFor();
    await tab.assertFocus('tr:has-text("typed-anew") [aria-haspopup]');
    assert.equal(await tab.page.locator(':popover-open').count(), 0);
    assert.deepEqual(tab.errors, []);
});

test('the palette: screens, actions, arrows, Escape', async () => {
    const tab = await gate.open();
    const { keyboard } = tab.page;
    await tab.page.locator(ADD).focus();
    await keyboard.press('Control+k');
    await tab.assertFocus('dialog input');
    await keyboard.press('ArrowDown');
    await keyboard.press('ArrowDown');
    const chosen = tab.page.locator('#palette-hits [aria-selected=true]');
    const third = await tab.page.locator('nav a').nth(2).innerText();
    await eventually(async () => assert.equal(await chosen.locator('span').innerText(), third));
    await keyboard.press('Escape');
    await tab.dialog.waitFor({ state: 'detached' });
    await tab.assertFocus(ADD);
    await keyboard.press('Control+k');
    await keyboard.type('logs');
    await keyboard.press('Enter');
    await tab.page.waitForURL(/#\/logs$/);
    await tab.page.locator('.requests').waitFor();
    await keyboard.press('Control+k');
    await keyboard.type('add acc');
    await keyboard.press('Enter');
    await tab.page.locator('dialog [type=password]').waitFor();
    await keyboard.press('Escape');
    assert.deepEqual(tab.errors, []);
});

test('the focus follows a login from the code to its end', async () => {
    const tab = await gate.open();
    await tab.add('Sign in');
    await tab.submit();
    await tab.code();
    await tab.assertFocus('.login');
    gate.rig.login.deny(await tab.code());
    await tab.dialog.getByText('The login was denied').waitFor();
    await tab.assertFocus('dialog .primary');
    await tab.page.keyboard.press('Escape');
});

test('nothing moves where motion is not wanted', async () => {
    const moving = (tab) =>
        tab.page.evaluate(
            () => document.getAnimations().filter((one) => one.playState === 'running').length,
        );
    for (const [reducedMotion, moves] of Object.entries({ 'no-preference': true, 'reduce': false })) {
        const tab = await gate.open({ more: { reducedMotion } });
        await tab.add('Sign in');
        await tab.submit();
        await tab.page.locator('.pulse').waitFor();
        const check = async () => assert.equal((await moving(tab)) > 0, moves, reducedMotion);
        await (moves ? eventually(check) : check());
        await tab.page.context().close();
    }
});

// What can be pressed and is smaller. Links within a text are as high as the text.
function small(min) {
    const isSeen = (one) => one.checkVisibility() && !one.closest('.unseen, .skip');
    const whole = (one) => one.closest('label') ?? (one.matches('.row-link') ? one.closest('tr') : one);
    return [...document.querySelectorAll('a, button, select, input, textarea')]
        .filter((one) => isSeen(one) && !one.closest('p') && !one.matches('.panel-head > a'))
        .map((one) => [one, whole(one).getBoundingClientRect()])
        .filter(([, { width, height }]) => width < min || height < min)
        .map(([one, { width, height }]) => `${one.outerHTML.slice(0, 80)}: ${width} x ${height}`);
}

test('on a phone everything is large enough for a thumb', async () => {
    const tab = await gate.open({ look: 'phone', hasSteps: true });
    const assertLarge = (what) =>
        eventually(async () =>
            assert.deepEqual(await tab.page.evaluate(small, SMALLEST), [], what),
        );
    await tab.page.locator('.accounts tbody tr').first().waitFor();
    await assertLarge('the overview');
    await tab.go('accounts');
    await tab.page.locator('.accounts tbody .pick').first().click();
    await tab.page.locator('.bulk').waitFor();
    await assertLarge('a selection');
    await tab.page.getByText('Clear selection').click();
    await tab.row('old-laptop').locator('[aria-haspopup]').click();
    await tab.page.locator(':popover-open button').first().waitFor();
    await assertLarge('a menu');
    await tab.page.keyboard.press('Escape');
    for (const way of ['API key', 'Sign in', 'Import']) {
        await tab.add(way);
        await assertLarge(way);
        await tab.page.keyboard.press('Escape');
    }
    await tab.go('logs');
    await tab.page.locator('.requests tbody tr').first().waitFor();
    await assertLarge('the logs');
    await tab.page.locator('.requests tbody tr').first().click();
    await tab.page.locator('.attempts li').first().waitFor();
    await assertLarge('a request');
    await tab.page.keyboard.press('Escape');
    await tab.go('settings');
    await tab.page.locator('.settings').waitFor();
    await tab.page.getByText('this one').waitFor();
    await assertLarge('the settings');
    assert.deepEqual(tab.errors, []);
});
