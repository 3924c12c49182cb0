// The way into the console: the key, links, what is hidden from everybody else, and the files of
// the console with their headers.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { brotliDecompressSync } from 'node:zlib';
import { Browser, TLS_COOKIE, comparable, rawAnswer, restart, startConsole } from './console_rig.mjs';
import { API_KEY, slow, until } from './helper.mjs';

const WRONG = 'A'.repeat(43);
const POLICY =
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; font-src 'self'; base-uri 'none'; form-action 'none'; " +
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'";

let gateway;
let browser;
let assets;

// The files that the page asks for.
async function findAssets() {
    const page = await browser.get('/ui/');
    assert.equal(page.status, 200);
    const found = [...page.text.matchAll(/(?:src|href)="(assets\/[^"]+)"/g)].map(([, name]) => name);
    assert.ok(found.some((name) => name.endsWith('.js')), page.text);
    return found;
}

before(async () => {
    gateway = await startConsole({ workers: 1 });
    browser = await Browser.enter(gateway);
    assets = await findAssets();
});
after(() => gateway.stop());

// ---------------------------------------------------------------- entering

function checkHeaders(answer, caching) {
    const { headers } = answer;
    assert.equal(headers['cache-control'], caching);
    assert.equal(headers['content-security-policy'], POLICY);
    assert.equal(headers['cross-origin-opener-policy'], 'same-origin');
    assert.equal(headers['cross-origin-resource-policy'], 'same-origin');
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['x-robots-tag'], 'noindex');
    assert.equal(headers['access-control-allow-origin'], undefined);
    assert.equal(headers['access-control-expose-headers'], undefined);
}

// Where the page goes by itself, as a browser resolves it.
function target(answer, path) {
    const [, url] = /http-equiv=refresh content="0;url=([^"]+)"/.exec(answer.text);
    return new URL(url, `http://gate.example${path}`).pathname;
}

test('the key opens a session, on a page that moves on by itself', async () => {
    for (const path of [`/${API_KEY}/ui`, `/${API_KEY}/ui/`, `/${API_KEY}/ui?x=1`]) {
        const entered = await Browser.enter(gateway, path);
        checkHeaders(entered.page, 'no-store');
        assert.equal(entered.page.headers['content-type'], 'text/html; charset=utf-8');
        assert.ok(!entered.page.text.includes(API_KEY));
        assert.equal(target(entered.page, path), '/ui/');
        assert.equal(target(entered.page, `/prefix${path}`), '/prefix/ui/');
        const page = await entered.get('/ui/');
        assert.equal(page.status, 200);
        checkHeaders(page, 'no-store');
        assert.equal(page.headers['set-cookie'], undefined);
        assert.equal((await entered.ask('DELETE', '/sessions/current')).ended, 1);
    }
});

test('behind a proxy that speaks TLS the cookie never travels without it', async () => {
    const proxied = { 'x-forwarded-proto': 'https' };
    const page = await new Browser(gateway).get(`/${API_KEY}/ui`, proxied);
    const [, token] = TLS_COOKIE.exec(page.headers['set-cookie'][0]);
    const cookie = `gate_session=; __Host-gate_session=${token}`;
    const answer = await new Browser(gateway).get('/ui/', { ...proxied, cookie });
    assert.equal(answer.status, 200);
    for (const scheme of ['http', 'httpss', '']) {
        const plain = await Browser.enter(gateway, `/${API_KEY}/ui`, {
            'x-forwarded-proto': scheme,
        });
        await plain.ask('DELETE', '/sessions/current');
    }
    await new Browser(gateway, token).ask('DELETE', '/sessions/current');
});

test('HEAD of an entry says the same and opens nothing', async () => {
    const { sessions } = await browser.ask('GET', '/sessions');
    const head = await browser.call('HEAD', `/${API_KEY}/ui`);
    assert.equal(head.status, 200);
    checkHeaders(head, 'no-store');
    assert.equal(head.headers['set-cookie'], undefined);
    assert.equal(head.headers['content-length'], browser.page.headers['content-length']);
    assert.deepEqual((await browser.ask('GET', '/sessions')).sessions.length, sessions.length);
});

