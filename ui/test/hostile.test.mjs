// Whatever others write is text: names, tags, models, errors of services, their lists and addresses.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { apiError, json } from '../../tests/upstream/oauth_answers.mjs';
import { Console, eventually } from './console.mjs';

const evil = (where) =>
    `"'><img src=x onerror="window.hit='${where}'"><script>window.hit='${where}'</script>`;
// Where a name may have no such length.
const SHORT = '"><img src=x onerror=hit=1>';
let gate;
let tab;

before(async () => {
    gate = await Console.start();
    await gate.addKeyed(SHORT);
    await gate.addDeadLogin('<svg onload=hit=2>');
    tab = await gate.open();
    await tab.page.locator('.link.is-live').waitFor();
});

after(() => gate?.stop());

// On what is shown now, nothing of theirs has become an element or has run.
async function assertInert(what) {
    assert.equal(await tab.page.locator('img, iframe, main script, svg[onload]').count(), 0, what);
    assert.equal(await tab.page.locator('main b:text-is("tag")').count(), 0, what);
    assert.equal(await tab.page.evaluate(() => window.hit), undefined, what);
    assert.deepEqual(tab.errors, [], what);
}

const isSeen = (text) => tab.page.getByText(text, { exact: false }).first().waitFor();

test('names and tags of accounts', async () => {
    for (const screen of ['overview', 'accounts']) {
        await tab.go(screen);
        await tab.row(SHORT).waitFor();
        await tab.row('<svg onload').waitFor();
        await assertInert(screen);
    }
    await tab.menu(SHORT, 'Limits and tags');
    await isSeen(`Limits and tags of ${SHORT}`);
    await tab.dialog.getByLabel('Tags').fill('"><b>tag</b>');
    await tab.submit();
    await tab.dialog.getByRole('alert').waitFor(); // the gateway takes no such tag
    await assertInert('the limits');
    await tab.page.keyboard.press('Escape');
    await tab.menu(SHORT, 'Delete');
    await tab.toast(`${SHORT} deleted`);
    await assertInert('a notice');
    await tab.page.locator('.toast button').click();
    await tab.row(SHORT).waitFor();
});

test('models that clients ask for, and what services answer', async () => {
    const model = '<img/src=x/onerror=hit=3>';
    gate.rig.mock.when(model, apiError(400, '<script>hit=4</script>', evil('error')));
    await gate.chat(model);
    await tab.go('logs');
    const row = tab.page.locator('.requests tr', { hasText: model });
    await row.waitFor();
    await assertInert('a row');
    await row.click();
    await tab.page.locator('.attempts li').first().waitFor();
    await isSeen("window.hit='error'");
    await assertInert('an explanation');
    await tab.page.keyboard.press('Escape');
    await tab.go(`logs?model=${encodeURIComponent(model)}`);
    const chosen = tab.page.getByLabel('Model');
    await eventually(async () => assert.equal(await chosen.inputValue(), model));
    await row.waitFor();
    await assertInert('a filter');
    await tab.go('overview');
    await tab.page.locator('.requests tr', { hasText: model }).waitFor();
    await assertInert('the overview');
});

test('a test that fails with words of the service', async () => {
    gate.rig.mock.otherwise((request) =>
        request.method === 'GET'
            ? json(200, { object: 'list', data: [{ id: evil('list'), object: 'model' }] })
            : apiError(401, evil('code'), evil('message')),
    );
    await tab.go('accounts');
    await tab.add('API key');
    await tab.dialog.getByLabel('Provider').selectOption('openai');
    await tab.dialog.getByLabel('Name').fill('<i>new');
    await tab.dialog.locator('[type=password]').fill('sk-any');
    await tab.submit();
    await tab.dialog.getByText('Which model').waitFor();
    await tab.dialog.getByLabel('Model for the test').fill('gpt-4o');
    await tab.submit();
    await isSeen("window.hit='message'");
    await assertInert('a test that failed');
    await tab.page.keyboard.press('Escape');
    await tab.row('<i>new').waitFor();
    await assertInert('a last error');
});

test('a login service that gives a script in place of an address', async () => {
    const { login } = gate.rig;
    login.mock.whenPath(
        '/api/v1/oauth2/device/code',
        json(200, {
            device_code: 'device-1',
            user_code: '<b>CODE',
            verification_uri: 'javascript:window.hit=5',
            verification_uri_complete: 'javascript:window.hit=6',
            expires_in: 900,
            interval: 60,
        }),
    );
    await tab.go('accounts');
    await tab.add('Sign in');
    await tab.submit();
    await tab.page.locator('#user-code, dialog [role=alert]').first().waitFor();
    assert.equal(await tab.page.locator('a[href^="javascript"]').count(), 0);
    await assertInert('a login');
    await tab.page.keyboard.press('Escape');
});

// Until the page has heard of it.
const goTo = (hash) =>
    new Promise((done) => {
        addEventListener('hashchange', () => setTimeout(done), { once: true });
        location.hash = `#/${hash}`;
    });

test('files, searches and addresses', async () => {
    await tab.go('accounts');
    await tab.add('Import');
    const name = '<img src=x onerror=hit=7>.json';
    const file = { name, mimeType: 'application/json', buffer: Buffer.from('{ nonsense') };
    await tab.page.locator('[type=file]').setInputFiles(file);
    await isSeen(name);
    await assertInert('a file');
    await tab.page.keyboard.press('Escape');
    await tab.page.keyboard.press('Control+k');
    await tab.page.keyboard.type('<img src=x onerror=hit=8>zzz');
    await isSeen('Nothing matches');
    await assertInert('the palette');
    await tab.page.keyboard.press('Escape');
    const evilQuery = 'accounts?q=<img src=x onerror=hit=9>';
    const addresses = [evilQuery, 'logs?id=<script>', 'scripts/%E0%A4%A', '%%%?='];
    for (const to of addresses) {
        await tab.page.evaluate(goTo, to);
        await tab.page.locator('main .panel, main section, main div').first().waitFor();
        await assertInert(to);
        await tab.page.keyboard.press('Escape');
    }
});
