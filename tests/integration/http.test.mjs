// HTTP on the client's side: methods, sizes, slow requests, framing, CORS, request ids, the log.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
    API_KEY,
    UPSTREAM_KEY,
    assertError,
    chatPath,
    chatRequest,
    closedPort,
    slow,
    startGateway,
    startPair,
    stopAll,
} from './helper.mjs';

const LIMIT = 100000;
const SOON = 300 * slow; // the short clocks of these tests, in ms
let mock, gateway, bare;

before(async () => {
    ({ mock, gateway } = await startPair());
    bare = await startGateway({
        env: { LLM_GATE_MAX_BODY: LIMIT },
        conf: {
            'gateway.lua': `return { header_timeout_ms = ${SOON}, body_timeout_ms = ${SOON} }`,
        },
    });
});
after(() => stopAll(gateway, bare, mock));

test('a wrong method: 405 with Allow', async () => {
    const cases = [
        ['GET', chatPath, 'POST'],
        ['PUT', chatPath, 'POST'],
        ['DELETE', chatPath, 'POST'],
        ['POST', '/v1/models', 'GET'],
        ['POST', '/health', 'GET'],
    ];
    for (const [method, path, allowed] of cases) {
        const answer = await gateway.call({
            method,
            path,
            body: method === 'GET' ? undefined : '{}',
        });
        assertError(answer, 405, {}, `${method} ${path}`);
        assert.ok(answer.headers.allow.split(/, */).includes(allowed), answer.headers.allow);
        assert.ok(!answer.headers.allow.split(/, */).includes(method), answer.headers.allow);
    }
});

test('an unknown path: 404, the same for the path that carries a key', async () => {
    const ask = (path) => gateway.call({ method: 'GET', path, key: null });
    const unknown = await ask('/no/such/path');
    assertError(unknown, 404);
    const plain = (answer) =>
        answer.rawHeaders.filter((_, i, all) => {
            const name = all[i - (i % 2)].toLowerCase();
            return !['date', 'x-request-id'].includes(name);
        });
    for (const path of [
        '/wrong-key-wrong-key/ui',
        `/${API_KEY}x/ui`,
        `/${API_KEY.slice(1)}/ui`,
        '/ui',
    ]) {
        const answer = await ask(path);
        assert.equal(answer.status, 404, path);
        assert.deepEqual(answer.body, unknown.body, path);
        assert.deepEqual(plain(answer), plain(unknown), path);
    }
    assertError(await gateway.call({ method: 'GET', path: '/v1/nothing' }), 404);
});

test('a body over the limit: 413, while the client is still sending', async () => {
    const big = Buffer.alloc(4 * LIMIT, 'x');
    const declared = await bare.raw();
    await declared.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
            `Content-Length: ${big.length}\r\n\r\n`,
    );
    declared.send(big);
    assertError(await declared.answer(), 413, { code: 'request_too_large' });
    declared.close();

    const chunked = await bare.raw();
    await chunked.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
            'Transfer-Encoding: chunked\r\n\r\n',
    );
    for (let i = 0; i < 40 && !chunked.ended && chunked.size === 0; i++) {
        await chunked.send(
            Buffer.concat([Buffer.from('2710\r\n'), big.subarray(0, 10000), Buffer.from('\r\n')]),
        );
    }
    assertError(await chunked.answer(), 413, { code: 'request_too_large' });
    chunked.close();

    const huge = await bare.raw();
    await huge.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
            'Content-Length: 99999999999\r\n\r\n',
    );
    assertError(await huge.answer(), 413);
    huge.close();
});

test('a body just below the limit is taken', async () => {
    const body = JSON.stringify(chatRequest('echo', { user: '' }));
    const full = body.replace('"user":""', `"user":"${'x'.repeat(LIMIT - body.length)}"`);
    assert.equal(full.length, LIMIT);
    assert.equal((await bare.call({ body: full })).status, 200);
    assertError(await bare.call({ body: `${full} ` }), 413);
});

test('a chunked request body is taken', async () => {
    const client = await gateway.raw();
    const body = JSON.stringify(chatRequest('m'));
    await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
            'Transfer-Encoding: chunked\r\n\r\n',
    );
    for (const byte of body) {
        await client.send(`1\r\n${byte}\r\n`);
    }
    await client.send('0\r\n\r\n');
    assert.equal((await client.answer()).status, 200);
    assert.equal(mock.last.body.toString(), body);
    client.close();
});

