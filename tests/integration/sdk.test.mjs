// The official OpenAI SDK as a client.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import OpenAI from 'openai';
import { recordings } from '../upstream/recordings.mjs';
import { chatBody, chatStream, chunkOf, refusals, streamOf } from '../upstream/scenarios.mjs';
import {
    API_KEY,
    UPSTREAM_KEY,
    noCooldown,
    startGateway,
    startPair,
    stopAll,
    until,
} from './helper.mjs';

let mock, gateway, bare, patient, client;
const messages = [{ role: 'user', content: 'Say hello to Zoë.' }];
const tools = [
    {
        type: 'function',
        function: {
            name: 'weather',
            description: 'The weather of a city',
            parameters: {
                type: 'object',
                properties: { city: { type: 'string' } },
                required: ['city'],
            },
        },
    },
];
const connect = (target, apiKey = API_KEY) =>
    new OpenAI({
        apiKey,
        baseURL: `${target.origin}/v1`,
        maxRetries: 0,
        timeout: 20000,
    });

before(async () => {
    ({ mock, gateway } = await startPair({ conf: 'shipped' }));
    bare = await startGateway({ conf: 'shipped' }); // no provider but echo
    patient = await startGateway({
        conf: noCooldown,
        env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: mock.base },
    });
    client = connect(gateway);
});
after(() => stopAll(gateway, bare, patient, mock));

test('chat', async () => {
    mock.push({ body: chatBody('Hello, Zoë! 😀') });
    const answer = await client.chat.completions.create({ model: 'some-model', messages });
    assert.equal(answer.choices[0].message.content, 'Hello, Zoë! 😀');
    assert.equal(answer.usage.total_tokens, 12);
    assert.deepEqual(mock.last.json, { model: 'some-model', messages });
});

test('the answer carries the request id', async () => {
    const { response } = await client.chat.completions
        .create({ model: 'm', messages })
        .withResponse();
    assert.match(response.headers.get('x-request-id'), /^[\x21-\x7e]{8,}$/);
});

test('streaming', async () => {
    const text = 'Grüße an Zoë – the quick brown fox. 😀';
    mock.push({ body: chatStream(text), cut: 'utf8' });
    const stream = await client.chat.completions.create({ model: 'm', messages, stream: true });
    let got = '';
    for await (const chunk of stream) {
        got += chunk.choices[0]?.delta?.content ?? '';
    }
    assert.equal(got, text);
});

test('streaming with usage', async () => {
    const usage = { prompt_tokens: 5, completion_tokens: 2, total_tokens: 7 };
    mock.push({
        body: streamOf(
            chunkOf({ role: 'assistant', content: 'Hi' }),
            chunkOf({}, 'stop'),
            { ...chunkOf({}), choices: [], usage },
            '[DONE]',
        ),
    });
    const stream = await client.chat.completions.create({
        model: 'm',
        messages,
        stream: true,
        stream_options: { include_usage: true },
    });
    let last;
    for await (const chunk of stream) {
        last = chunk;
    }
    assert.deepEqual(last.usage, usage);
});

test('a tool call', async () => {
    const call = {
        id: 'call_1',
        type: 'function',
        function: { name: 'weather', arguments: '{"city":"Kyiv"}' },
    };
    const body = JSON.parse(chatBody(''));
    body.choices[0].message = { role: 'assistant', content: null, tool_calls: [call] };
    body.choices[0].finish_reason = 'tool_calls';
    mock.push({ body: JSON.stringify(body) });
    const answer = await client.chat.completions.create({ model: 'm', messages, tools });
    assert.deepEqual(answer.choices[0].message.tool_calls, [call]);
    assert.deepEqual(mock.last.json.tools, tools);
});

test('streamed tool calls are put together', async () => {
    const part = (index, fields) => chunkOf({ tool_calls: [{ index, ...fields }] });
    mock.push({
        body: streamOf(
            chunkOf({ role: 'assistant', content: null }),
            part(0, {
                id: 'call_a',
                type: 'function',
                function: { name: 'weather', arguments: '' },
            }),
            part(0, { function: { arguments: '{"ci' } }),
            part(0, { function: { arguments: 'ty":"Oslo"}' } }),
            part(1, {
                id: 'call_b',
                type: 'function',
                function: { name: 'weather', arguments: '' },
            }),
            part(1, { function: { arguments: '{"city":"Łódź"}' } }),
            chunkOf({}, 'tool_calls'),
            '[DONE]',
        ),
        wire: { seed: 4, max: 40 },
    });
    const runner = client.chat.completions.stream({ model: 'm', messages, tools });
    const answer = await runner.finalChatCompletion();
    const calls = answer.choices[0].message.tool_calls;
    assert.deepEqual(
        calls.map((c) => [c.id, c.function.name, JSON.parse(c.function.arguments)]),
        [
            ['call_a', 'weather', { city: 'Oslo' }],
            ['call_b', 'weather', { city: 'Łódź' }],
        ],
    );
    assert.equal(answer.choices[0].finish_reason, 'tool_calls');
});

