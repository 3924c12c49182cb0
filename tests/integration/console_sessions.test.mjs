// Sessions of the console: what they open, what they do not, how they end.
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Browser, HOUR, own, restart, startConsole } from './console_rig.mjs';
import { CommandRig } from './command_rig.mjs';
import { API_KEY, assertError, slow, until } from './helper.mjs';

const WRONG = 'A'.repeat(43);
let gateway;
let browser;
before(async () => {
    gateway = await startConsole({ workers: 3 });
    browser = await Browser.enter(gateway);
});
after(() => gateway.stop());

// ---------------------------------------------------------------- cookies

test('the cookie is found among others', async () => {
    const good = `gate_session=${browser.token}`;
    const wrong = `gate_session=${WRONG}`;
    const ask = (cookie) => gateway.call({ method: 'GET', path: '/ui/', key: null, headers: { cookie } });
    for (const cookie of [
        good,
        `a=b; ${good}`,
        `${good};c=d`,
        `  ;;  ${good}  ; x`,
        `theme=dark;${good};lang=zh`,
        `gate_session_x=1; xgate_session=2; ${good}`,
        `${wrong}; ${good}`, // planted by another path of this host
        `${good}; ${wrong}`,
        `gate_session=; gate_session; ${good}`,
        `big=${'x'.repeat(12000)}; ${good}`,
        [wrong, 'a=b', good],
    ]) {
        assert.equal((await ask(cookie)).status, 200, String(cookie).slice(0, 80));
    }
    for (const cookie of [
        '',
        'gate_session',
        'gate_session=',
        wrong,
        `gate_session="${browser.token}"`,
        `Gate_Session=${browser.token}`,
        `gate_session=${browser.token}A`,
        `gate_session=${browser.token.slice(1)}`,
        `gate_session=${API_KEY}`,
        `__Secure-gate_session=${browser.token}`,
        `__host-gate_session=${browser.token}`,
        `x=${good}`,
        `big=${'gate_session'.repeat(1000)}`,
        `${Array(200).fill(wrong).join('; ')}`,
    ]) {
        assert.equal((await ask(cookie)).status, 404, String(cookie).slice(0, 80));
    }
});

// ---------------------------------------------------------------- the API

test('a session opens the API, and a session that is over says so', async () => {
    const answer = await browser.admin('GET', '/stats');
    assert.equal(answer.status, 200);
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
    assert.equal((await browser.call('HEAD', '/admin/api/stats')).status, 200);
    for (const token of [WRONG, '', 'x']) {
        const over = await new Browser(gateway, token).admin('GET', '/stats');
        assertError(over, 401, { code: 'session_expired' });
        assert.equal(over.headers['www-authenticate'], 'Bearer');
    }
    assertError(await new Browser(gateway).admin('GET', '/stats'), 401, { code: 'missing_api_key' });
    const other = await browser.get('/admin/api/stats', { cookie: 'a=b' });
    assertError(other, 401, { code: 'missing_api_key' });
    // Who names a key is judged by it.
    const headers = { ...browser.cookie, authorization: `Bearer ${API_KEY}x` };
    assertError(await browser.get('/admin/api/stats', headers), 401, { code: 'invalid_api_key' });
    const both = { cookie: `gate_session=${WRONG}`, authorization: `Bearer ${API_KEY}` };
    assert.equal((await browser.get('/admin/api/stats', both)).status, 200);
    // A session is no key of the clients' API.
    assert.equal((await browser.get('/v1/models')).status, 401);
    // Big bodies are refused behind it as well.
    const big = JSON.stringify({ provider: 'x'.repeat(4 << 20) });
    assertError(await browser.admin('POST', '/accounts', big), 413);
});