test('the key of the API does not open the console where there is an ADMIN_KEY', async () => {
    const ADMIN_KEY = 'admin-it-5e9a71c0d2b8';
    const other = await startConsole({ workers: 1, env: { ADMIN_KEY } });
    try {
        const unknown = comparable(await rawAnswer(other, 'GET', '/nothing'));
        assert.equal(comparable(await rawAnswer(other, 'GET', `/${API_KEY}/ui`)), unknown);
        const entered = await Browser.enter(other, `/${ADMIN_KEY}/ui`);
        assert.ok(await entered.isIn());
        assert.match(other.stdout, /console +http:\S+\/<ADMIN_KEY>\/ui/);
        assert.ok(!other.log.includes(ADMIN_KEY) && !other.log.includes(API_KEY));
    } finally {
        await other.stop();
    }
});

// ---------------------------------------------------------------- hiding

test('whoever may not enter sees what is at any unknown address, byte for byte', async () => {
    const hidden = [
        '/wrong-key-wrong-key/ui',
        `/${API_KEY}x/ui`,
        `/${API_KEY.slice(1)}/ui`,
        `/${API_KEY.toUpperCase()}/ui`,
        `/${'k'.repeat(600)}/ui`,
        `/${API_KEY}`,
        `/${API_KEY}/`,
        `/${API_KEY}/ui/x`,
        `/${API_KEY}/UI`,
        `//${API_KEY}/ui`,
        `/ui/${API_KEY}`,
        '/ui',
        '/ui/',
        '/ui?x=1',
        '/ui/index.html',
        '/ui/enter/',
        `/ui/enter/${WRONG}`,
        `/ui/enter/${API_KEY}`,
        '/ui/assets/',
        ...assets.map((name) => `/ui/${name}`),
    ];
    const cookies = [
        [],
        { Cookie: `gate_session=${WRONG}` },
        { Cookie: [`gate_session=${browser.token}x`, 'gate_session', '=;;gate_session=;'] },
    ];
    const methods = ['GET', 'HEAD', 'POST', 'OPTIONS', 'PUT'];
    for (const method of methods) {
        const unknown = comparable(await rawAnswer(gateway, method, '/no/such/path'));
        assert.match(unknown, /^HTTP\/1\.1 404 /);
        const send = async (path, headers) => {
            const answer = await rawAnswer(gateway, method, path, headers);
            assert.equal(comparable(answer), unknown, `${method} ${path}`);
        };
        const paths = method === 'GET' ? hidden : hidden.slice(-5);
        await Promise.all(paths.map((path, i) => send(path, cookies[i % cookies.length])));
    }
});

test('the same for methods that nothing there takes, and with all that opens it', async () => {
    const Cookie = `gate_session=${browser.token}`;
    for (const method of ['POST', 'OPTIONS', 'DELETE']) {
        const unknown = comparable(await rawAnswer(gateway, method, '/nothing', { Cookie }));
        for (const path of [`/${API_KEY}/ui`, '/ui/', `/ui/${assets[0]}`]) {
            const answer = comparable(await rawAnswer(gateway, method, path, { Cookie }));
            assert.equal(answer, unknown, `${method} ${path}`);
        }
    }
});

test('with a session too, nothing but the files of the console is below /ui/', async () => {
    const Cookie = `gate_session=${browser.token}`;
    const unknown = comparable(await rawAnswer(gateway, 'GET', '/nothing', { Cookie }));
    const [name] = assets;
    for (const path of [
        '/ui/nothing',
        '/ui/assets',
        '/ui/assets/',
        `/ui/${name}.br`,
        `/ui/${name}/`,
        `/ui//${name}`,
        '/ui/manifest.json',
        '/ui/../ui/',
        '/ui/./',
        '/ui/%69ndex.html',
        '/%75i/',
        `/ui/assets/../${name}`,
        `/ui/assets/..%2f${name}`,
        `/ui/assets/%2e%2e/${name}`,
        '/ui/../../../../etc/passwd',
        '/ui/..%2f..%2f..%2fetc/passwd',
        '/ui/assets/..\\..\\etc\\passwd',
        '/ui/index.html%00.js',
        '/ui/enter',
    ]) {
        const answer = comparable(await rawAnswer(gateway, 'GET', path, { Cookie }));
        assert.equal(answer, unknown, path);
    }
});

