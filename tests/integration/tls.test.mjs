// TLS to the upstream: verified, with the server's name, versions 1.2 and 1.3.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { makeAuthority, makeCertificate } from '../upstream/certs.mjs';
import { legal } from '../upstream/scenarios.mjs';
import {
    Mock,
    UPSTREAM_KEY,
    assertError,
    inParallel,
    slow,
    startGateway,
    stopAll,
    tempDir,
} from './helper.mjs';

const dir = tempDir('tls');
const authority = makeAuthority(dir);
const good = makeCertificate(dir, 'good', ['DNS:localhost', 'IP:127.0.0.1'], { authority });
const started = [];
after(() => stopAll(...started.reverse()));

async function upstream(tls) {
    const mock = await Mock.start({ tls });
    started.push(mock);
    return mock;
}

async function gatewayTo(mock, { name = 'localhost', trust = authority.cert, more } = {}) {
    const gateway = await startGateway({
        env: {
            OPENAI_API_KEY: UPSTREAM_KEY,
            OPENAI_BASE_URL: `${mock.origin(name)}/v1`,
            SSL_CERT_FILE: trust,
            SSL_CERT_DIR: '/nonexistent',
            ...more,
        },
    });
    started.push(gateway);
    return gateway;
}

let mock, gateway;
before(async () => {
    mock = await upstream(good);
    gateway = await gatewayTo(mock);
});

for (const version of ['TLSv1.2', 'TLSv1.3']) {
    test(`${version}: a trusted upstream is used, and told its name`, async () => {
        const server = await upstream({ ...good, minVersion: version, maxVersion: version });
        const client = await gatewayTo(server);
        for (const stream of [false, true]) {
            server.push(stream ? legal.stream : legal.plain);
            const answer = await client.chat('m', { stream });
            assert.equal(answer.status, 200, answer.text);
        }
        assert.equal(server.last.connection.serverName, 'localhost');
        assert.equal(server.last.connection.socket.getProtocol(), version);
        assert.equal(server.last.header('host'), `localhost:${server.port}`);
        assert.equal(server.opened, 1);
    });

    for (const [what, names] of [
        ['another name', ['DNS:other.example']],
        ['no name but a similar one', ['DNS:localhost.example', 'DNS:xlocalhost']],
        ['only an address', ['IP:127.0.0.2']],
    ]) {
        test(`${version}: a certificate for ${what} is refused`, async () => {
            const pair = makeCertificate(dir, `wrong-${version}-${names[0].length}`, names, {
                authority,
            });
            const server = await upstream({ ...pair, minVersion: version, maxVersion: version });
            const client = await gatewayTo(server);
            assertError(await client.chat('m'), 502, { type: 'upstream_error' });
            assert.equal(server.requests.length, 0);
            assert.ok(server.attempts > 0);
        });
    }

    test(`${version}: an authority that is not trusted is refused`, async () => {
        const pair = makeCertificate(dir, `self-${version}`, ['DNS:localhost']);
        const server = await upstream({ ...pair, minVersion: version, maxVersion: version });
        const client = await gatewayTo(server);
        const error = assertError(await client.chat('m'), 502, { type: 'upstream_error' });
        assert.match(error.message, /certificate|verif|TLS/i);
        assert.equal(server.requests.length, 0);
    });
}

test('without a trusted authority nothing is sent', async () => {
    const empty = makeCertificate(dir, 'unrelated', ['DNS:unrelated.example']);
    assert.ok(empty);
    const client = await gatewayTo(mock, { trust: `${dir}/unrelated.pem` });
    const seen = mock.requests.length;
    assertError(await client.chat('m'), 502);
    assert.equal(mock.requests.length, seen);
});

test('a certificate that has expired is refused', async () => {
    const pair = makeCertificate(dir, 'expired', ['DNS:localhost'], { authority, expired: true });
    const server = await upstream(pair);
    const client = await gatewayTo(server);
    assertError(await client.chat('m'), 502);
    assert.equal(server.requests.length, 0);
});

test("an address in place of a name is checked against the certificate's addresses", async () => {
    const client = await gatewayTo(mock, { name: '127.0.0.1' });
    assert.equal((await client.chat('m')).status, 200);
    assert.ok(!mock.last.connection.serverName);
    const pair = makeCertificate(dir, 'names-only', ['DNS:localhost'], { authority });
    const server = await upstream(pair);
    const strict = await gatewayTo(server, { name: '127.0.0.1' });
    assertError(await strict.chat('m'), 502);
});

test('a server that speaks no TLS: 502', async () => {
    const plain = await Mock.start();
    started.push(plain);
    const client = await startGateway({
        env: {
            OPENAI_API_KEY: UPSTREAM_KEY,
            OPENAI_BASE_URL: `https://localhost:${plain.port}/v1`,
        },
    });
    started.push(client);
    plain.otherwise({ raw: 'HTTP/1.1 400 Bad Request\r\n\r\n' });
    // The mock waits for a request in what is a TLS greeting: it answers nothing, so it closes.
    plain.server.on('connection', (socket) => {
        socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
    });
    assertError(await client.chat('m'), 502, { type: 'upstream_error' });
});

test('streams over TLS arrive byte for byte, in any cut', async () => {
    const { body } = legal.stream;
    for (const scenario of [
        { body },
        { body, cut: 'bytes' },
        { body, framing: 'close' },
        { body, wire: { seed: 8, max: 30 } },
        { body, framing: 'length', cut: 'utf8' },
    ]) {
        mock.push(scenario);
        const answer = await gateway.chat('m', { stream: true });
        assert.deepEqual(answer.body, body);
    }
});

test('large bodies in both directions', async () => {
    const body = Buffer.from(`{"model":"m","messages":[],"user":"${'x'.repeat(5 << 20)}"}`);
    const reply = Buffer.from(`{"choices":[],"x":"${'y'.repeat(5 << 20)}"}`);
    mock.push({ body: reply });
    const answer = await gateway.call({ body });
    assert.ok(answer.body.equals(reply));
    assert.ok(mock.last.body.equals(body));
});

// What the kernel takes at once for a client that does not read yet is a few megabytes: somewhere
// among these sizes the end of the answer just fits.
test('large answers of many sizes reach a client that begins to read late', async (t) => {
    const sizes = Array.from({ length: 160 }, (_, i) => 3600000 + i * 20000);
    await inParallel(sizes, 4, async (size) => {
        const reply = Buffer.from(`{"choices":[],"x":"${'y'.repeat(size)}"}`);
        mock.when(`late-${size}`, { body: reply });
        const client = await gateway.raw();
        client.socket.pause();
        await client.send(gateway.rawRequest({ model: `late-${size}`, messages: [] }));
        await new Promise((done) => {
            setTimeout(done, 40);
        });
        client.socket.resume();
        await client.wait(() => client.size > size, { timeout: 20000 * slow });
        assert.ok((await client.answer()).body.equals(reply), String(size));
        mock.byModel.delete(`late-${size}`);
        client.close();
    });
    t.diagnostic(`answers: ${sizes.length}`);
});

test('a TLS connection that ends without a farewell does not make a stream whole', async () => {
    mock.push({
        body: legal.stream.body.subarray(0, 500),
        framing: 'close',
        stopAfter: 500,
        end: 'reset',
    });
    const answer = await gateway.chat('m', { stream: true }).catch((error) => {
        assert.equal(error.code, 'ECONNRESET');
        return { text: '"error"' };
    });
    assert.match(answer.text, /"error"/);
});
