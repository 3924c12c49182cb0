// Every refusal and failure that a client can meet, always in the OpenAI shape.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
    broken, chunkOf, garbage, inStream, pages, refusals, stalls, streamOf,
} from '../upstream/scenarios.mjs';
import {
    API_KEY, UPSTREAM_KEY, assertError, chatPath, chatRequest, closedPort, payloads, slow,
    startGateway, startPair, stopAll, until,
} from './helper.mjs';

const LIMIT = 100000;
const SOON = 300 * slow; // the short clocks of these tests, in ms
let mock, gateway, bare, quick;

before(async () => {
    ({ mock, gateway } = await startPair());
    bare = await startGateway({ env: { LLM_GATE_MAX_BODY: LIMIT } });
    quick = await startGateway({
        conf: {
            'gateway.lua': `return {
                header_timeout_ms = ${SOON},
                body_timeout_ms = ${SOON},
                clocks = { first_token_ms = ${SOON}, idle_ms = ${SOON}, total_ms = ${4 * SOON} },
            }`,
        },
        env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: mock.base },
    });
});
after(() => stopAll(gateway, bare, quick, mock));

test('malformed JSON: the offset of the byte where it is noticed', async () => {
    const cases = [
        ['', 0], ['{', 1], ['[]', 0], ['"model"', 0], ['{"model":"m"', 12], ['{"model":"m",}', 13],
        ['{"model":"m" "stream":true}', 13], ['{"model":"m"}x', 13], ['{"model":"m","a":"open}', 17],
        ['{"model":"m","a":[1,2}}', 21], ['{"model" "m"}', 9], ['{model:"m"}', 1],
        ['\ufeff{"model":"m"}', 0],
    ];
    for (const [body, offset] of cases) {
        const answer = await gateway.call({ body });
        const { message } = assertError(answer, 400, { type: 'invalid_request_error' }, body);
        const said = Number(/\bbyte (\d+)/.exec(message)?.[1]);
        assert.ok(said >= offset && said <= Buffer.byteLength(body), `${body}: ${message}`);
        assert.ok(said - offset <= 5, `${body}: ${message}`);
    }
    assert.equal(mock.requests.length, 0);
});

test('missing or wrong model', async () => {
    for (const model of [undefined, null, 5, '', [], {}, true]) {
        const answer = await gateway.call({ body: { model, messages: [] } });
        assertError(answer, 400, { type: 'invalid_request_error', param: 'model' }, String(model));
    }
    const long = await gateway.call({ body: { model: 'x'.repeat(5000), messages: [] } });
    assertError(long, 400, { param: 'model' });
});

test('wrong types of what is looked at', async () => {
    for (const [name, value] of [['stream', 'yes'], ['messages', {}], ['tools', 'none'],
        ['stream_options', []]]) {
        const answer = await gateway.call({ body: { model: 'm', messages: [], [name]: value } });
        assertError(answer, 400, { param: name }, name);
    }
});

test('a name that appears twice is refused where it would decide', async () => {
    for (const name of ['model', 'stream', 'messages']) {
        const value = { model: '"m"', stream: 'true', messages: '[]' }[name];
        const answer = await gateway.call({
            body: `{"model":"m","messages":[],"stream":false,"${name}":${value}}`,
        });
        assertError(answer, 400, { param: name }, name);
    }
    const escaped = await gateway.call({ body: '{"model":"m","mod\\u0065l":"n","messages":[]}' });
    assertError(escaped, 400, { param: 'model' });
    const harmless = await gateway.call({ body: '{"model":"m","seed":1,"seed":2,"messages":[]}' });
    assert.equal(harmless.status, 200);
});

test('an unknown model: 404, with what exists', async () => {
    const answer = await bare.chat('no-such-model');
    assertError(answer, 404, {
        type: 'invalid_request_error', code: 'model_not_found', param: 'model',
        message: /no-such-model.*\becho\b/,
    });
    const nasty = await bare.chat('"\n\u0000<script>\u{1f600}');
    assert.ok([400, 404].includes(nasty.status));
    assertError(nasty, nasty.status);
});

