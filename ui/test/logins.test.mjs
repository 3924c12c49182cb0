// Accounts by a login: the code, how it ends, and who does not want it any more.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Console, eventually } from './console.mjs';

let gate;
let tab;

before(async () => {
    gate = await Console.start();
    await gate.addDeadLogin('laptop');
    tab = await gate.open();
    await tab.go('accounts');
    await tab.row('laptop').waitFor();
});

after(() => gate?.stop());
afterEach(() => assert.deepEqual(tab.errors, []));

test('add by login: QR, code, and the account appears', async () => {
    await tab.add('Sign in');
    await tab.page.locator('dialog').getByLabel('Name').fill('phone');
    await tab.submit();
    const code = await tab.code();
    await tab.page.locator('dialog svg.qr path').waitFor({ state: 'attached' });
    gate.rig.login.approve(code, 'phone');
    await tab.toast('phone is signed in');
    await tab.row('phone').locator('.state.is-serving').waitFor();
});

test('a login that is denied, then one that expires, then none', async () => {
    await tab.add('Sign in');
    await tab.submit();
    const first = await tab.code();
    gate.rig.login.deny(first);
    await tab.page.locator('dialog').getByText('denied').first().waitFor();
    await tab.assertAccessible('a denied login');
    await tab.submit();
    const second = await tab.code(first);
    gate.rig.login.expire(second);
    await tab.page.locator('dialog').getByText('has expired').waitFor();
    await tab.submit();
    await tab.code(second);
    await tab.page.keyboard.press('Escape');
    await tab.page.locator('dialog').waitFor({ state: 'detached' });
});

test('a code that expires by itself; a new one works', async () => {
    gate.rig.login.codeLifetime = 3; // seconds
    await tab.add('Sign in');
    await tab.dialog.getByLabel('Name').fill('patient');
    await tab.submit();
    const first = await tab.code();
    await tab.dialog.getByText(/expires in 0:0[0-3]/).waitFor();
    await tab.dialog.getByText('has expired').waitFor();
    await tab.assertAccessible('an expired login');
    assert.equal(await tab.page.locator('#user-code').count(), 0);
    gate.rig.login.codeLifetime = 900;
    await tab.submit();
    gate.rig.login.approve(await tab.code(first), 'patient');
    await tab.toast('patient is signed in');
    await tab.row('patient').locator('.state.is-serving').waitFor();
});

test('who closes the dialog gets no account', async () => {
    await tab.add('Sign in');
    await tab.dialog.getByLabel('Name').fill('regret');
    await tab.submit();
    const code = await tab.code();
    const cancelled = tab.page.waitForResponse((one) => one.request().method() === 'DELETE');
    await tab.page.keyboard.press('Escape');
    assert.equal((await cancelled).status(), 200);
    gate.rig.login.approve(code, 'regret');
    const { logins } = await gate.rig.ask('GET', '/logins');
    assert.equal(logins.find((one) => one.user_code === code).state, 'cancelled');
    assert.ok(!logins.some((one) => one.state === 'pending'));
    assert.equal((await gate.rig.ask('GET', '/accounts?q=regret')).total, 0);
});

// How many logins were cancelled, once none is pending any more.
async function cancelled() {
    let states;
    await eventually(async () => {
        const { logins } = await gate.rig.ask('GET', '/logins');
        states = logins.map((one) => one.state);
        assert.ok(!states.includes('pending'), String(states));
    });
    return states.filter((one) => one === 'cancelled').length;
}

test('closed in the very moment in which the code is drawn', async () => {
    const before = await cancelled();
    await tab.page.evaluate(() => {
        const watch = new MutationObserver(() => {
            if (document.querySelector('#user-code')) {
                watch.disconnect();
                document.querySelector('dialog').dispatchEvent(new Event('cancel', { cancelable: true }));
            }
        });
        watch.observe(document, { childList: true, subtree: true });
    });
    await tab.add('Sign in');
    const started = tab.page.waitForResponse((one) => one.request().method() === 'POST');
    await tab.submit();
    assert.equal((await started).status(), 201);
    await tab.dialog.waitFor({ state: 'detached' });
    assert.equal(await cancelled(), before + 1);
});

test('closed before the gateway has the code', async () => {
    const before = await cancelled();
    let answer;
    const asked = new Promise((done) => {
        void tab.page.route('**/admin/api/logins', (route) => {
            answer = async () => route.fulfill({ response: await route.fetch() });
            done();
        });
    });
    await tab.add('Sign in');
    await tab.submit();
    await asked;
    await tab.page.keyboard.press('Escape');
    await tab.dialog.waitFor({ state: 'detached' });
    const gone = tab.page.waitForResponse((one) => one.request().method() === 'DELETE');
    await answer();
    assert.equal((await gone).status(), 200);
    await tab.page.unroute('**/admin/api/logins');
    assert.equal(await cancelled(), before + 1);
});

test('sign in again: the account stays the same', async () => {
    const [before] = (await gate.rig.ask('GET', '/accounts?q=laptop')).accounts;
    const { total } = await gate.rig.ask('GET', '/accounts');
    await tab.row('laptop').getByText('Sign in again').click();
    gate.rig.login.approve(await tab.code(), 'laptop-2');
    await tab.row('laptop').locator('.state.is-serving').waitFor();
    const after = await gate.rig.account(before.id);
    assert.equal(after.state, 'serving');
    assert.deepEqual(
        [after.alias, after.tags, after.created_at],
        [before.alias, before.tags, before.created_at],
    );
    assert.equal((await gate.rig.ask('GET', '/accounts')).total, total);
    await gate.rig.ask('POST', `/accounts/${before.id}/test`, {}); // the new credential is taken
});

test('an account that cannot be signed in to says why', async () => {
    await tab.menu('laptop', 'Sign in again');
    gate.rig.login.deny(await tab.code());
    await tab.dialog.getByText('denied').first().waitFor();
    await tab.page.keyboard.press('Escape');
    await tab.dialog.waitFor({ state: 'detached' });
    assert.equal((await gate.rig.ask('GET', '/accounts?q=laptop')).accounts[0].state, 'serving');
});

test('a gateway that was started anew during a login says so', async () => {
    await tab.add('Sign in');
    await tab.submit();
    await tab.code();
    await gate.rig.restart();
    await tab.dialog.getByText('started anew').waitFor();
    await tab.submit();
    await tab.code();
    await tab.page.keyboard.press('Escape');
});
