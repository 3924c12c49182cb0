// Who comes in, who does not, how a session ends, and what pages of other ports can do: nothing.
import assert from 'node:assert/strict';
import http from 'node:http';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Clock } from '../../tests/integration/accounts.mjs';
import { Console } from './console.mjs';

const HOURS = 3600 * 1000;
const clock = new Clock();
let gate;

before(async () => {
    gate = await Console.start({ env: { LLM_GATE_CLOCK_FILE: clock.path } });
});

after(() => gate?.stop());

// All that tells one answer from another.
async function answerOf(context, path) {
    const answer = await context.request.get(`${gate.origin}${path}`);
    const { date: _date, 'x-request-id': _id, ...headers } = answer.headers();
    return { status: answer.status(), headers, body: await answer.text() };
}

const over = (tab) => tab.page.getByText('This session is over').waitFor();

test('without the key there is nothing to be seen', async () => {
    const context = await gate.browser.newContext();
    const unknown = await answerOf(context, '/x/y');
    const page = await (await gate.open()).page.content();
    const asset = /assets\/app-[\w-]+\.js/.exec(page)[0];
    for (const path of ['/wrong-key/ui', '/wrong-key/ui/', '/ui/', `/ui/${asset}`, '/ui/enter/x']) {
        assert.deepEqual(await answerOf(context, path), unknown, path);
    }
    await context.close();
});

test('the key opens the console, and is in no address, script or storage', async () => {
    const tab = await gate.open();
    await tab.page.locator('.link.is-live').waitFor();
    assert.equal(tab.page.url(), `${gate.origin}/ui/`);
    const kept = await tab.page.evaluate(() => [
        document.cookie,
        JSON.stringify(localStorage),
        JSON.stringify(sessionStorage),
        document.documentElement.outerHTML,
    ]);
    assert.equal(kept[0], '');
    assert.ok(!kept.join().includes(gate.rig.key));
    assert.deepEqual(tab.errors, []);
});

test('signing out here ends the other tab too, and says how to come back', async () => {
    const tab = await gate.open();
    const other = await gate.open({ context: tab.page.context() });
    await tab.go('settings');
    const own = tab.page.locator('tr', { hasText: 'this one' });
    await own.getByText('Sign out').click();
    await over(tab);
    await over(other);
    await tab.assertAccessible('the end of a session');
    await tab.page.getByText('Try again').click();
    await tab.page.getByText('There is no session yet').waitFor();
    // Who comes back in another tab comes back here too.
    await other.page.goto(`${gate.origin}/${gate.rig.key}/ui`);
    await other.page.locator('.link.is-live').waitFor();
    await tab.page.getByText('Try again').click();
    await tab.page.locator('.link.is-live').waitFor();
});

test('another browser is signed out from the settings, and by the palette', async () => {
    const tab = await gate.open();
    const victim = await gate.open();
    await tab.go('settings');
    const others = tab.page.locator('tbody tr', { hasText: '127.0.0.1' }).filter({
        hasNotText: 'this one',
    });
    await others.first().getByText('Sign out').click(); // the newest is on top
    await over(victim);
    assert.equal(await tab.page.getByText('This session is over').count(), 0);
    const third = await gate.open();
    await tab.page.getByText('Sign out all others').click();
    await over(third);
    await tab.page.keyboard.press('Control+k');
    await tab.page.keyboard.type('sign out');
    await tab.page.keyboard.press('Enter');
    await over(tab);
});

test('after twelve hours it is over', async () => {
    const tab = await gate.open();
    clock.at(12 * HOURS - 60_000);
    await tab.go('logs');
    await tab.page.getByText('No request yet').waitFor();
    clock.at(12 * HOURS + 60_000);
    await tab.go('settings');
    await over(tab);
    await tab.assertAccessible('an expired session');
    assert.deepEqual(tab.errors, []);
});

test('what the browser describes itself as is text', async () => {
    const userAgent = 'x"><img src=x onerror=window.hit=1><script>window.hit=1</script>';
    const evil = await gate.open({ more: { userAgent } });
    const tab = await gate.open();
    await tab.go('settings');
    await tab.page.getByText('x"><img src=x').waitFor();
    assert.equal(await tab.page.locator('img').count(), 0);
    assert.equal(await tab.page.evaluate(() => window.hit), undefined);
    assert.deepEqual([...tab.errors, ...evil.errors], []);
});