test('keys: missing, wrong, in a wrong scheme', async () => {
    for (const path of [chatPath, '/v1/models']) {
        const method = path === chatPath ? 'POST' : 'GET';
        const ask = (options) => gateway.call({ method, path, body: undefined, ...options });
        assertError(await ask({ key: null }), 401, { type: 'authentication_error' });
        for (const key of ['x', API_KEY.slice(0, -1), `${API_KEY}x`, API_KEY.toUpperCase()]) {
            const answer = await ask({ key });
            assertError(answer, 401, { type: 'authentication_error', code: 'invalid_api_key' });
            assert.ok(!answer.text.includes(key) || key === 'x');
        }
        for (const authorization of [API_KEY, `Basic ${API_KEY}`, 'Bearer', 'Bearer ', '']) {
            assertError(await ask({ key: null, headers: { authorization } }), 401, {}, authorization);
        }
    }
    const lower = await gateway.chat('m', {}, {
        key: null, headers: { authorization: `bearer ${API_KEY}` },
    });
    assert.equal(lower.status, 200);
});

test('two Authorization headers that differ do not let a wrong key in', async () => {
    const body = JSON.stringify(chatRequest('m'));
    const client = await gateway.raw();
    await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n` +
        `Authorization: Bearer ${API_KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`);
    const answer = await client.answer();
    assertError(answer, answer.status === 400 ? 400 : 401);
    client.close();
});

test('a wrong method: 405 with Allow', async () => {
    const cases = [['GET', chatPath, 'POST'], ['PUT', chatPath, 'POST'], ['DELETE', chatPath, 'POST'],
        ['POST', '/v1/models', 'GET'], ['POST', '/health', 'GET']];
    for (const [method, path, allowed] of cases) {
        const answer = await gateway.call({ method, path, body: method === 'GET' ? undefined : '{}' });
        assertError(answer, 405, {}, `${method} ${path}`);
        assert.ok(answer.headers.allow.split(/, */).includes(allowed), answer.headers.allow);
        assert.ok(!answer.headers.allow.split(/, */).includes(method), answer.headers.allow);
    }
});

test('an unknown path: 404, the same for the path that carries a key', async () => {
    const ask = (path) => gateway.call({ method: 'GET', path, key: null });
    const unknown = await ask('/no/such/path');
    assertError(unknown, 404);
    const plain = (answer) => answer.rawHeaders.filter((_, i, all) => {
        const name = all[i - (i % 2)].toLowerCase();
        return !['date', 'x-request-id'].includes(name);
    });
    for (const path of ['/wrong-key-wrong-key/ui', '/gate-0123456789abcdef/ui/', '/v1/nothing']) {
        const answer = await ask(path);
        assert.equal(answer.status, 404, path);
        assert.deepEqual(answer.body, unknown.body, path);
        assert.deepEqual(plain(answer), plain(unknown), path);
    }
});

test('a body over the limit: 413, while the client is still sending', async () => {
    const big = Buffer.alloc(4 * LIMIT, 'x');
    const declared = await bare.raw();
    await declared.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
        `Content-Length: ${big.length}\r\n\r\n`);
    declared.send(big);
    assertError(await declared.answer(), 413, { code: 'request_too_large' });
    declared.close();

    const chunked = await bare.raw();
    await chunked.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
        'Transfer-Encoding: chunked\r\n\r\n');
    for (let i = 0; i < 40 && !chunked.ended && chunked.size === 0; i++) {
        await chunked.send(Buffer.concat([Buffer.from('2710\r\n'), big.subarray(0, 10000),
            Buffer.from('\r\n')]));
    }
    assertError(await chunked.answer(), 413, { code: 'request_too_large' });
    chunked.close();

    const huge = await bare.raw();
    await huge.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
        'Content-Length: 99999999999\r\n\r\n');
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
    await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
        'Transfer-Encoding: chunked\r\n\r\n');
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
    await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
        `Content-Length: ${body.length}\r\nExpect: 100-continue\r\n\r\n`);
    await client.wait(() => client.text.startsWith('HTTP/1.1 100 '), { what: '100 Continue' });
    await client.send(body);
    assert.equal((await client.answer()).status, 200);
    client.close();
});

test('a slow head: 408', async () => {
    const client = await quick.raw();
    await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nX-Slow: `);
    assertError(await client.answer(), 408, { type: 'invalid_request_error' });
    await client.closed();
});

