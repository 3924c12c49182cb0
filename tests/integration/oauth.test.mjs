// A stored Qwen login (QWEN_CREDS_JSON): where it goes, with which headers and marks.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { API_KEY, Mock, assertError, run, startGateway, stopAll } from './helper.mjs';
import { chatStream } from '../upstream/scenarios.mjs';

const TOKEN = 'oauth-token-27fd03ce';
let mock, gateway;
const credentials = (resource) =>
    JSON.stringify({
        access_token: TOKEN,
        refresh_token: 'refresh-91ab',
        token_type: 'Bearer',
        resource_url: resource,
        expiry_date: 4102444800000,
    });

// No token is ever renewed here, least of all at the real service.
const noService = {
    'gateway.lua': `return { providers = { { name = "qwen-oauth", plugin = "qwen",
        options = { auth_url = "http://127.0.0.1:9" } } } }`,
};

before(async () => {
    mock = await Mock.start();
    gateway = await startGateway({
        env: { QWEN_CREDS_JSON: credentials(mock.origin()), LLM_GATE_ALLOW_PRIVATE: 1 },
        conf: noService,
    });
});
after(() => stopAll(gateway, mock));

const user = { role: 'user', content: 'Hi' };
const ask = async (messages, more = {}) => {
    const answer = await gateway.call({ body: { model: 'coder-model', messages, ...more } });
    assert.equal(answer.status, 200, answer.text);
    return mock.last.json;
};
const marks = (value) => JSON.stringify(value).split('"cache_control"').length - 1;
const ephemeral = { type: 'ephemeral' };

test('headers of a login', async () => {
    await ask([user]);
    const request = mock.last;
    assert.equal(request.path, '/v1/chat/completions');
    assert.deepEqual(request.all('authorization'), [`Bearer ${TOKEN}`]);
    assert.equal(request.header('x-dashscope-authtype'), 'qwen-oauth');
    assert.equal(request.header('x-dashscope-cachecontrol'), 'enable');
    assert.match(request.header('user-agent'), /^QwenCode\/\d+\.\d+\.\d+ \(linux; x64\)$/);
    assert.equal(request.header('x-dashscope-useragent'), request.header('user-agent'));
});

test('a system message is put first when there is none', async () => {
    const sent = await ask([user]);
    assert.equal(sent.messages.length, 2);
    const [system, last] = sent.messages;
    assert.equal(system.role, 'system');
    assert.ok(Array.isArray(system.content));
    assert.deepEqual(system.content[system.content.length - 1].cache_control, ephemeral);
    assert.equal(last.role, 'user');
    assert.deepEqual(last.content, [{ type: 'text', text: 'Hi', cache_control: ephemeral }]);
});

test('a system message that is text becomes a list with a mark', async () => {
    const text = 'Be "brief".\n\u{1f600}\\';
    const sent = await ask([{ role: 'system', content: text }, user]);
    assert.equal(sent.messages.length, 2);
    assert.deepEqual(sent.messages[0], {
        role: 'system',
        content: [{ type: 'text', text, cache_control: ephemeral }],
    });
});

test('a list of parts gets its mark on the last part', async () => {
    const part = (text) => ({ type: 'text', text });
    const sent = await ask([
        { role: 'system', content: [part('a'), part('b')] },
        { role: 'user', content: [part('c'), part('d')] },
    ]);
    assert.deepEqual(sent.messages[0].content, [
        part('a'),
        { ...part('b'), cache_control: ephemeral },
    ]);
    assert.deepEqual(sent.messages[1].content, [
        part('c'),
        { ...part('d'), cache_control: ephemeral },
    ]);
});

test('marks of the client stay, and there are never more than four', async () => {
    const marked = (text) => ({ type: 'text', text, cache_control: ephemeral });
    const sent = await ask([
        { role: 'system', content: [marked('a'), marked('b')] },
        { role: 'user', content: [marked('c')] },
        { role: 'assistant', content: 'x' },
        { role: 'user', content: [marked('d')] },
    ]);
    assert.equal(marks(sent), 4);
    assert.deepEqual(sent.messages[3].content, [marked('d')]);
});

