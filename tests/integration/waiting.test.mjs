// Comments that keep a waiting stream client company: they come while nothing else does, never
// inside an event, and hide neither a refusal nor a dead upstream.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { chunkOf, stalls } from '../upstream/scenarios.mjs';
import {
    UPSTREAM_KEY,
    chatRequest,
    noCooldown,
    payloads,
    slow,
    startGateway,
    startPair,
    stopAll,
} from './helper.mjs';

const EVERY = 40 * slow; // ms
const PATIENCE = 12 * EVERY;
const COMMENT = ': keepalive\n\n';
let mock, plain, gateway;

before(async () => {
    ({ mock, gateway: plain } = await startPair());
    gateway = await startGateway({
        conf: {
            ...noCooldown,
            'gateway.lua': `return {
                clocks = { keepalive_ms = ${EVERY}, first_token_ms = ${PATIENCE} },
            }`,
        },
        env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: mock.base },
    });
});
after(() => stopAll(gateway, plain, mock));

const comments = (text) => text.split(COMMENT).length - 1;

async function ask(target, model) {
    const client = await target.raw();
    await client.send(target.rawRequest(chatRequest(model, { stream: true })));
    return client;
}

test('comments come before the answer, and between its events', async () => {
    let client;
    mock.when('late', async (request, reply) => {
        await client.wait(() => comments(client.text) >= 2, { what: 'two comments' });
        await reply.head();
        await reply.event(chunkOf({ content: 'one' }));
        await client.wait(() => client.text.includes('"one"'), { what: 'the first event' });
        const sofar = comments(client.text);
        await client.wait(() => comments(client.text) > sofar, { what: 'a comment between' });
        await reply.event(chunkOf({ content: 'two' }, 'stop'));
        await reply.event('[DONE]');
        await reply.end();
    });
    client = await ask(gateway, 'late');
    const answer = await client.answer();
    assert.equal(answer.status, 200);
    assert.match(answer.header('content-type'), /^text\/event-stream/);
    const events = payloads(answer.body.toString());
    assert.equal(events.pop(), '[DONE]');
    assert.deepEqual(
        events.map((event) => JSON.parse(event).choices[0].delta.content),
        ['one', 'two'],
    );
    assert.ok(comments(answer.body.toString()) >= 3);
    client.close();
});

test('no comment gets into an event that has begun', async () => {
    let client;
    const event = `data: ${JSON.stringify(chunkOf({ content: 'whole' }))}\n\n`;
    mock.when('halves', async (request, reply) => {
        await reply.head();
        await reply.event(chunkOf({ content: 'first' }));
        await reply.data(event.slice(0, 30));
        await client.wait(() => comments(client.text) > 0, { timeout: 5 * EVERY }).catch(() => {});
        await reply.data(event.slice(30));
        await reply.event('[DONE]');
        await reply.end();
    });
    client = await ask(gateway, 'halves');
    const answer = await client.answer();
    assert.ok(answer.body.toString().includes(event), answer.body.toString());
    client.close();
});

test('a refusal behind comments is told inside the stream', async () => {
    let client;
    mock.when('refused', async (request, reply) => {
        await client.wait(() => comments(client.text) >= 1, { what: 'a comment' });
        const body = '{"error":{"message":"slow down","code":"rate_limit_exceeded"}}';
        await reply.head({
            status: 429,
            headers: [['Content-Type', 'application/json']],
            framing: 'length',
            length: body.length,
        });
        await reply.data(body);
        await reply.end();
    });
    client = await ask(gateway, 'refused');
    const answer = await client.answer();
    assert.equal(answer.status, 200);
    const events = payloads(answer.body.toString());
    assert.equal(events.length, 1);
    assert.match(JSON.parse(events[0]).error.message, /slow down/);
    client.close();
});

test('a dead upstream is not hidden: the clock for the first token runs on', async () => {
    mock.when('dead', stalls['stall-silent']);
    const client = await ask(gateway, 'dead');
    const answer = await client.answer();
    const events = payloads(answer.body.toString());
    assert.equal(events.length, 1);
    assert.match(JSON.parse(events[0]).error.message, /first_token_ms/);
    assert.ok(comments(answer.body.toString()) >= 2);
    client.close();
});

test('without keepalive_ms no comment is ever sent', async () => {
    mock.when('quiet', async (request, reply) => {
        await reply.head();
        await reply.event(chunkOf({ content: 'one' }, 'stop'));
        await reply.event('[DONE]');
        await reply.end();
    });
    const client = await ask(plain, 'quiet');
    const answer = await client.answer();
    assert.equal(comments(answer.body.toString()), 0);
    client.close();
});