test('a stalled body: 408', async () => {
    const client = await quick.raw();
    await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
        'Content-Length: 100\r\n\r\n{"model":');
    assertError(await client.answer(), 408, { type: 'invalid_request_error' });
    await client.closed();
});

test('a body that is slow and goes on is not cut', async () => {
    const client = await quick.raw();
    const bytes = quick.rawRequest(chatRequest('echo'));
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
    'a space before the colon': 'Content-Length : 4\r\n\r\n{} \n',
    'a bad chunk': 'Transfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n',
};

test('framing that two readers could read differently is refused, and the connection closed', async () => {
    const smuggled = `GET /v1/models HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n\r\n`;
    for (const [name, rest] of Object.entries(framing)) {
        const client = await gateway.raw();
        await client.send(`POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${API_KEY}\r\n` +
            `${rest}${smuggled}`);
        const answer = await client.answer().catch((error) => {
            throw new Error(`${name}: ${error.message}`);
        });
        assertError(answer, 400, { type: 'invalid_request_error' }, name);
        await client.closed();
        assert.ok(!client.text.includes('HTTP/1.1 200'), name);
    }
});

test('what is not HTTP is answered with 400 or nothing', async () => {
    for (const bytes of ['\r\n\r\n\r\n', 'hello\r\n\r\n', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03',
        'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', `GET / HTTP/1.1\r\nX: ${'x'.repeat(600000)}\r\n\r\n`,
        `GET / HTTP/1.1\r\n${'X-A: b\r\n'.repeat(5000)}\r\n`]) {
        const client = await gateway.raw();
        client.send(Buffer.from(bytes, 'latin1'));
        client.socket.end();
        await client.closed();
        assert.match(client.text, /^(HTTP\/1\.1 (400|431|505) |$)/, bytes.slice(0, 40));
    }
    assert.equal((await gateway.chat('m')).status, 200);
});

test('the upstream cannot be reached: 502', async () => {
    for (const base of [`http://127.0.0.1:${await closedPort()}/v1`, 'http://does-not-exist.invalid/v1']) {
        const lost = await startGateway({ env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: base } });
        for (const stream of [false, true]) {
            assertError(await lost.chat('m', { stream }), 502, { type: 'upstream_error' }, base);
        }
        await lost.stop();
    }
});

test('refusals of the upstream reach the client with their status and words', async () => {
    for (const [name, scenario] of Object.entries(refusals)) {
        for (const stream of [false, true]) {
            mock.push(scenario);
            const answer = await gateway.chat('m', { stream });
            const error = assertError(answer, scenario.status, {}, name);
            if (scenario.body.toString().startsWith('{')) {
                assert.equal(error.message, JSON.parse(scenario.body).error.message, name);
            }
        }
    }
    mock.push(refusals['rate-limit']);
    assert.equal((await gateway.chat('m')).headers['retry-after'], '7');
});

test('pages instead of answers: 502, and nothing of the page', async () => {
    for (const [name, scenario] of Object.entries(pages)) {
        for (const stream of [false, true]) {
            mock.push(scenario);
            const answer = await gateway.chat('m', { stream });
            assertError(answer, 502, { type: 'upstream_error' }, name);
            assert.ok(!/<html|<h1/i.test(answer.text), name);
        }
    }
    assert.ok(mock.requests.every((r) => r.path === '/v1/chat/completions'));
});

test('garbage: 502', async () => {
    for (const [name, scenario] of Object.entries(garbage)) {
        for (const stream of [false, true]) {
            mock.push(scenario);
            const answer = await gateway.chat('m', { stream }).catch((error) => {
                throw new Error(`${name}: ${error}\n${gateway.log.slice(-500)}`);
            });
            assertError(answer, 502, { type: 'upstream_error' }, name);
        }
    }
});

