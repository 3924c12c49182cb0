// The screen of the accounts: everything that can be done to one, to many, and to add more.
import assert from 'node:assert/strict';
import { after, afterEach, before, test } from 'node:test';
import { Console, eventually, WRONG_KEY } from './console.mjs';

const EVIL = '<img src=x onerror=alert(1)>';
let gate;
let tab;

before(async () => {
    gate = await Console.start();
    await gate.addKeyed('alpha', { limits: { chat: { rpm: 60, rpd: 2000 } } });
    await gate.addKeyed('beta');
    await gate.addKeyed(EVIL);
    await gate.addDeadLogin('laptop');
    tab = await gate.open();
    await tab.go('accounts');
    await tab.row('alpha').waitFor();
});

after(() => gate?.stop());
afterEach(() => assert.deepEqual(tab.errors, []));

test('what people write is text', async () => {
    await tab.page.locator('.alias', { hasText: EVIL }).waitFor();
    assert.equal(await tab.page.locator('main img').count(), 0);
});

test('rename in the row; Escape keeps the old name', async () => {
    await tab.menu('beta', 'Rename');
    await tab.page.keyboard.type('gamma');
    await tab.page.keyboard.press('Enter');
    await tab.row('gamma').waitFor();
    await tab.menu('gamma', 'Rename');
    await tab.page.keyboard.type('delta');
    await tab.page.keyboard.press('Escape');
    await tab.row('gamma').waitFor();
    assert.equal(await tab.row('delta').count(), 0);
});

test('disable and enable', async () => {
    await tab.menu('gamma', 'Disable');
    await tab.row('gamma').locator('.state.is-disabled').waitFor();
    await tab.menu('gamma', 'Enable');
    await tab.row('gamma').locator('.state.is-serving').waitFor();
});

test('filters: / goes to the field, chips choose a state, both are in the address', async () => {
    await tab.page.keyboard.press('/');
    await tab.page.keyboard.type('ALPH');
    await tab.row('gamma').waitFor({ state: 'detached' });
    await tab.page.waitForURL(/q=ALPH/);
    await tab.page.keyboard.press('Escape');
    await tab.row('gamma').waitFor();
    await tab.page.locator('.chip', { hasText: 'Needs sign-in' }).click();
    await tab.row('gamma').waitFor({ state: 'detached' });
    assert.equal(await tab.page.locator('.accounts tbody tr').count(), 1);
    await tab.page.reload();
    await tab.row('laptop').waitFor();
    assert.equal(await tab.page.locator('.accounts tbody tr').count(), 1);
    await tab.page.locator('.chip', { hasText: 'Needs sign-in' }).click();
    await tab.row('gamma').waitFor();
});

test('bulk: what was refused is said, and a deletion is taken back', async () => {
    const bar = tab.page.locator('.bulk');
    await tab.row('echo/0').locator('input').check();
    await tab.row('gamma').locator('input').check();
    await bar.getByText('Delete').click();
    await tab.toast('1 refused: echo/0');
    await tab.toast('1 account deleted');
    await tab.row('gamma').waitFor({ state: 'detached' });
    await tab.page.locator('.toast', { hasText: '1 account deleted' }).getByText('Undo').click();
    await tab.row('gamma').waitFor();
});

test('bulk: disable and enable, each taken back', async () => {
    const bar = tab.page.locator('.bulk');
    const states = (name) => tab.row(name).locator('.state').getAttribute('class');
    await tab.menu('alpha', 'Disable');
    await tab.row('alpha').locator('.is-disabled').waitFor();
    for (const name of ['alpha', 'gamma']) {
        await tab.row(name).locator('input').check();
    }
    await tab.shot('bulk');
    await tab.assertAccessible('a selection');
    await bar.getByText('Disable').click();
    await tab.toast('2 accounts disabled');
    await tab.row('gamma').locator('.is-disabled').waitFor();
    await tab.page.locator('.toast', { hasText: '2 accounts disabled' }).getByText('Undo').click();
    await tab.row('gamma').locator('.is-serving').waitFor();
    assert.match(await states('alpha'), /is-disabled/); // it was that before
    await tab.row('alpha').locator('input').check();
    await bar.getByText('Enable').click();
    await tab.row('alpha').locator('.is-serving').waitFor();
});