test('what no mark needs stays byte for byte', async () => {
    const body =
        '{"model":"coder-model", "messages":[ {"role":"system","content":"s"},' +
        '{"role":"user","content":"\\u00e9 \\/"} , {"content":"last","role":"user"} ],"z" : 1.50 }';
    assert.equal((await gateway.call({ body })).status, 200);
    const sent = mock.last.body.toString();
    assert.ok(
        sent.startsWith('{"model":"coder-model", "messages":[ {"role":"system","content":['),
        sent,
    );
    assert.ok(sent.includes('{"role":"user","content":"\\u00e9 \\/"} ,'), sent);
    assert.ok(sent.endsWith(',"role":"user"} ],"z" : 1.50 }'), sent);
    assert.equal(mock.last.header('content-length'), String(Buffer.byteLength(sent)));
});

test('tool answers and tool calls at the end', async () => {
    const call = { id: 'c1', type: 'function', function: { name: 'f', arguments: '{}' } };
    const messages = [
        user,
        { role: 'assistant', content: null, tool_calls: [call] },
        { role: 'tool', tool_call_id: 'c1', content: 'result' },
    ];
    const sent = await ask(messages);
    assert.deepEqual(sent.messages[2].tool_calls, [call]);
    assert.equal(sent.messages[3].tool_call_id, 'c1');
    assert.ok(marks(sent) <= 4);
});

test('a mapped model: the name and the marks', async () => {
    mock.push({ body: chatStream('ok') });
    const answer = await gateway.call({
        body: { model: 'research-model-v1', messages: [user], stream: true },
    });
    assert.equal(answer.status, 200);
    assert.equal(mock.last.model, 'coder-model');
    assert.equal(mock.last.json.messages[0].role, 'system');
    assert.deepEqual(answer.body, chatStream('ok'));
});

test('a token that is refused and cannot be renewed just now: no 401 to the client', async () => {
    const { refusals } = await import('../upstream/scenarios.mjs');
    mock.push(refusals['invalid-token']);
    assertError(await gateway.chat('coder-model'), 503, {
        code: 'no_account_available',
        message: /its token could not be renewed/,
    });
});

test('addresses that come with a login must be public and https', async () => {
    for (const resource of [
        mock.origin(),
        `https://127.0.0.1:${mock.port}`,
        `127.0.0.1:${mock.port}`,
        `https://localhost:${mock.port}`,
        'http://portal.qwen.ai',
        `https://[::1]:${mock.port}`,
        `https://[::ffff:127.0.0.1]:${mock.port}`,
        'https://10.1.2.3',
        'https://169.254.169.254',
        'https://0x7f000001',
        'https://2130706433',
    ]) {
        const seen = mock.requests.length;
        const env = {
            API_KEY,
            QWEN_CREDS_JSON: credentials(resource),
            LLM_GATE_LISTEN: '127.0.0.1:0',
        };
        let gatewayOrNull = null;
        try {
            gatewayOrNull = await startGateway({ env, conf: noService });
        } catch (error) {
            assert.match(error.message, /qwen|resource_url|private|https/i, resource);
        }
        if (gatewayOrNull) {
            // Seen at once: no usable credential. Seen when looked up: never connected to.
            const answer = await gatewayOrNull.chat('coder-model');
            await gatewayOrNull.stop();
            assertError(
                answer,
                answer.status === 401 ? 401 : 502,
                { message: /no usable credential|not public/ },
                resource,
            );
        }
        assert.equal(mock.requests.length, seen, resource);
    }
});

test('a login without an address of its own goes to the portal', async () => {
    const env = { API_KEY, QWEN_CREDS_JSON: JSON.stringify({ access_token: TOKEN }) };
    const result = await run(['check'], { env });
    assert.equal(result.code, 0, result.output);
    assert.ok(!result.output.includes(TOKEN));
});

test('no token in the log', () => {
    assert.ok(!gateway.log.includes(TOKEN));
    assert.ok(!gateway.log.includes('refresh-91ab'));
});