test('writes want all the signs of the console itself', async () => {
    const host = `127.0.0.1:${gateway.port}`;
    const ui = { 'x-gate-ui': '1', 'content-type': 'application/json' };
    const clear = (headers, method = 'POST') =>
        browser.admin(method, '/accounts/echo/0/clear', undefined, headers);
    const good = [
        own,
        { ...own, origin: 'http://evil.example' }, // the browser's own word counts
        { ...own, 'content-type': 'Application/JSON ; charset=utf-8' },
        { ...ui, origin: `http://${host}` },
        { ...ui, origin: `https://${host}` }, // TLS ends before us
    ];
    for (const headers of good) {
        assert.equal((await clear(headers)).status, 200, JSON.stringify(headers));
    }
    const without = (name) => Object.fromEntries(Object.entries(own).filter(([n]) => n !== name));
    const bad = [
        {},
        ui,
        without('x-gate-ui'),
        without('content-type'),
        { ...own, 'x-gate-ui': '0' },
        { ...own, 'x-gate-ui': 'true' },
        { ...own, 'content-type': 'text/plain' },
        { ...own, 'content-type': 'text/plain; application/json' },
        { ...own, 'content-type': 'application/jsonp' },
        { ...own, 'sec-fetch-site': 'same-site' },
        { ...own, 'sec-fetch-site': 'cross-site', origin: `http://${host}` },
        { ...own, 'sec-fetch-site': 'none' },
        { ...own, 'sec-fetch-site': '' },
        { ...own, 'sec-fetch-site': ['same-origin', 'cross-site'] },
        { ...own, 'sec-fetch-site': ['same-origin', 'same-origin'] },
        { ...own, 'x-gate-ui': ['1', '0'] },
        { ...ui, origin: [`http://${host}`, 'http://evil.example'] },
        { ...ui, origin: `http://127.0.0.1:${gateway.port + 1}` },
        { ...ui, origin: 'http://127.0.0.1' },
        { ...ui, origin: `http://localhost:${gateway.port}` },
        { ...ui, origin: `http://${host}.evil.example` },
        { ...ui, origin: `http://evil.example@${host}` },
        { ...ui, origin: `ftp://${host}` },
        { ...ui, origin: host },
        { ...ui, origin: 'null' },
        { ...ui, origin: '' },
        { ...ui, referer: `http://${host}/ui/` },
    ];
    for (const headers of bad) {
        for (const method of ['POST', 'DELETE', 'PATCH', 'PUT', 'OPTIONS']) {
            const answer = await clear(headers, method);
            assertError(answer, 403, { code: 'csrf' }, JSON.stringify(headers));
        }
    }
    // Reads cost something too: not for pages of other ports, where the browser tells.
    for (const site of ['same-site', 'cross-site', '']) {
        const headers = { 'sec-fetch-site': site };
        assertError(await browser.admin('GET', '/stats', undefined, headers), 403, { code: 'csrf' });
        assertError(await browser.admin('GET', '/events', undefined, headers), 403, { code: 'csrf' });
    }
    for (const site of ['same-origin', 'none']) {
        const headers = { 'sec-fetch-site': site };
        assert.equal((await browser.admin('GET', '/stats', undefined, headers)).status, 200);
    }
    // The key needs none of that.
    const path = '/admin/api/accounts/echo/0/clear';
    assert.equal((await gateway.call({ path })).status, 200);
    assert.equal((await browser.call('POST', path, { headers: ui })).status, 403);
});

// ---------------------------------------------------------------- the list