// What a client may see of an answer that breaks off: an error status, a stream that says that it
// failed, or a message that is visibly not complete. Never a whole answer.
function assertNotWhole(answer, name) {
    if (answer.status !== 200) {
        assertError(answer, 502, { type: 'upstream_error' }, name);
        return;
    }
    const said = payloads(answer.text).filter((data) => data !== '[DONE]').map((d) => JSON.parse(d));
    assert.ok(said.some((data) => data.error?.message), `${name}: ${answer.text}`);
}

test('answers that break off are not taken for whole', async () => {
    for (const [name, scenario] of Object.entries(broken)) {
        for (const stream of [false, true]) {
            mock.push(scenario);
            const answer = await gateway.chat('m', { stream }).catch((error) => {
                assert.equal(error.code, 'ECONNRESET', name);
                return null;
            });
            if (answer) {
                assertNotWhole(answer, name);
            }
        }
    }
});

test('a long answer that breaks off leaves the client with a broken message', async () => {
    const long = `{"choices":[{"message":{"content":"${'x'.repeat(300000)}`;
    for (const scenario of [{ body: long, framing: 'chunked', stopAfter: 1e9, end: 'close' },
        { body: long, declaredLength: 400000, end: 'close' }]) {
        mock.push(scenario);
        await assert.rejects(gateway.chat('m'), { code: 'ECONNRESET' });
    }
});

test('failures inside a 200 that come first get a status of their own', async () => {
    for (const name of ['event-error', 'error-finish', 'no-content', 'only-done', 'empty-stream']) {
        mock.push(inStream[name]);
        const answer = await gateway.chat('m', { stream: true });
        if (answer.status === 200) {
            assertNotWhole(answer, name);
        } else {
            assert.ok(answer.status === 429 || answer.status >= 500 || name === 'event-error',
                `${name} ${answer.status}`);
            assertError(answer, answer.status, {}, name);
        }
    }
});

test('a failure behind the first text is passed on in the stream', async () => {
    mock.push(inStream['error-object']);
    const answer = await gateway.chat('m', { stream: true });
    assert.equal(answer.status, 200);
    assert.match(answer.text, /The quick/);
    assert.match(answer.text, /The engine failed/);
});

test('silence before the first token: 504', async () => {
    for (const name of ['stall-silent', 'stall-after-head', 'stall-in-head']) {
        for (const stream of [false, true]) {
            mock.push(stalls[name]);
            const answer = await quick.chat('m', { stream });
            assertError(answer, 504, {}, `${name} stream=${stream}`);
        }
    }
    await until(() => mock.busy === 0, { what: () => 'the stalled connections to be closed' });
});

test('silence inside a stream ends it with an error', async () => {
    mock.push(stalls['stall-in-body']);
    const answer = await quick.chat('m', { stream: true });
    assert.equal(answer.status, 200);
    assertNotWhole(answer, 'stall-in-body');
    mock.push(stalls['stall-in-length']);
    assertError(await quick.chat('m'), 504, {}, 'stall-in-length');
});

test('an endless answer is cut by the total clock', async () => {
    mock.push(async (request, reply) => {
        await reply.head();
        for (let i = 0; ; i++) {
            await reply.event(chunkOf({ content: `${i} ` }));
            await new Promise((done) => {
                setTimeout(done, SOON / 10);
            });
        }
    });
    const at = performance.now();
    const answer = await quick.chat('m', { stream: true });
    const took = performance.now() - at;
    assert.equal(answer.status, 200);
    assertNotWhole(answer, 'endless');
    assert.ok(took > 3 * SOON && took < 10 * SOON, `${took} ms`);
    await until(() => mock.last.aborted);
});

test('a stream that moves is not cut by the idle clock', async () => {
    const body = streamOf(...Array.from({ length: 6 }, (_, i) => chunkOf({ content: `${i} ` })), '[DONE]');
    mock.push({ body, cut: 'events', gap: SOON / 4 });
    const answer = await quick.chat('m', { stream: true });
    assert.deepEqual(answer.body, body);
});