test('recorded streams are read to the end', async (t) => {
    const streams = recordings('chat-stream');
    for (const recording of streams) {
        mock.push(recording);
        const stream = await client.chat.completions.create({ model: 'm', messages, stream: true });
        let chunks = 0;
        for await (const chunk of stream) {
            assert.ok(Array.isArray(chunk.choices), recording.name);
            chunks++;
        }
        assert.ok(chunks > 1, recording.name);
    }
    t.diagnostic(`recorded chat streams: ${streams.length}`);
});

test('an abort in the middle of a stream ends the upstream request', async () => {
    mock.push(async (request, reply) => {
        await reply.head();
        for (let i = 0; ; i++) {
            await reply.event(chunkOf({ content: `${i} ` }));
        }
    });
    const stream = await client.chat.completions.create({ model: 'm', messages, stream: true });
    for await (const chunk of stream) {
        if (chunk.choices[0].delta.content === '5 ') {
            break;
        }
    }
    await until(() => mock.last.aborted, { what: () => 'the end of the upstream request' });
});

test('models', async () => {
    const ids = [];
    for await (const model of await client.models.list()) {
        assert.equal(model.object, 'model');
        ids.push(model.id);
    }
    assert.ok(ids.includes('echo'), ids.join());
    assert.equal(new Set(ids).size, ids.length);
});

test('echo answers, whole and streamed', async () => {
    const echo = connect(bare).chat.completions;
    const answer = await echo.create({ model: 'echo', messages });
    assert.equal(answer.choices[0].message.content, messages[0].content);
    const final = await echo.stream({ model: 'echo', messages }).finalChatCompletion();
    assert.equal(final.choices[0].message.content, messages[0].content);
    assert.equal(final.choices[0].finish_reason, 'stop');
});

const create = (target, model, more = {}) =>
    target.chat.completions.create({ model, messages, ...more });

test('a wrong key is an AuthenticationError', async () => {
    await assert.rejects(create(connect(gateway, 'wrong-key-wrong-key'), 'm'), (error) => {
        assert.ok(error instanceof OpenAI.AuthenticationError, String(error));
        assert.equal(error.status, 401);
        assert.equal(error.code, 'invalid_api_key');
        return true;
    });
});

test('an unknown model is a NotFoundError', async () => {
    await assert.rejects(create(connect(bare), 'no-such-model'), (error) => {
        assert.ok(error instanceof OpenAI.NotFoundError, String(error));
        assert.equal(error.code, 'model_not_found');
        assert.match(error.message, /no-such-model/);
        assert.match(error.message, /\becho\b/);
        return true;
    });
});

test('a wrong request is a BadRequestError', async () => {
    await assert.rejects(create(client, 17), (error) => {
        assert.ok(error instanceof OpenAI.BadRequestError, String(error));
        assert.equal(error.param, 'model');
        return true;
    });
});

test('refusals of the upstream keep their type', async () => {
    const types = {
        400: OpenAI.BadRequestError,
        401: OpenAI.AuthenticationError,
        429: OpenAI.RateLimitError,
        500: OpenAI.InternalServerError,
        503: OpenAI.InternalServerError,
        504: OpenAI.InternalServerError,
    };
    for (const [name, scenario] of Object.entries(refusals)) {
        const type = types[scenario.status];
        if (!type) {
            continue;
        }
        for (const stream of [false, true]) {
            mock.push(scenario);
            await assert.rejects(create(connect(patient), 'm', { stream }), (error) => {
                assert.ok(error instanceof type, `${name}: ${error}`);
                return true;
            });
        }
    }
});

test('a failure inside a stream is an APIError behind the text before it', async () => {
    mock.push({
        body: streamOf(
            chunkOf({ role: 'assistant', content: 'The ' }),
            chunkOf({ content: 'quick' }),
        ),
        end: 'reset',
        stopAfter: 1e6,
    });
    const stream = await create(client, 'm', { stream: true });
    let got = '';
    await assert.rejects(
        async () => {
            for await (const chunk of stream) {
                got += chunk.choices[0].delta.content;
            }
        },
        (error) => {
            assert.ok(error instanceof OpenAI.APIError, `${error?.name}: ${error}`);
            return true;
        },
    );
    assert.equal(got, 'The quick');
});