test('bulk: what is deleted can be restored together', async () => {
    for (const name of ['alpha', 'gamma']) {
        await tab.row(name).locator('input').check();
    }
    await tab.page.locator('.bulk').getByText('Delete').click();
    await tab.toast('2 accounts deleted');
    await tab.page.locator('.chip', { hasText: 'Deleted' }).click();
    for (const name of ['alpha', 'gamma']) {
        await tab.row(name).waitFor();
    }
    await tab.page.getByLabel('Select all accounts').check();
    await tab.page.locator('.bulk').getByText('Restore').click();
    await tab.toast('2 accounts restored');
    await tab.page.locator('.chip', { hasText: 'Deleted' }).click();
    await tab.row('gamma').waitFor();
});

test('other notices do not push out what can be taken back', async () => {
    await tab.menu('gamma', 'Delete');
    for (const tag of ['one', 'two', 'three', 'four']) {
        await tab.menu('alpha', 'Limits and tags');
        await tab.dialog.getByLabel('Tags').fill(tag);
        await tab.submit();
        await tab.toast('alpha saved');
    }
    await tab.page.locator('.toast', { hasText: 'gamma deleted' }).getByText('Undo').click();
    await tab.row('gamma').waitFor();
});

test('a deletion can be taken back for ten seconds, and restored after them', async () => {
    const own = await gate.open();
    await own.page.clock.install();
    await own.go('accounts');
    await own.row('gamma').waitFor();
    await own.pause(); // the seconds below are not those that the machine takes
    await own.menu('gamma', 'Delete');
    const undo = own.page.locator('.toast', { hasText: 'gamma deleted' }).getByText('Undo');
    await undo.waitFor();
    await own.page.clock.fastForward(9500);
    await undo.click();
    await own.row('gamma').waitFor();
    await own.menu('gamma', 'Delete');
    await undo.waitFor();
    await own.page.clock.fastForward(10_500);
    await undo.waitFor({ state: 'detached' });
    await own.page.clock.resume();
    await own.page.locator('.chip', { hasText: 'Deleted' }).click();
    await own.row('gamma').getByText('Restore').click();
    await own.row('gamma').waitFor({ state: 'detached' });
    await own.page.getByText('Clear filter').click();
    await own.row('gamma').locator('.state.is-serving').waitFor();
    assert.deepEqual(own.errors, []);
    await own.page.context().close();
});

test('a list that was asked for before does not take back what was done since', async () => {
    let release;
    const isReleased = new Promise((done) => (release = done));
    let tell;
    const isHeld = new Promise((done) => (tell = done));
    await tab.page.route('**/admin/api/accounts?*', async (route) => {
        const response = await route.fetch();
        tell();
        await isReleased;
        await route.fulfill({ response });
    });
    const { id } = await gate.addKeyed('stale-one');
    await tab.row('stale-one').waitFor();
    // What is done to many at once has the list read again.
    await tab.row('alpha').locator('input').check();
    await tab.page.locator('.bulk').getByText('Enable').click();
    await isHeld;
    await gate.rig.ask('PATCH', `/accounts/${id}`, { alias: 'fresh-one' });
    await tab.row('fresh-one').waitFor();
    release();
    await tab.toast('1 account enabled');
    assert.equal(await tab.row('fresh-one').count(), 1);
    assert.equal(await tab.row('stale-one').count(), 0);
    await tab.page.unroute('**/admin/api/accounts?*');
    await gate.rig.ask('DELETE', `/accounts/${id}?purge=1`);
    await tab.row('fresh-one').waitFor({ state: 'detached' });
});

