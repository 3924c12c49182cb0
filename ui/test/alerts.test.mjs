// What the overview says is wrong, in both languages, and the way out that each of it offers.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Console, eventually } from './console.mjs';

const NO_LATIN_MARKS = /[\u4e00-\u9fff][,;:!?](?!\d)/;

let gate;
let keyed;
let dead;

before(async () => {
    gate = await Console.start();
    keyed = (await gate.addKeyed('work')).id;
    dead = await gate.addDeadLogin('old-laptop');
});

after(() => gate?.stop());

// A tab to which the gateway says that this is wrong.
async function warned(alerts, how) {
    const tab = await gate.open(how);
    await tab.page.route('**/admin/api/alerts', (route) =>
        route.fulfill({
            json: {
                alerts: alerts.map((one, at) => ({
                    name: `alert:${at}`,
                    level: 'warn',
                    title: `English title ${at}`,
                    text: `English text ${at}`,
                    since: Date.now(),
                    ...one,
                })),
            },
        }),
    );
    await tab.page.reload();
    await tab.page.locator('.alerts li').first().waitFor();
    return tab;
}

const about = (code, values = {}) => ({ code, values });
// The gateway names an account too: the alerts may be there before the accounts are.
const ofLogin = () => ({ account: dead, alias: 'old-laptop' });
const ofKey = () => ({ account: keyed, alias: 'work' });
const every = () => [
    about('needs_sign_in', { ...ofLogin(), why: 'the token is not accepted any more' }),
    about('login_refused', { ...ofLogin(), why: 'the service says no' }),
    about('key_refused', { ...ofKey(), why: 'the service says no' }),
    about('quota_used', { ...ofKey(), percent: 92, kind: 'chat' }),
    about('pool_quota_used', { provider: 'openai', percent: 85, kind: 'chat' }),
    about('all_down', { provider: 'openai', n: 2 }),
    about('scripts_disk'),
    about('scripts_failed', { generation: 7 }),
    about('storage', { why: 'no space left on device' }),
    about('of_a_later_version'),
];

const WAYS = [
    'Sign in again',
    'Sign in again',
    'Change key',
    'Show account',
    'Add account',
    'Show accounts',
    'Open scripts',
    'Open scripts',
];

const texts = (tab) => tab.page.locator('.alert-text').allInnerTexts();

test('every alert says what it is about, and what to do', async () => {
    const tab = await warned(every());
    const said = await texts(tab);
    assert.equal(said.length, every().length);
    assert.ok(!said.join().match(/\{\w+\}/), said.join());
    assert.match(said[0], /^old-laptop needs sign-in\s+The token is not accepted any more\.$/);
    assert.match(said[2], /^The key of work is refused/);
    assert.match(said[3], /^work has used 92% of its chat quota for today/);
    assert.match(said[5], /^All 2 accounts of openai are down/);
    assert.match(said[9], /^English title 9\s+English text 9$/, 'what has no words of its own');
    const ways = tab.page.locator('.alerts button');
    await eventually(async () => assert.deepEqual(await ways.allInnerTexts(), WAYS));
    await tab.assertAccessible('alerts');
    await tab.page.context().close();
});

for (const look of ['zh', 'phone-dark-zh']) {
    test(`the same in Chinese, ${look}`, async () => {
        const tab = await warned(every(), { look });
        const said = await texts(tab);
        assert.ok(!said.join().match(/\{\w+\}/), said.join());
        for (const one of said.slice(0, 8)) {
            assert.match(one, /[\u4e00-\u9fff]/);
            assert.doesNotMatch(one, NO_LATIN_MARKS);
        }
        const over = () => document.documentElement.scrollWidth - innerWidth;
        await eventually(async () => assert.equal(await tab.page.evaluate(over), 0));
        await tab.assertAccessible('alerts in Chinese');
        await tab.shot(`${look}-alerts`);
        await tab.page.context().close();
    });
}

test('what is worse comes first', async () => {
    const [first, second] = every().slice(3);
    const tab = await warned([first, { ...second, level: 'error' }]);
    const said = await texts(tab);
    assert.match(said[0], /^The accounts of openai/);
    assert.match(said[1], /^work has used/);
    await tab.page.context().close();
});

test('the ways out lead there', async () => {
    const tab = await warned(every().slice(2));
    const press = (name) => tab.page.locator('.alerts').getByRole('button', { name, exact: true });
    await press('Change key').click();
    await tab.assertFocus('dialog [type=password]');
    await tab.page.keyboard.press('Escape');
    await press('Add account').click();
    await tab.dialog.locator('.ways').waitFor();
    await tab.page.keyboard.press('Escape');
    const names = () => tab.page.locator('.accounts tbody .alias').allInnerTexts();
    await press('Show account').click();
    await eventually(async () => assert.deepEqual(await names(), ['work']));
    await tab.go('overview');
    await press('Show accounts').click();
    await eventually(async () => assert.deepEqual((await names()).sort(), ['openai/0', 'work']));
    await tab.go('overview');
    await press('Open scripts').first().click();
    await tab.page.locator('.scripts-main').waitFor();
    assert.deepEqual(tab.errors, []);
    await tab.page.context().close();
});

test('an alert goes away when its account has been signed in to, or is disabled', async () => {
    const tab = await warned([
        about('needs_sign_in', { ...ofLogin(), why: 'the token is dead' }),
        about('key_refused', { ...ofKey(), why: 'the service says no' }),
    ]);
    await tab.page.locator('.alerts button', { hasText: 'Sign in again' }).click();
    gate.rig.login.approve(await tab.code(), 'old-laptop-2');
    await tab.toast('old-laptop is signed in');
    await tab.page.locator('.alerts', { hasText: 'old-laptop' }).waitFor({ state: 'detached' });
    await gate.rig.ask('PATCH', `/accounts/${keyed}`, { enabled: false });
    await tab.page.locator('.alerts').waitFor({ state: 'detached' });
    assert.deepEqual(tab.errors, []);
    await tab.page.context().close();
});
