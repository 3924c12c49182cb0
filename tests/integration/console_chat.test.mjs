// POST /admin/api/chat: a chat of the console takes the way of every request, and says why.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chatStream, chunkOf } from '../upstream/scenarios.mjs';
import { Browser, own, startConsole } from './console_rig.mjs';
import {
    API_KEY,
    UPSTREAM_KEY,
    assertError,
    chatRequest,
    slow,
    startGateway,
    stopAll,
    textOf,
    until,
} from './helper.mjs';
import { Mock } from '../upstream/mock.mjs';

const chat = '/admin/api/chat';
const WRONG = 'A'.repeat(43);
let mock, gateway, browser;
before(async () => {
    mock = await Mock.start();
    gateway = await startConsole({
        env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: mock.base },
        conf: {
            'routing.lua': `return function(req)
                if req.key == "console" and req.model == "by-path" then
                    return { reject = { status = 418, message = req.path } }
                end
            end`,
        },
    });
    browser = await Browser.enter(gateway);
});
after(() => stopAll(gateway, mock));

const ask = (model, more, headers = own) =>
    browser.call('POST', chat, { body: chatRequest(model, more), headers });
const served = async () => (await browser.ask('GET', '/accounts/echo/0')).account.served;
const explained = (answer) => JSON.parse(answer.headers['x-gate-explain']);
const ofStream = (text) => JSON.parse(/^: x-gate-explain (.*)$/m.exec(text)[1]);

// A chat of the session on a plain socket.
async function rawChat(model, more, headers = {}) {
    const client = await gateway.raw();
    const body = Buffer.from(JSON.stringify(chatRequest(model, more)));
    const lines = Object.entries({
        Host: `127.0.0.1:${gateway.port}`,
        Cookie: `gate_session=${browser.token}`,
        ...own,
        ...headers,
        'Content-Length': body.length,
    }).map(([name, value]) => `${name}: ${value}\r\n`);
    await client.send(Buffer.concat([Buffer.from(`POST ${chat} HTTP/1.1\r\n${lines.join('')}\r\n`), body]));
    return client;
}

// ---------------------------------------------------------------- answers

test('a whole answer: that of the clients\' address, with the explanation in a header', async () => {
    const answer = await ask('echo');
    const other = await gateway.chat('echo');
    assert.equal(answer.status, 200);
    assert.equal(answer.json.choices[0].message.content, 'Say hello.');
    assert.deepEqual(Object.keys(answer.json), Object.keys(other.json));
    const why = explained(answer);
    assert.equal(why.key, 'console');
    assert.equal(why.path, '/v1/chat/completions');
    assert.equal(why.generation, 1);
    assert.ok(!('stage' in why));
    assert.equal(why.attempts[0].account, 'echo/0');
    assert.equal(answer.headers['access-control-allow-origin'], undefined);
    assert.equal(why.id, answer.headers['x-request-id']);
});

test('a stream: the explanation is its first comment, the rest is as it came', async () => {
    mock.when('flow', { headers: { 'Content-Type': 'text/event-stream' }, body: chatStream('one two') });
    const answer = await ask('flow', { stream: true });
    assert.equal(answer.status, 200);
    assert.match(answer.headers['content-type'], /^text\/event-stream/);
    assert.match(answer.text, /^: x-gate-explain \{.*\}\n\ndata: /);
    assert.equal(ofStream(answer.text).key, 'console');
    assert.equal(textOf(answer.text), 'one two');
    const plain = await gateway.chat('flow', { stream: true });
    assert.equal(answer.text.slice(answer.text.indexOf('data: ')), plain.text);
});

test('scripts see the path of the clients, and the key "console"', async () => {
    const answer = await ask('by-path');
    assert.equal(answer.status, 418);
    assert.equal(answer.json.error.message, '/v1/chat/completions');
    assert.equal(explained(answer).outcome, 'rejected');
    assert.equal((await gateway.chat('by-path')).status, 200);
});

