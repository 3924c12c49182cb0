// What happens while the console is open: a restart, a stream that is blocked, a hidden tab, another
// tab.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { Console, eventually } from './console.mjs';

let gate;

before(async () => {
    gate = await Console.start();
});

after(() => gate?.stop());

const requests = (tab) => tab.page.locator('.requests tbody tr');
const accounts = (tab) => tab.page.locator('.accounts tbody tr');
const link = (tab, state) => tab.page.locator(`.link.is-${state}`).waitFor({ timeout: 30_000 });
const pathOf = (request) => new URL(request.url()).pathname;
const isStream = (request) => pathOf(request) === '/admin/api/events';

// Waits for that many rows, and no more; without a number as many as the gateway knows.
async function allOf(rows, count) {
    const known = count ?? (await gate.rig.ask('GET', '/requests?limit=50')).requests.length;
    await eventually(async () => assert.equal(await rows.count(), known));
    return known;
}

test('a restart while it is open: it comes back by itself, and shows what is', async () => {
    await gate.addKeyed('stays');
    const tab = await gate.open();
    await link(tab, 'live');
    await gate.chat('echo');
    await requests(tab).first().waitFor();
    await tab.row('stays').waitFor();
    const [known, shown] = [await accounts(tab).count(), await requests(tab).count()];
    await gate.rig.gateway.stop();
    await tab.page.locator('.link:not(.is-live)').waitFor();
    await gate.rig.restart();
    await link(tab, 'live');
    // One more, and nothing is doubled: not the rows, not the accounts, not the counts.
    await gate.chat('echo');
    await requests(tab).nth(shown).waitFor();
    await tab.page.locator('.figures dd').first().filter({ hasText: /^2$/ }).waitFor();
    await allOf(requests(tab), shown + 1);
    await allOf(accounts(tab), known);
    await tab.go('logs');
    await allOf(requests(tab), shown + 1);
    assert.deepEqual(tab.errors, []);
});

test('without the stream it asks every five seconds, and takes the stream when it can', async () => {
    const tab = await gate.open();
    const context = tab.page.context();
    await context.route('**/admin/api/events', (route) => route.abort());
    await tab.go('logs');
    await tab.page.reload();
    await link(tab, 'polling');
    const before = await allOf(requests(tab));
    await gate.chat('echo');
    await requests(tab).nth(before).waitFor();
    await tab.go('accounts');
    const { id } = await gate.addKeyed('polled');
    await tab.row('polled').waitFor();
    await gate.rig.ask('PATCH', `/accounts/${id}`, { enabled: false });
    await tab.row('polled').locator('.state.is-disabled').waitFor();
    await tab.assertAccessible('polling');
    await context.unroute('**/admin/api/events');
    await link(tab, 'live');
    assert.deepEqual(tab.errors, []);
});

test('a hidden tab gives its stream back, and has all when it is seen again', async () => {
    const tab = await gate.open();
    await tab.page.clock.install();
    await tab.page.reload();
    await link(tab, 'live');
    const before = await allOf(requests(tab));
    const ended = tab.page.waitForEvent('requestfailed', isStream);
    await tab.pause(); // the seconds below are not those that the machine takes
    await tab.hide(true);
    await tab.page.clock.fastForward(9000);
    await link(tab, 'live'); // a look at another tab costs nothing
    await tab.page.clock.fastForward(2000);
    await ended;
    await link(tab, 'paused');
    await gate.chat('echo');
    let asked = 0;
    tab.page.on('request', () => asked++);
    await tab.page.clock.fastForward(120_000);
    assert.equal(asked, 0, 'a hidden tab asks');
    await tab.page.clock.resume();
    await tab.hide(false);
    await requests(tab).nth(before).waitFor();
    await link(tab, 'live');
    assert.deepEqual(tab.errors, []);
});

test('a tab that was opened in the background gives its stream back too', async () => {
    const tab = await gate.open();
    await tab.page.clock.install();
    await tab.page.addInitScript(() => {
        Object.defineProperty(document, 'hidden', { value: true, configurable: true });
    });
    await tab.page.reload();
    await link(tab, 'live');
    const ended = tab.page.waitForEvent('requestfailed', isStream);
    await tab.page.clock.fastForward(11_000);
    await ended;
    await link(tab, 'paused');
    assert.deepEqual(tab.errors, []);
});

// The page's clock runs, the gateway's does not: in the page's time it says nothing for 40 seconds.
test('a connection that says nothing any more is made anew', async () => {
    const tab = await gate.open();
    await tab.page.clock.install();
    await tab.page.reload();
    await link(tab, 'live');
    // Should the gateway say something in between, the 40 seconds begin anew.
    await eventually(() =>
        Promise.all([
            tab.page.waitForRequest(isStream, { timeout: 4000 }),
            tab.page.clock.fastForward(41_000),
        ]),
    );
    await link(tab, 'live');
    assert.deepEqual(tab.errors, []);
});

test('what one tab changes, the other shows', async () => {
    const tab = await gate.open();
    const other = await gate.open({ context: tab.page.context() });
    await tab.go('accounts');
    await other.go('accounts');
    await other.row('stays').waitFor();
    await tab.page.bringToFront(); // what is behind is drawn once a second
    await tab.menu('stays', 'Rename');
    await tab.page.keyboard.type('renamed');
    await tab.page.keyboard.press('Enter');
    await other.row('renamed').waitFor();
    await other.page.bringToFront();
    await other.menu('renamed', 'Disable');
    await tab.row('renamed').locator('.state.is-disabled').waitFor();
    await tab.page.bringToFront();
    await tab.menu('renamed', 'Delete');
    await other.row('renamed').waitFor({ state: 'detached' });
    await other.page.bringToFront();
    await other.page.locator('.chip', { hasText: 'Deleted' }).click();
    await other.menu('renamed', 'Remove for ever');
    await other.page.locator('dialog .danger').click();
    await tab.page.locator('.chip', { hasText: 'Deleted' }).waitFor({ state: 'detached' });
    assert.deepEqual([...tab.errors, ...other.errors], []);
});