test('Expect: 100-continue is answered', async () => {
    const client = await gateway.raw();
    const body = JSON.stringify(chatRequest('m'));
    await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
            `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`,
    );
    await client.wait(() => client.text.startsWith('HTTP/1.1 100 '), { what: '100 Continue' });
    await client.send(body);
    assert.equal((await client.answer()).status, 200);
    client.close();
});

test('a slow head: 408', async () => {
    const client = await bare.raw();
    await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nX-Slow: `);
    assertError(await client.answer(), 408, { type: 'invalid_request_error' });
    await client.closed();
});

test('a stalled body: 408', async () => {
    const client = await bare.raw();
    await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
            'Content-Length: 100\r\n\r\n{"model":',
    );
    assertError(await client.answer(), 408, { type: 'invalid_request_error' });
    await client.closed();
});

test('a body that is slow and goes on is not cut', async () => {
    const client = await bare.raw();
    const bytes = bare.rawRequest(chatRequest('echo'));
    const head = bytes.indexOf('\r\n\r\n') + 4;
    await client.send(bytes.subarray(0, head));
    const size = Math.ceil((bytes.length - head) / 8);
    for (let at = head; at < bytes.length; at += size) {
        await new Promise((done) => {
            setTimeout(done, SOON / 4);
        });
        await client.send(bytes.subarray(at, at + size));
    }
    assert.equal((await client.answer()).status, 200);
    client.close();
});

const framing = {
    'two lengths': 'Content-Length: 4\r\nContent-Length: 4\r\n\r\n{} \n',
    'two different lengths': 'Content-Length: 4\r\nContent-Length: 50\r\n\r\n{} \n',
    'a list of lengths': 'Content-Length: 4, 4\r\n\r\n{} \n',
    'length and chunked': 'Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'chunked and length': 'Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n',
    'a negative length': 'Content-Length: -4\r\n\r\n{} \n',
    'a length that is no number': 'Content-Length: 4x\r\n\r\n{} \n',
    'a length with a sign': 'Content-Length: +4\r\n\r\n{} \n',
    'an unknown coding': 'Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n',
    'a folded header': 'X-Folded: one\r\n two\r\nContent-Length: 4\r\n\r\n{} \n',
    'a bad chunk': 'Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n',
};

test('framing that can be read in two ways is refused, and the connection closed', async () => {
    const smuggled =
        `GET /v1/models HTTP/1.1\r\nHost: x\r\n` + `Authorization: Bearer ${API_KEY}\r\n\r\n`;
    for (const [name, rest] of Object.entries(framing)) {
        const client = await gateway.raw();
        await client.send(
            `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
                `${rest}${smuggled}`,
        );
        const answer = await client.answer().catch((error) => {
            throw new Error(`${name}: ${error.message}`);
        });
        assertError(answer, 400, { type: 'invalid_request_error' }, name);
        await client.closed();
        assert.ok(!client.text.includes('HTTP/1.1 200'), name);
    }
});

// libh2o answers these by itself, before the gateway sees a request.
test('what is not HTTP is answered with 400 or nothing', async () => {
    for (const bytes of [
        '\r\n\r\n\r\n',
        'hello\r\n\r\n',
        '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
        `GET / HTTP/1.1\r\nX: ${'x'.repeat(600000)}\r\n\r\n`,
        `GET / HTTP/1.1\r\n${'X-A: b\r\n'.repeat(5000)}\r\n`,
        `POST ${chatPath} HTTP/1.1\r\nContent-Length : 4\r\n\r\n{} \n`,
        `GET / HTTP/1.1\r\nX-Request-Id: a\u0001b\r\n\r\n`,
    ]) {
        const client = await gateway.raw();
        client.send(Buffer.from(bytes, 'latin1'));
        client.socket.end();
        await client.closed();
        assert.match(client.text, /^(HTTP\/1\.1 (400|431|505) |$)/, bytes.slice(0, 40));
    }
    assert.equal((await gateway.chat('m')).status, 200);
});