test('the list: who is in, since when, from where', async () => {
    const other = await Browser.enter(gateway, undefined, { 'user-agent': 'Phone/1 "<b>é' });
    const { sessions } = await browser.ask('GET', '/sessions');
    const mine = sessions.find(({ current }) => current);
    const theirs = sessions.find(({ agent }) => agent?.startsWith('Phone/1'));
    assert.equal(sessions.filter(({ current }) => current).length, 1);
    assert.deepEqual(await browser.session(), mine);
    assert.deepEqual(Object.keys(mine).sort(), [
        'agent',
        'created',
        'current',
        'expires',
        'id',
        'last_seen',
        'peer',
    ]);
    assert.match(mine.id, /^[0-9a-f]{16}$/);
    assert.equal(mine.expires - mine.created, 12 * HOUR);
    assert.ok(mine.last_seen >= mine.created && mine.created <= gateway.clock.now);
    assert.equal(theirs.peer, '127.0.0.1');
    assert.match(theirs.agent, /^Phone\/1 "<b>\?+$/);
    assert.equal(theirs.current, false);
    assert.ok(!JSON.stringify(sessions).includes(browser.token));
    // With the key there is no session at hand.
    const byKey = await gateway.call({ method: 'GET', path: '/admin/api/session' });
    assert.deepEqual(byKey.json, { session: null });
    const all = (await gateway.call({ method: 'GET', path: '/admin/api/sessions' })).json.sessions;
    assert.ok(all.length === sessions.length && all.every(({ current }) => !current));
    assert.equal((await browser.admin('GET', '/sessions?limit=1')).status, 400);
    assert.equal((await other.ask('DELETE', '/sessions/current')).ended, 1);
});

test('entering again replaces the session of that browser', async () => {
    const one = await Browser.enter(gateway);
    const { id } = await one.session();
    const again = await Browser.enter(gateway, undefined, one.cookie);
    assert.ok(!(await one.isIn()));
    const { sessions } = await again.ask('GET', '/sessions');
    assert.ok(!sessions.some((session) => session.id === id));
    await again.ask('DELETE', '/sessions/current');
});

// ---------------------------------------------------------------- ending

test('an ended session is over at once, on all workers, streams too', async () => {
    const other = await Browser.enter(gateway);
    const streams = await Promise.all(Array.from({ length: 6 }, () => other.events()));
    const stays = await browser.events();
    for (const stream of [...streams, stays]) {
        assert.equal(stream.status, 200);
        await until(() => stream.text.includes('event: snapshot'), { what: 'the snapshot' });
    }
    const { id } = await other.session();
    assert.deepEqual(await browser.ask('DELETE', `/sessions/${id}`), { ended: 1 });
    const states = await Promise.all(Array.from({ length: 30 }, () => other.isIn()));
    assert.ok(!states.includes(true));
    assert.equal((await other.get('/ui/')).status, 404);
    await until(() => streams.every(({ ended }) => ended), {
        timeout: 5000 * slow,
        what: 'the end of the streams',
    });
    await until(() => stays.text.includes('event: auth'), { timeout: 5000 * slow, what: 'auth' });
    assert.ok(!stays.ended);
    stays.request.destroy();
    for (const name of [id, '0'.repeat(16), 'x', 'CURRENT']) {
        assertError(await browser.admin('DELETE', `/sessions/${name}`), 404, { code: 'not_found' });
    }
    const path = '/admin/api/sessions/current';
    assertError(await gateway.call({ method: 'DELETE', path }), 404);
});

test('all others end', async () => {
    const others = [await Browser.enter(gateway), await Browser.enter(gateway)];
    assert.ok((await browser.ask('DELETE', '/sessions')).ended >= 2);
    for (const other of others) {
        assert.ok(!(await other.isIn()));
    }
    assert.ok(await browser.isIn());
    assert.deepEqual(await browser.ask('DELETE', '/sessions'), { ended: 0 });
    const last = await gateway.call({ method: 'DELETE', path: '/admin/api/sessions' });
    assert.deepEqual(last.json, { ended: 1 });
    assert.ok(!(await browser.isIn()));
    browser = await Browser.enter(gateway);
});

test('after twelve hours it is over, also for a stream', async () => {
    gateway.clock.at(0);
    const other = await Browser.enter(gateway);
    gateway.clock.at(12 * HOUR - 60 * 1000);
    assert.ok(await other.isIn());
    const stream = await other.events();
    await until(() => stream.text.includes('event: snapshot'), { what: 'the snapshot' });
    gateway.clock.at(12 * HOUR + 1000);
    assertError(await other.admin('GET', '/session'), 401, { code: 'session_expired' });
    assert.equal((await other.get('/ui/')).status, 404);
    browser = await Browser.enter(gateway); // which is an event: the stream is looked at
    await until(() => stream.ended, { timeout: 5000 * slow, what: 'the end of the stream' });
    assert.equal((await browser.ask('GET', '/sessions')).sessions.length, 1);
    gateway.clock.at(0);
});

test('a hundred sessions: the oldest goes', async () => {
    const first = await Browser.enter(gateway);
    const rest = [];
    for (let i = 0; i < 99; i++) {
        rest.push(await Browser.enter(gateway));
    }
    assert.ok(await first.isIn());
    const last = await Browser.enter(gateway);
    assert.ok(!(await first.isIn()));
    assert.ok(await rest[0].isIn());
    assert.equal((await last.ask('GET', '/sessions')).sessions.length, 100);
    assert.equal((await last.ask('DELETE', '/sessions')).ended, 99);
    browser = last;
});

// ---------------------------------------------------------------- restarts

test('a restart keeps sessions, but not those that were ended; no token is on disk', async () => {
    const ended = await Browser.enter(gateway);
    const { id } = await browser.session();
    await ended.ask('DELETE', '/sessions/current');
    gateway = await restart(gateway);
    browser.gateway = ended.gateway = gateway;
    assert.equal((await browser.session()).id, id);
    assert.ok(!(await ended.isIn()));
    const { dataDir } = gateway.options;
    const names = [dataDir, join(dataDir, 'db')].flatMap((directory) =>
        readdirSync(directory, { withFileTypes: true })
            .filter((entry) => entry.isFile())
            .map(({ name }) => join(directory, name)),
    );
    assert.ok(names.length > 3);
    for (const name of names) {
        const bytes = readFileSync(name);
        assert.ok(!bytes.includes(browser.token), name);
        assert.ok(!bytes.includes('"digest"'), name);
    }
});

test('a killed gateway knows its sessions, and which were ended', async () => {
    const ended = await Browser.enter(gateway);
    await ended.ask('DELETE', '/sessions/current');
    gateway.signal('SIGKILL');
    await gateway.exited;
    gateway.stop = async () => {};
    gateway = await restart(gateway);
    browser.gateway = ended.gateway = gateway;
    assert.ok(await browser.isIn());
    assert.ok(!(await ended.isIn()));
});

test('with another key nobody is in any more', async () => {
    gateway = await restart(gateway, { ADMIN_KEY: 'admin-it-3b0d8e6f51ca' });
    browser.gateway = gateway;
    assert.ok(!(await browser.isIn()));
    gateway = await restart(gateway, { ADMIN_KEY: undefined });
    browser = await Browser.enter(gateway);
});

// ---------------------------------------------------------------- llm-gate ui-link

describe('llm-gate ui-link', () => {
    let rig;
    before(async () => {
        rig = await CommandRig.start({ env: { ADMIN_KEY: 'admin-it-77aa9d03c1e5' } });
    });
    after(() => rig.stop());

    test('prints an address that opens the console', async () => {
        const { stdout, stderr } = await rig.run(['ui-link']).ends(0);
        assert.equal(stderr, '');
        const [, path] = /^http:\/\/127\.0\.0\.1:\d+(\/ui\/enter\/[\w-]{43})\n$/.exec(stdout);
        assert.ok(stdout.startsWith(`${rig.gateway.origin}/`));
        const entered = await Browser.enter(rig.gateway, path);
        assert.ok(await entered.isIn());
    });

    test('--url names the address that browsers know', async () => {
        for (const url of ['https://gate.example.com', 'https://gate.example.com/llm/']) {
            const { stdout } = await rig.run(['ui-link', '--url', url]).ends(0);
            assert.ok(stdout.startsWith(`${url.replace(/\/$/, '')}/ui/enter/`), stdout);
        }
        for (const url of ['gate.example.com', 'ftp://x', '', 'http://a b', 'http://x?y']) {
            const { stderr } = await rig.run(['ui-link', '--url', url]).ends(2);
            assert.match(stderr, /--url: expected an address/);
        }
    });

    test('--help, wrong arguments, wrong key', async () => {
        const { stdout } = await rig.run(['ui-link', '--help']).ends(0);
        assert.match(stdout, /^Usage: llm-gate ui-link[\s\S]*--url/);
        assert.match((await rig.run(['--help']).ends(0)).stdout, /^ {2}ui-link /m);
        await rig.run(['ui-link', 'x']).ends(2);
        await rig.run(['ui-link', '--nothing']).ends(2);
        const { stderr } = await rig.run(['ui-link'], { ADMIN_KEY: 'admin-wrong-5d3c91' }).ends(1);
        assert.match(stderr, /refuses the key/);
    });

    test('no gateway runs', async () => {
        await rig.stopGateway();
        const { stderr, stdout } = await rig.run(['ui-link']).ends(1);
        assert.match(stderr, /no gateway answers on http:/);
        assert.equal(stdout, '');
        const nowhere = await rig.run(['ui-link'], { LLM_GATE_LISTEN: '127.0.0.1:0' }).ends(1);
        assert.match(nowhere.stderr, /LLM_GATE_LISTEN/);
    });
});