test('wrong ones wait when there are many; the right key and others do not', async () => {
    const busy = await startConsole({ workers: 1 });
    try {
        const unknown = comparable(await rawAnswer(busy, 'GET', '/nothing'));
        let answered = 0;
        const wrong = Array.from({ length: 120 }, async (_, i) => {
            const answer = await rawAnswer(busy, 'GET', `/guess-${i}-guess-guess/ui`);
            answered++;
            return answer;
        });
        await until(() => answered >= 30, { timeout: 10000 * slow, what: 'the first answers' });
        const entered = await Browser.enter(busy);
        assert.ok(await entered.isIn());
        assert.equal((await busy.chat('echo')).status, 200);
        assert.ok(answered < 120, `${answered} wrong ones were answered before the right one`);
        for (const answer of await Promise.all(wrong)) {
            assert.equal(comparable(answer), unknown);
        }
        // Who leaves while he waits leaves nothing behind.
        const gone = await Promise.all(Array.from({ length: 60 }, () => busy.raw()));
        await Promise.all(gone.map((c) => c.send(Buffer.from('GET /x/ui HTTP/1.1\r\nHost: x\r\n\r\n'))));
        gone.forEach((client) => client.close());
        assert.ok(await entered.isIn());
    } finally {
        await busy.stop();
    }
});

// ---------------------------------------------------------------- links

describe('links', () => {
    const makeLink = async () => {
        const answer = await gateway.call({ path: '/admin/api/links' });
        assert.equal(answer.status, 201, answer.text);
        assert.equal(answer.headers['cache-control'], 'no-store');
        const { link } = answer.json;
        assert.match(link.path, /^\/ui\/enter\/[\w-]{43}$/);
        assert.ok(Math.abs(link.expires - gateway.clock.now - 60000) < 30000 * slow);
        return link.path;
    };

    test('one opens a session, once', async () => {
        const path = await makeLink();
        const head = await gateway.call({ method: 'HEAD', path, key: null });
        assert.equal(head.status, 200);
        assert.equal(head.headers['set-cookie'], undefined);
        const entered = await Browser.enter(gateway, path);
        checkHeaders(entered.page, 'no-store');
        assert.equal(target(entered.page, path), '/ui/');
        assert.ok(await entered.isIn());
        const unknown = comparable(await rawAnswer(gateway, 'GET', '/nothing'));
        assert.equal(comparable(await rawAnswer(gateway, 'GET', path)), unknown);
        const Cookie = `gate_session=${entered.token}`;
        assert.equal(comparable(await rawAnswer(gateway, 'GET', path, { Cookie })), unknown);
    });

    test('of many who open one at the same time, one gets in', async () => {
        const path = await makeLink();
        const answers = await Promise.all(
            Array.from({ length: 8 }, () => gateway.call({ method: 'GET', path, key: null })),
        );
        assert.deepEqual(answers.map(({ status }) => status).sort(), [200, ...Array(7).fill(404)]);
    });

    test('it is over after 60 seconds, and with the process', async () => {
        gateway.clock.at(0);
        const [early, late, lost] = [await makeLink(), await makeLink(), await makeLink()];
        gateway.clock.at(50 * 1000);
        await Browser.enter(gateway, early);
        gateway.clock.at(61 * 1000);
        assert.equal((await gateway.call({ method: 'GET', path: late, key: null })).status, 404);
        gateway.clock.at(0);
        assert.equal((await gateway.call({ method: 'GET', path: late, key: null })).status, 404);
        gateway = await restart(gateway);
        browser.gateway = gateway;
        assert.equal((await gateway.call({ method: 'GET', path: lost, key: null })).status, 404);
    });

    test('only the key makes one', async () => {
        const path = '/admin/api/links';
        assert.equal((await gateway.call({ path, key: null })).status, 401);
        assert.equal((await gateway.call({ path, key: `${API_KEY}x` })).status, 401);
        const refused = await browser.admin('POST', '/links', {});
        assert.equal(refused.status, 403);
        assert.equal(refused.json.error.code, 'key_required');
        assert.equal((await gateway.call({ path, body: { a: 1 } })).status, 400);
        assert.equal((await gateway.call({ path: `${path}?a=1` })).status, 400);
        assert.equal((await gateway.call({ method: 'GET', path })).status, 405);
    });
});