test('CORS as any browser client needs it', async () => {
    const preflight = await gateway.call({
        method: 'OPTIONS',
        path: chatPath,
        key: null,
        headers: {
            origin: 'https://app.example',
            'access-control-request-method': 'POST',
            'access-control-request-headers': 'authorization,content-type,x-stainless-os',
        },
    });
    assert.ok([200, 204].includes(preflight.status), String(preflight.status));
    assert.equal(preflight.headers['access-control-allow-origin'], '*');
    assert.match(preflight.headers['access-control-allow-methods'], /POST/);
    const allowed = preflight.headers['access-control-allow-headers'].toLowerCase();
    assert.ok(allowed === '*' || /authorization/.test(allowed), allowed);
    assert.ok(allowed === '*' || /content-type/.test(allowed), allowed);
    assert.equal(preflight.headers['access-control-allow-credentials'], undefined);
    const origin = { headers: { origin: 'https://app.example' } };
    for (const answer of [
        await gateway.chat('m', {}, origin),
        await gateway.chat('m', { stream: true }, origin),
        await bare.chat('nothing', {}, origin),
        await gateway.call({ body: 'x', key: 'wrong', ...origin }),
    ]) {
        assert.equal(answer.headers['access-control-allow-origin'], '*', String(answer.status));
        assert.equal(answer.headers['access-control-allow-credentials'], undefined);
    }
});

test('x-request-id is taken over, returned and logged', async () => {
    const id = 'client-id.42_A';
    const answer = await gateway.chat('m', {}, { headers: { 'x-request-id': id } });
    assert.equal(answer.headers['x-request-id'], id);
    await gateway.waitLog(id);
    const failed = await bare.chat('nothing', {}, { headers: { 'x-request-id': 'failed-7' } });
    assert.equal(failed.headers['x-request-id'], 'failed-7');
    const own = await gateway.chat('m');
    const next = await gateway.chat('m');
    assert.match(own.headers['x-request-id'], /^[\x21-\x7e]{8,64}$/);
    assert.notEqual(own.headers['x-request-id'], next.headers['x-request-id']);
    for (const odd of ['x'.repeat(5000), 'a b', 'é', '"quoted"', '']) {
        const client = await gateway.raw();
        await client.send(gateway.rawRequest(chatRequest('m'), { 'X-Request-Id': odd }));
        const answered = await client.answer();
        const returned = answered.header('x-request-id');
        assert.match(returned, /^[\x21-\x7e]{1,200}$/, odd.slice(0, 20));
        client.close();
    }
});

test('the log has one line a request, and no secret', async () => {
    const marker = 'body-marker-68c1';
    await gateway.call({
        headers: { 'x-request-id': 'logged-1' },
        body: chatRequest('logged-model', { messages: [{ role: 'user', content: marker }] }),
    });
    await gateway.call({ method: 'GET', path: `/${API_KEY}/ui`, key: null });
    await gateway.call({ method: 'GET', path: `/${API_KEY}`, key: null });
    await gateway.call({ method: 'GET', path: `/v1/models?key=${API_KEY}` });
    await gateway.chat('m', {}, { headers: { 'x-request-id': 'logged-2' } });
    await gateway.waitLog('logged-2');
    const lines = gateway.log.split('\n').filter((line) => line.includes('logged-1'));
    assert.equal(lines.length, 1, lines.join('\n'));
    for (const word of ['logged-model', '200', chatPath]) {
        assert.ok(lines[0].includes(word), lines[0]);
    }
    for (const target of [gateway, bare]) {
        for (const secret of [API_KEY, UPSTREAM_KEY, marker, 'Say hello']) {
            assert.ok(!target.log.includes(secret), `${secret} in the log`);
        }
    }
});

test('the log as JSON', async () => {
    const logged = await startGateway({ env: { LLM_GATE_LOG_FORMAT: 'json', LOG_LEVEL: 'DEBUG' } });
    await logged.chat('echo', {}, { headers: { 'x-request-id': 'json-1' } });
    await logged.chat('no-"\\-\u00e9model', {}, { headers: { 'x-request-id': 'json-2' } });
    await logged.waitLog('json-2');
    await logged.stop();
    const lines = logged.log.split('\n').filter((line) => line.includes('"json-'));
    assert.equal(lines.length, 2, logged.log);
    const [first, second] = lines.map((line) => JSON.parse(line));
    assert.equal(first.status, 200);
    assert.equal(first.model, 'echo');
    assert.equal(second.status, 404);
    assert.equal(second.model, 'no-"\\-\u00e9model');
});

test('LOG_LEVEL ERROR hides the request lines', async () => {
    const silent = await startGateway({
        env: { LOG_LEVEL: 'ERROR' },
        listen: `127.0.0.1:${await closedPort()}`,
    });
    await silent.chat('echo', {}, { headers: { 'x-request-id': 'hidden-1' } });
    await silent.stop();
    assert.ok(!silent.log.includes('hidden-1'), silent.log);
});
