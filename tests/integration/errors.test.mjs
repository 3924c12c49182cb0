// What the gateway refuses of a request's key and body, always in the OpenAI shape.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
    API_KEY,
    assertError,
    chatPath,
    chatRequest,
    startGateway,
    startPair,
    stopAll,
} from './helper.mjs';

let mock, gateway, bare;

before(async () => {
    ({ mock, gateway } = await startPair());
    bare = await startGateway();
});
after(() => stopAll(gateway, bare, mock));

test('malformed JSON: the offset of the byte where it is noticed', async () => {
    const cases = [
        ['', 0],
        ['{', 1],
        ['[]', 0],
        ['"model"', 0],
        ['{"model":"m"', 12],
        ['{"model":"m",}', 13],
        ['{"model":"m" "stream":true}', 13],
        ['{"model":"m"}x', 13],
        ['{"model":"m","a":"open}', 23],
        ['{"model":"m","a":[1,2}}', 21],
        ['{"model" "m"}', 9],
        ['{model:"m"}', 1],
        ['\ufeff{"model":"m"}', 0],
        ['{"model":"€"?}', 14],
    ];
    for (const [body, offset] of cases) {
        const answer = await gateway.call({ body });
        const { message } = assertError(answer, 400, { type: 'invalid_request_error' }, body);
        assert.match(message, new RegExp(`\\bbyte ${offset}\\b`), body);
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
    for (const [name, value] of [
        ['stream', 'yes'],
        ['messages', {}],
        ['tools', 'none'],
        ['stream_options', []],
    ]) {
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
        type: 'invalid_request_error',
        code: 'model_not_found',
        param: 'model',
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
            assertError(
                await ask({ key: null, headers: { authorization } }),
                401,
                {},
                authorization,
            );
        }
    }
    const lower = await gateway.chat(
        'm',
        {},
        {
            key: null,
            headers: { authorization: `bearer ${API_KEY}` },
        },
    );
    assert.equal(lower.status, 200);
});

test('two Authorization headers that differ do not let a wrong key in', async () => {
    const body = JSON.stringify(chatRequest('m'));
    const client = await gateway.raw();
    await client.send(
        `POST ${chatPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer wrong\r\n` +
            `Authorization: Bearer ${API_KEY}\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
    );
    const answer = await client.answer();
    assertError(answer, answer.status === 400 ? 400 : 401);
    client.close();
});

test('deep nesting is bounded', async () => {
    const nested = (depth) =>
        `{"model":"m","messages":[],"x":${'['.repeat(depth)}${']'.repeat(depth)}}`;
    assertError(await gateway.call({ body: nested(10000) }), 400, { message: /nest|deep|depth/i });
    const objects = `${'{"a":'.repeat(10000)}1${'}'.repeat(10000)}`;
    assertError(await gateway.call({ body: `{"model":"m","messages":[],"x":${objects}}` }), 400);
    const fine = nested(500);
    assert.equal((await gateway.call({ body: fine })).status, 200);
    assert.equal(mock.last.body.toString(), fine);
});

test('a string of 30 MB passes unchanged', async () => {
    const body = Buffer.from(
        `{"model":"m","messages":[{"role":"user","content":"${'xy\\n'.repeat(7864320)}"}]}`,
    );
    assert.ok(body.length > 30 << 20 && body.length < 32 << 20);
    const answer = await gateway.call({ body });
    assert.equal(answer.status, 200);
    assert.ok(mock.last.body.equals(body));
});

test("bytes inside strings are the upstream's to judge", async () => {
    const cases = {
        'invalid UTF-8': Buffer.from([0xff, 0xfe, 0xc3, 0x28, 0xed, 0xa0, 0x80]),
        'a lone surrogate': Buffer.from('\\ud83d \\ude00\\ud83d'),
        'a NUL byte': Buffer.from([0x61, 0x00, 0x62]),
        'an escaped NUL': Buffer.from('a\\u0000b'),
        'control bytes': Buffer.from([0x01, 0x0a, 0x0d, 0x1f, 0x7f]),
    };
    for (const [name, bytes] of Object.entries(cases)) {
        const body = Buffer.concat([
            Buffer.from('{"model":"m","messages":[{"role":"user","content":"'),
            bytes,
            Buffer.from('"}]}'),
        ]);
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