test('delete with undo; only what cannot be undone asks', async () => {
    await tab.menu('gamma', 'Delete');
    await tab.row('gamma').waitFor({ state: 'detached' });
    await tab.page.locator('.toast', { hasText: 'gamma deleted' }).getByText('Undo').click();
    await tab.row('gamma').waitFor();
    await tab.menu('gamma', 'Delete');
    await tab.page.locator('.chip', { hasText: 'Deleted' }).click();
    await tab.menu('gamma', 'Remove for ever');
    await tab.assertAccessible('the question');
    await tab.page.locator('dialog .danger').click();
    await tab.toast('gamma removed for ever');
    await tab.page.locator('.chip', { hasText: 'Deleted' }).click();
    assert.equal((await gate.rig.call('GET', '/accounts?q=gamma')).json.total, 0);
});

test('limits: what the page does not show stays as it is', async () => {
    const search = { rpd: 7 };
    const { id } = await gate.addKeyed('limited', { limits: { chat: { rpm: 10 }, search } });
    await tab.menu('limited', 'Limits and tags');
    await tab.assertAccessible('the limits');
    await tab.page.locator('dialog').getByLabel('Requests per day').fill('500');
    await tab.page.locator('dialog').getByLabel('Tags').fill('paid eu');
    await tab.submit();
    await tab.toast('limited saved');
    const account = await gate.rig.account(id);
    assert.deepEqual(account.limits, { chat: { rpm: 10, rpd: 500 }, search });
    assert.deepEqual(account.tags, ['paid', 'eu']);
});

test('an account that is there gets another key', async () => {
    const { id } = await gate.addKeyed('rekeyed', { api_key: WRONG_KEY });
    await tab.menu('rekeyed', 'Change key');
    await tab.assertFocus('dialog [type=password]');
    await tab.assertAccessible('another key');
    await tab.dialog.getByLabel('New API key').fill('sk-right-now');
    await tab.submit();
    await tab.toast('rekeyed saved');
    const result = await gate.rig.ask('POST', `/accounts/${id}/test`, { model: 'gpt-4o' });
    assert.equal(result.ok, true, JSON.stringify(result));
});

test('add by key: a wrong one never serves, the corrected one does', async () => {
    await tab.add('API key');
    const dialog = tab.page.locator('dialog');
    await dialog.getByLabel('Provider').selectOption('openai');
    await dialog.getByLabel('Name').fill('fresh');
    await dialog.locator('[type=password]').fill(WRONG_KEY);
    await tab.submit();
    await dialog.getByText('Which model').waitFor();
    await dialog.getByLabel('Model for the test').fill('gpt-4o');
    await tab.submit();
    await dialog.getByText('fresh does not work').waitFor();
    await tab.assertAccessible('a key that is refused');
    await tab.row('fresh').locator('.state.is-disabled').waitFor();
    await dialog.locator('[type=password]').fill('sk-right');
    await tab.submit();
    await tab.toast('fresh works');
    await tab.row('fresh').locator('.state.is-serving').waitFor();
});

// The providers that the dialog offers for a way of adding.
const offered = () => tab.dialog.locator('select option').allInnerTexts();
const WAYS = { 'API key': 'api_key', 'Sign in': 'login', 'Import': 'import' };

test('each way of adding offers those providers that take it', async () => {
    const { providers } = await gate.rig.ask('GET', '/providers');
    await tab.page.locator('.panel-head .primary').click();
    for (const [name, kind] of Object.entries(WAYS)) {
        await tab.page.locator('.ways button', { hasText: name }).click();
        const takers = providers.filter((one) => one.kinds.includes(kind)).map((one) => one.name);
        assert.ok(takers.length > 0, kind);
        await eventually(async () => {
            const shown = await offered();
            assert.deepEqual(shown.length > 0 ? shown : takers.slice(0, 1), takers, kind);
        });
    }
    await tab.page.keyboard.press('Escape');
});

test('a way that no provider takes is not offered', async () => {
    const own = await gate.open();
    await own.page.route('**/admin/api/providers', async (route) => {
        const response = await route.fetch();
        const { providers } = await response.json();
        const keyed = providers.map((one) => ({ ...one, kinds: ['api_key'] }));
        await route.fulfill({ response, json: { providers: keyed } });
    });
    await own.go('accounts');
    await own.page.reload();
    await own.page.locator('.panel-head .primary').click();
    const ways = own.page.locator('.ways button');
    await eventually(async () => assert.deepEqual(await ways.allInnerTexts(), ['API key']));
    await own.page.context().close();
});