// ---------------------------------------------------------------- another port of this host

const BULK = { ids: ['echo/0'], action: 'disable' };

// A page at a port of its own: of another origin, but of the same site, so that the browser sends
// even a Strict cookie along.
async function otherPort(t) {
    const server = http.createServer((_request, response) => {
        response.writeHead(200, { 'content-type': 'text/html' });
        response.end('<!doctype html><title>other</title><iframe name="sink"></iframe>');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
        server.close();
        server.closeAllConnections();
    });
    return `http://127.0.0.1:${server.address().port}/`;
}

test('a page of another port changes nothing and reads nothing', async (t) => {
    const address = await otherPort(t);
    const tab = await gate.open();
    const page = await tab.page.context().newPage();
    const statuses = [];
    page.on('response', (one) => {
        if (one.url().startsWith(`${gate.origin}/admin/api`)) {
            statuses.push(one.status());
        }
    });
    await page.goto(address);
    const read = await page.evaluate(
        async ({ to, bulk }) => {
            const api = `${to}/admin/api`;
            const body = JSON.stringify(bulk);
            const json = { 'Content-Type': 'application/json', 'X-Gate-UI': '1' };
            const common = { credentials: 'include' };
            const tries = [
                fetch(`${api}/accounts/bulk`, { ...common, method: 'POST', headers: json, body }),
                fetch(`${api}/accounts/bulk`, { ...common, method: 'POST', mode: 'no-cors', body }),
                fetch(`${api}/sessions`, { ...common, method: 'DELETE', headers: json }),
                fetch(`${api}/accounts/echo/0`, { ...common, method: 'PATCH', headers: json, body }),
                fetch(`${api}/accounts`, common),
                fetch(`${to}/ui/`, common),
            ];
            const results = await Promise.allSettled(tries.map(async (one) => (await one).text()));
            navigator.sendBeacon(`${api}/accounts/bulk`, new Blob([body], { type: 'text/plain' }));
            const image = new Image();
            const shown = new Promise((done) => {
                image.onload = () => done('loaded');
                image.onerror = () => done('');
            });
            image.src = `${api}/stats`;
            return [...results.map((one) => one.value ?? ''), await shown];
        },
        { to: gate.origin, bulk: BULK },
    );
    assert.deepEqual(read.join(''), '');
    for (const enctype of ['text/plain', 'application/x-www-form-urlencoded']) {
        const answered = page.waitForResponse((one) => one.request().isNavigationRequest());
        await page.evaluate(
            ({ to, bulk, type }) => {
                const form = document.createElement('form');
                form.method = 'POST';
                form.enctype = type;
                form.action = `${to}/admin/api/accounts/bulk`;
                form.target = 'sink';
                const field = document.createElement('input');
                const text = JSON.stringify({ ...bulk, pad: '' }).split('""');
                field.name = `${text[0]}"`;
                field.value = `"${text[1]}`;
                form.append(field);
                document.body.append(form);
                form.submit();
            },
            { to: gate.origin, bulk: BULK, type: enctype },
        );
        assert.equal((await answered).status(), 403);
    }
    // 403 and not 401: the cookie was there.
    assert.ok(statuses.filter((one) => one === 403).length >= 4, String(statuses));
    assert.ok(!statuses.some((one) => one < 400), String(statuses));
    assert.equal((await gate.rig.account('echo/0')).enabled, true);
    await tab.page.reload();
    await tab.page.locator('.link.is-live').waitFor(); // and the session lives
});

test('the console is shown in no frame', async (t) => {
    const address = await otherPort(t);
    const tab = await gate.open();
    const page = await tab.page.context().newPage();
    const refusal = page.waitForEvent('console', (one) => /frame-ancestors/.test(one.text()));
    await page.goto(address);
    await page.evaluate((to) => {
        const frame = document.createElement('iframe');
        frame.src = `${to}/ui/`;
        document.body.append(frame);
    }, gate.origin);
    await refusal;
    for (const frame of page.frames()) {
        assert.equal(await frame.locator('#app').count(), 0);
    }
});

test('the licences of what the console is made of are a click away', async () => {
    const tab = await gate.open();
    await tab.go('settings');
    await tab.page.locator('a[href="licenses.txt"]').click();
    await tab.page.waitForURL('**/ui/licenses.txt');
    await tab.page.getByText('preact').first().waitFor();
});