test('it is counted, logged and listed', async () => {
    const id = 'console-chat-1';
    const before = await served();
    const answer = await ask('echo', {}, { ...own, 'x-request-id': id });
    assert.equal(answer.status, 200);
    assert.equal(await served(), before + 1);
    const { request } = await browser.ask('GET', `/requests/${id}`);
    assert.equal(request.key, 'console');
    assert.equal(request.outcome, 'success');
    assert.equal(request.generation, 1);
    // The log has the address that was called.
    await gateway.waitLog(new RegExp(`^.*${id}.*/admin/api/chat|/admin/api/chat.*${id}`, 'm'));
});

// ---------------------------------------------------------------- errors

test('what is wrong is told in the shape of the clients\' API', async () => {
    for (const body of ['', 'nonsense', '[]', '{"model":"echo"', '{"messages":[]}', '{"model":7}']) {
        const answer = await browser.call('POST', chat, { body, headers: own });
        const error = assertError(answer, 400, {}, body);
        assert.ok(error.code);
        const other = await gateway.call({ body });
        assert.deepEqual(answer.json, other.json, body);
    }
});

test('an upstream that fails', async () => {
    mock.when('broken', { status: 500, body: '{"error":{"message":"down"}}' });
    const answer = await ask('broken');
    assert.ok(answer.status >= 500, answer.text);
    const why = explained(answer);
    assert.match(why.outcome, /^error:/);
    assert.equal(why.attempts[0].account, 'openai/0');
    await browser.ask('POST', '/accounts/openai/0/clear');
});

test('a model that nobody serves', async () => {
    const echo = await startConsole();
    try {
        const other = await Browser.enter(echo);
        for (const stream of [false, true]) {
            const answer = await other.admin('POST', '/chat', chatRequest('nobody', { stream }));
            assertError(answer, 404, { code: 'model_not_found', param: 'model' });
            assert.equal(explained(answer).outcome, 'error:model_not_found');
        }
    } finally {
        await echo.stop();
    }
});