test('deep nesting is bounded', async () => {
    const nested = (depth) => `{"model":"m","messages":[],"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    assertError(await gateway.call({ body: nested(10000) }), 400, { message: /nest|deep|depth/i });
    const objects = `${'{"a":'.repeat(10000)}1${'}'.repeat(10000)}`;
    assertError(await gateway.call({ body: `{"model":"m","messages":[],"x":${objects}}` }), 400);
    const fine = nested(500);
    assert.equal((await gateway.call({ body: fine })).status, 200);
    assert.equal(mock.last.body.toString(), fine);
});

test('a string of 30 MB passes unchanged', async () => {
    const body = Buffer.from(`{"model":"m","messages":[{"role":"user","content":"${'xy\\n'.repeat(7864320)}"}]}`);
    assert.ok(body.length > 30 << 20 && body.length < 32 << 20);
    const answer = await gateway.call({ body });
    assert.equal(answer.status, 200);
    assert.ok(mock.last.body.equals(body));
});

test('bytes inside strings are the upstream\'s to judge', async () => {
    const cases = {
        'invalid UTF-8': Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80]),
        'a lone surrogate': Buffer.from('\\ud83d \\ude00\\ud83d'),
        'a NUL byte': Buffer.from([0x61, 0x00, 0x62]),
        'an escaped NUL': Buffer.from('a\\u0000b'),
        'control bytes': Buffer.from([0x01, 0x0a, 0x0d, 0x1f, 0x7f]),
    };
    for (const [name, bytes] of Object.entries(cases)) {
        const body = Buffer.concat([
            Buffer.from('{"model":"m","messages":[{"role":"user","content":"'), bytes,
            Buffer.from('"}]}')]);
        const answer = await gateway.call({ body });
        assert.equal(answer.status, 200, `${name}: ${answer.text}`);
        assert.ok(mock.last.body.equals(body), name);
    }
});

test('a NUL or broken UTF-8 in the model name is refused or passed, never cut', async () => {
    for (const name of ['a\\u0000b', 'a\u0000b', '\\ud83d']) {
        const seen = mock.requests.length;
        const answer = await gateway.call({ body: `{"model":"${name}","messages":[]}` });
        if (answer.status === 200) {
            assert.equal(mock.last.body.toString(), `{"model":"${name}","messages":[]}`);
        } else {
            assertError(answer, 400, { param: 'model' });
            assert.equal(mock.requests.length, seen);
        }
    }
});

test('CORS as any browser client needs it', async () => {
    const preflight = await gateway.call({
        method: 'OPTIONS', path: chatPath, key: null,
        headers: {
            origin: 'https://app.example', 'access-control-request-method': 'POST',
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
    for (const answer of [await gateway.chat('m', {}, origin),
        await gateway.chat('m', { stream: true }, origin), await bare.chat('nothing', {}, origin),
        await gateway.call({ body: 'x', key: 'wrong', ...origin })]) {
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
    for (const odd of ['x'.repeat(5000), 'a b', 'é\u0001', '"quoted"']) {
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
    for (const target of [gateway, bare, quick]) {
        for (const secret of [API_KEY, UPSTREAM_KEY, marker, 'Say hello']) {
            assert.ok(!target.log.includes(secret), `${secret} in the log`);
        }
    }
});

test('the log as JSON', async () => {
    const logged = await startGateway({ env: { LLM_GATE_LOG_FORMAT: 'json', LOG_LEVEL: 'DEBUG' } });
    await logged.chat('echo', {}, { headers: { 'x-request-id': 'json-1' } });
    await logged.chat('no-"\n-model', {}, { headers: { 'x-request-id': 'json-2' } });
    await logged.waitLog('json-2');
    await logged.stop();
    const lines = logged.log.split('\n').filter((line) => line.includes('"json-'));
    assert.equal(lines.length, 2, logged.log);
    const [first, second] = lines.map((line) => JSON.parse(line));
    assert.equal(first.status, 200);
    assert.equal(first.model, 'echo');
    assert.equal(second.status, 404);
    assert.equal(second.model, 'no-"\n-model');
});

test('LOG_LEVEL ERROR hides the request lines', async () => {
    const silent = await startGateway({
        env: { LOG_LEVEL: 'ERROR' }, listen: `127.0.0.1:${await closedPort()}`,
    });
    await silent.chat('echo', {}, { headers: { 'x-request-id': 'hidden-1' } });
    await silent.stop();
    assert.ok(!silent.log.includes('hidden-1'), silent.log);
});