// ---------------------------------------------------------------- files

test('/ui leads to /ui/', async () => {
    const answer = await browser.get('/ui');
    assert.equal(answer.status, 302);
    checkHeaders(answer, 'no-store');
    assert.equal(new URL(answer.headers.location, 'http://x/ui').pathname, '/ui/');
});

const TYPES = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', txt: 'text/plain' };

test('each file: type, caching, with and without brotli, again with its tag', async () => {
    for (const name of assets) {
        const plain = await browser.get(`/ui/${name}`);
        assert.equal(plain.status, 200, name);
        checkHeaders(plain, 'private, max-age=31536000, immutable');
        const type = TYPES[name.split('.').pop()];
        assert.match(plain.headers['content-type'], new RegExp(`^${type.replace('+', '\\+')}(;|$)`));
        assert.equal(plain.headers['content-encoding'], undefined);
        assert.equal(plain.headers.vary, 'accept-encoding');

        const packed = await browser.get(`/ui/${name}`, { 'accept-encoding': 'gzip, br;q=0.8' });
        assert.equal(packed.headers['content-encoding'], 'br');
        assert.equal(packed.headers['content-type'], plain.headers['content-type']);
        assert.deepEqual(brotliDecompressSync(packed.body), plain.body);
        assert.notEqual(packed.headers.etag, plain.headers.etag);
        for (const encoding of ['gzip', 'br;q=0', 'br; q=0.0, gzip', 'brotli', 'xbr', '']) {
            const other = await browser.get(`/ui/${name}`, { 'accept-encoding': encoding });
            assert.equal(other.headers['content-encoding'], undefined, encoding);
            assert.deepEqual(other.body, plain.body);
        }

        const { etag } = plain.headers;
        assert.match(etag, /^"[0-9a-f]{32}"$/);
        const again = await browser.get(`/ui/${name}`, { 'if-none-match': `"x", ${etag}` });
        assert.equal(again.status, 304);
        assert.equal(again.body.length, 0);
        assert.equal(again.headers.etag, etag);
        checkHeaders(again, 'private, max-age=31536000, immutable');
        const changed = await browser.get(`/ui/${name}`, { 'if-none-match': '"x"' });
        assert.equal(changed.status, 200);

        const head = await browser.call('HEAD', `/ui/${name}`);
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
        assert.equal(Number(head.headers['content-length']), plain.body.length);
    }
});

test('the page itself is never kept', async () => {
    const page = await browser.get('/ui/', { 'accept-encoding': 'br' });
    checkHeaders(page, 'no-store');
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    assert.equal(page.headers.etag, undefined);
    assert.equal(page.headers['content-encoding'], 'br');
    const plain = await browser.get('/ui/', { 'if-none-match': '*' });
    assert.equal(plain.status, 200);
    assert.deepEqual(brotliDecompressSync(page.body), plain.body);
    assert.doesNotMatch(plain.text, /<script>|<style|style=| on\w+=/); // the policy forbids them
});

// ---------------------------------------------------------------- the log

test('the log has neither keys nor tokens', async () => {
    const loud = await startConsole({ workers: 1, env: { LOG_LEVEL: 'DEBUG' } });
    try {
        const { link } = (await loud.call({ path: '/admin/api/links' })).json;
        const entered = await Browser.enter(loud);
        await Browser.enter(loud, link.path);
        await entered.get('/ui/');
        await entered.get(`/ui/${assets[0]}`);
        for (const path of [`/${API_KEY}`, `/${API_KEY}/ui/x`, `/x/${API_KEY}/ui`, link.path]) {
            await loud.call({ method: 'GET', path, key: null });
        }
        await loud.call({ method: 'GET', path: `/ui/?key=${API_KEY}`, key: null });
        await entered.get('/ui/', { 'x-request-id': 'the-last-one' });
        await loud.waitLog('the-last-one');
        for (const secret of [API_KEY, entered.token, link.path.split('/').pop()]) {
            assert.ok(!loud.log.includes(secret), 'a secret is in the log');
        }
        for (const shown of ['/[redacted]/ui', '/ui/enter/[redacted]', `/ui/${assets[0]}`]) {
            assert.ok(loud.log.includes(`path=${shown} `), shown);
        }
    } finally {
        await loud.stop();
    }
});