test('a stream that fails under way ends with an error event', async () => {
    mock.when('cut', async (request, reply) => {
        await reply.head();
        await reply.event(chunkOf({ content: 'one ' }));
        await reply.end();
    });
    const answer = await ask('cut', { stream: true });
    assert.match(answer.text, /^: x-gate-explain /);
    assert.match(answer.text, /data: \{"error":/);
    await browser.ask('POST', '/accounts/openai/0/clear');
});

test('max_body bounds it, and not the limit of the API', async () => {
    const content = 'x'.repeat(5 << 20);
    const answer = await ask('echo', { messages: [{ role: 'user', content }] });
    assert.equal(answer.status, 200);
    assert.ok(explained(answer).bytes_in > content.length);
    const small = await startConsole({ conf: { 'gateway.lua': 'return { max_body = 2000 }' } });
    try {
        const other = await Browser.enter(small);
        const big = chatRequest('echo', { user: 'x'.repeat(2000) });
        assertError(await other.admin('POST', '/chat', big), 413, { code: 'request_too_large' });
    } finally {
        await small.stop();
    }
});

// ---------------------------------------------------------------- who may

test('who may not: nobody in, a session that is over, the wrong key, other pages', async () => {
    const body = chatRequest('echo');
    const call = (key, headers = {}) => gateway.call({ path: chat, key, headers, body });
    assertError(await call(null), 401, { code: 'missing_api_key' });
    assertError(await call(`${API_KEY}x`), 401, { code: 'invalid_api_key' });
    const over = { ...own, cookie: `gate_session=${WRONG}` };
    assertError(await call(null, over), 401, { code: 'session_expired' });
    const before = await served();
    const host = `127.0.0.1:${gateway.port}`;
    for (const headers of [
        {},
        { ...own, 'x-gate-ui': '0' },
        { ...own, 'content-type': 'text/plain' },
        { ...own, 'sec-fetch-site': 'same-site', origin: 'http://127.0.0.1:1' },
        { 'x-gate-ui': '1', 'content-type': 'application/json', origin: 'http://127.0.0.1:1' },
    ]) {
        assertError(await ask('echo', {}, headers), 403, { code: 'csrf' }, JSON.stringify(headers));
    }
    assert.equal(await served(), before);
    const same = { 'x-gate-ui': '1', 'content-type': 'application/json', origin: `http://${host}` };
    assert.equal((await ask('echo', {}, same)).status, 200);
    assert.equal((await call(API_KEY)).status, 200);
});

test('with ADMIN_KEY it takes that one', async () => {
    const ADMIN_KEY = 'admin-it-90c2d5f1aa37';
    const other = await startGateway({ env: { ADMIN_KEY } });
    try {
        const call = (key) => other.call({ path: chat, key, body: chatRequest('echo') });
        assertError(await call(API_KEY), 401);
        assert.equal(explained(await call(ADMIN_KEY)).key, 'console');
    } finally {
        await other.stop();
    }
});

test('methods and addresses beside it', async () => {
    for (const method of ['GET', 'PUT', 'DELETE']) {
        const answer = await browser.call(method, chat, { headers: own });
        const error = assertError(answer, 405, { code: 'method_not_allowed' });
        assert.ok(error.message.includes('Allowed: POST.'));
    }
    assertError(await browser.call('POST', `${chat}/x`, { headers: own, body: '{}' }), 404);
    assertError(await browser.call('POST', '/admin/api/%63hat', { headers: own, body: '{}' }), 404);
});

test('an unknown stage is 404, before anything is asked', async () => {
    for (const id of ['', 'x', '0'.repeat(32)]) {
        const answer = await ask('echo', {}, { ...own, 'x-gate-stage': id });
        assertError(answer, 404, { code: 'unknown_stage', param: 'x-gate-stage' });
    }
});

// ---------------------------------------------------------------- leaving, crowds

test('who leaves in mid-stream cancels the upstream', async () => {
    mock.reset();
    mock.when('held', async (request, reply) => {
        await reply.head();
        await reply.event(chunkOf({ content: 'first' }));
        await reply.closed;
    });
    const client = await rawChat('held', { stream: true }, { 'x-request-id': 'left-1' });
    await client.wait(() => client.text.includes('first'), { timeout: 5000 * slow, what: 'first' });
    client.close();
    await until(() => mock.busy === 0, { timeout: 3000 * slow, what: () => 'the upstream to be left' });
    let found;
    await until(async () => {
        const answer = await browser.admin('GET', '/requests/left-1');
        found = answer.status === 200 && answer.json.request;
        return found;
    }, { timeout: 3000 * slow, what: () => 'the request in the list' });
    assert.equal(found.outcome, 'cancelled');
    assert.equal(found.key, 'console');
});

test('100 at once, while the API answers others', async () => {
    mock.reset();
    let release;
    const go = new Promise((done) => (release = done));
    mock.when('crowd', async () => {
        await go;
        return { headers: { 'Content-Type': 'text/event-stream' }, body: chatStream('here') };
    });
    const answers = Array.from({ length: 100 }, () => ask('crowd', { stream: true }));
    await until(() => mock.requests.length === 100, {
        timeout: 10000 * slow,
        what: () => `100 requests at the upstream, not ${mock.requests.length}`,
    });
    // They wait on their workers: the control thread and its queue are free.
    assert.equal((await browser.ask('GET', '/stats')).workers.reduce((sum, w) => sum + w.active, 0), 100);
    assert.equal((await ask('echo')).status, 200);
    release();
    for (const answer of await Promise.all(answers)) {
        assert.equal(textOf(answer.text), 'here');
    }
    assert.equal(gateway.exit, null, gateway.tail);
});