const creds = (name, text) => ({
    name,
    mimeType: 'application/json',
    buffer: Buffer.from(text),
});
const issued = (name) => JSON.stringify(gate.rig.login.issue(name));

test('import: what is no login is refused before it is sent', async () => {
    await tab.add('Import');
    await tab.page.locator('textarea').fill('{ nonsense');
    await tab.submit();
    await tab.dialog.getByText('this is no oauth_creds.json').waitFor();
    const files = [creds('a.json', '[1, 2]'), creds('b.json', ''), creds('good.json', issued('good'))];
    await tab.page.locator('[type=file]').setInputFiles(files);
    await tab.dialog.getByText('a.json, b.json: this is no oauth_creds.json').waitFor();
    const listed = tab.page.locator('.file-list li');
    await eventually(async () => assert.deepEqual(await listed.allInnerTexts(), ['good.json']));
    await tab.assertAccessible('files that are no logins');
    await tab.dialog.getByLabel('Leave out good.json').click();
    await tab.page.locator('.file-list').waitFor({ state: 'detached' });
    await tab.page.locator('textarea').fill('{"access_token": 7}');
    await tab.submit();
    await tab.dialog.getByText('1 login was refused').waitFor();
    await tab.page.keyboard.press('Escape');
    assert.equal((await gate.rig.ask('GET', '/accounts?q=good')).total, 0);
});

test('import by paste and by file; a second time is a conflict', async () => {
    const pasted = issued('pasted');
    await tab.add('Import');
    await tab.page.locator('textarea').fill(pasted);
    await tab.page.locator('[type=file]').setInputFiles(creds('qwen_creds_desk.json', issued('desk')));
    await tab.page.locator('.file-list li').waitFor();
    await tab.submit();
    await tab.toast('2 accounts imported');
    await tab.row('desk').waitFor();
    await tab.add('Import');
    await tab.page.locator('textarea').fill(pasted);
    await tab.submit();
    await tab.dialog.getByText('1 login was refused').waitFor();
    await tab.page.keyboard.press('Escape');
});

test('import of a list: what is good comes in, the rest is named', async () => {
    const one = JSON.parse(issued('list-1'));
    const list = [
        { alias: 'list-one', oauth: one },
        { alias: 'list-two', oauth: JSON.parse(issued('list-2')) },
        { alias: 'list-again', oauth: one },
    ];
    await tab.add('Import');
    await tab.page.locator('textarea').fill(JSON.stringify(list));
    await tab.submit();
    await tab.toast('2 accounts imported');
    await tab.dialog.getByText('list-again: ').waitFor();
    await tab.page.keyboard.press('Escape');
    await tab.row('list-one').waitFor();
    await tab.row('list-two').waitFor();
    assert.equal(await tab.row('list-again').count(), 0);
});

test('limits stay open when the account leaves the filter', async () => {
    await tab.page.locator('.chip', { hasText: 'Serving' }).click();
    await tab.menu('list-one', 'Limits and tags');
    await tab.dialog.getByLabel('Requests per day').fill('700');
    const { id } = (await gate.rig.ask('GET', '/accounts?q=list-one')).accounts[0];
    await gate.rig.ask('PATCH', `/accounts/${id}`, { enabled: false });
    await tab.row('list-one').waitFor({ state: 'detached' });
    await tab.submit();
    await tab.toast('list-one saved');
    assert.equal((await gate.rig.account(id)).limits.chat.rpd, 700);
    await tab.page.locator('.chip', { hasText: 'Serving' }).click();
});

test('the palette goes to an account by keyboard alone', async () => {
    await tab.page.keyboard.press('Control+k');
    await tab.page.keyboard.type('fresh');
    await tab.page.keyboard.press('Enter');
    await tab.row('alpha').waitFor({ state: 'detached' });
    await tab.row('fresh').waitFor();
});
