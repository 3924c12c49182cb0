// Token counts: asked of the upstream for streams, kept from clients that did not ask, and
// estimated where none come. An account policy writes what account "a" has used to the log.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chatBody, chunkOf, streamOf } from '../upstream/scenarios.mjs';
import { startPool, withPool } from './accounts.mjs';
import { payloads, textOf, until } from './helper.mjs';

const LOOK = 77;
const policy = `
    local function select(accounts, req)
        if req.max_tokens == ${LOOK} then
            gate.log("info", "tokens " .. accounts[1].tokens_day)
            return "z"
        end
        return "a"
    end
    return { select = select }`;
const usage = { prompt_tokens: 30, completion_tokens: 12, total_tokens: 42 };
const usageEvent = { ...chunkOf({}), choices: [], usage };
const words = [
    chunkOf({ role: 'assistant', content: '' }),
    chunkOf({ content: 'Hello you.' }),
    chunkOf({}, 'stop'),
];

// The gateway lets scripts write 20 lines a second: so each test has a pool of its own.
const using = (body, instance) => withPool({ accounts: ['a', 'z'], policy, instance }, body);

async function tokens(pool) {
    const lines = () => [...pool.gateway.log.matchAll(/tokens (\d+)/g)];
    const count = lines().length;
    await pool.call({ max_tokens: LOOK });
    await until(() => lines().length > count, { what: () => pool.gateway.tail });
    return Number(lines().pop()[1]);
}

// Sends a body, answers with a scenario: what went upstream, what came back, and the tokens that it
// counted for.
async function exchange(pool, body, scenario) {
    const start = pool.counted ?? 0;
    pool.upstream.next('a', scenario);
    const answer = await pool.gateway.call({ body });
    const [request] = pool.upstream.requests.splice(0);
    pool.counted = await tokens(pool);
    pool.upstream.forget();
    return { sent: request.body.toString(), answer, counted: pool.counted - start };
}

test('a stream whose client did not ask: asked upstream, the rest of the body is as it was', () =>
    using(async (pool) => {
        const messages = '"messages":[{"role":"user","content":"Hi"}]';
        const options = '"stream_options":{"include_usage":true},';
        const odd = '"messages" : [ {"role":"user","content":"\\u00e9"} ]';
        // What the client sent, what of it became what.
        const bodies = [
            [`{"model":"m","stream":true,${messages}}`, options, ''],
            [`{ "stream" : true , ${odd} , "model" : "m" }`, options, ''],
            [
                `{"model":"m","stream":true,"stream_options":{"include_usage":false},${messages}}`,
                '"include_usage":true',
                '"include_usage":false',
            ],
            [
                `{"model":"m","stream":true,"stream_options":{"other":[1]},${messages}}`,
                '"include_usage":true,',
                '',
            ],
            [
                `{"model":"m","stream":true,"stream_options":null,${messages}}`,
                '{"include_usage":true}',
                'null',
            ],
        ];
        for (const [body, now, before] of bodies) {
            const { sent, answer, counted } = await exchange(pool, body, {
                body: streamOf(...words, usageEvent, '[DONE]'),
            });
            assert.equal(JSON.parse(sent).stream_options.include_usage, true, sent);
            assert.equal(sent.replace(now, before), body);
            assert.deepEqual(answer.body, streamOf(...words, '[DONE]'), body);
            assert.equal(counted, 42, body);
        }
    }));

test('a stream whose client asked: nothing is touched, the counts reach it', () =>
    using(async (pool) => {
        const body =
            '{"model":"m","stream":true,"stream_options":{"include_usage":true},' +
            '"messages":[{"role":"user","content":"Hi"}]}';
        const whole = streamOf(...words, usageEvent, '[DONE]');
        const { sent, answer, counted } = await exchange(pool, body, { body: whole });
        assert.equal(sent, body);
        assert.deepEqual(answer.body, whole);
        assert.equal(counted, 42);
    }));

test('counts beside a choice go to every client, and are counted once', () =>
    using(async (pool) => {
        const last = { ...chunkOf({}, 'stop'), usage };
        const whole = streamOf(words[0], words[1], last, '[DONE]');
        const { answer, counted } = await exchange(
            pool,
            { model: 'm', stream: true, messages: [{ role: 'user', content: 'Hi' }] },
            { body: whole },
        );
        assert.deepEqual(answer.body, whole);
        assert.equal(counted, 42);
    }));

test('the event with the counts is kept back however it is cut', () =>
    using(async (pool) => {
        for (const cut of ['bytes', 'events']) {
            const { answer, counted } = await exchange(
                pool,
                { model: 'm', stream: true, messages: [{ role: 'user', content: 'Hi' }] },
                { body: streamOf(...words, usageEvent, '[DONE]'), cut },
            );
            assert.deepEqual(answer.body, streamOf(...words, '[DONE]'), cut);
            assert.equal(counted, 42);
        }
    }));

test('no counts come: prompt and text are estimated, of a whole answer too', () =>
    using(async (pool) => {
        const text = 'word '.repeat(800); // 4,000 bytes
        const messages = [{ role: 'user', content: 'y'.repeat(2000) }];
        for (const stream of [true, false]) {
            const scenario = stream
                ? {
                      body: streamOf(
                          ...Array.from({ length: 20 }, (_, i) =>
                              chunkOf({ content: text.slice(i * 200, (i + 1) * 200) }),
                          ),
                          chunkOf({}, 'stop'),
                          '[DONE]',
                      ),
                  }
                : { body: JSON.stringify({ choices: [{ message: { content: text } }] }) };
            const body = { model: 'm', stream, messages };
            const { answer, counted } = await exchange(pool, body, scenario);
            assert.equal(answer.status, 200);
            assert.ok(counted > 1450 && counted < 1600, `${counted} tokens, stream ${stream}`);
        }
    }));

test('a whole answer: its counts, untouched', () =>
    using(async (pool) => {
        const body = '{"model":"m","messages":[{"role":"user","content":"Hi"}]}';
        const { sent, answer, counted } = await exchange(pool, body, { body: chatBody('Hello.') });
        assert.equal(sent, body);
        assert.deepEqual(answer.body, chatBody('Hello.'));
        assert.equal(counted, 12);
    }));

test('a large answer that is passed on in pieces still counts', () =>
    using(async (pool) => {
        const answerBody = JSON.stringify({
            choices: [{ message: { content: 'z'.repeat(200000) } }],
            usage,
        });
        const { answer, counted } = await exchange(
            pool,
            { model: 'm', messages: [{ role: 'user', content: 'Hi' }] },
            { body: answerBody },
        );
        assert.equal(answer.text, answerBody);
        assert.ok(counted === 42 || (counted > 49000 && counted < 52000), `${counted}`);
    }));

test('ask_usage = false: the body is as it was; counts that come all the same are counted', () =>
    using(async (pool) => {
        const body = '{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}';
        const plain = streamOf(...words, '[DONE]');
        const without = await exchange(pool, body, { body: plain });
        assert.equal(without.sent, body);
        assert.deepEqual(without.answer.body, plain);
        assert.ok(without.counted > 0 && without.counted < 42, `${without.counted}`);

        const whole = streamOf(...words, usageEvent, '[DONE]');
        const { answer, counted } = await exchange(pool, body, { body: whole });
        assert.deepEqual(answer.body, whole);
        assert.equal(counted, 42);
    }, { ask_usage: false }));

test('another account after a failure is asked for counts as well', async () => {
    const pool = await startPool({ accounts: ['a', 'b'] });
    try {
        pool.upstream.next('a', { body: 'data: {"error":{"message":"throttled"}}\n\n' });
        const body = { model: 'm', stream: true, messages: [{ role: 'user', content: 'Hi' }] };
        const answer = await pool.gateway.call({ body });
        assert.equal(textOf(answer.text), 'Hello from b.');
        for (const request of pool.upstream.requests) {
            assert.equal(request.json.stream_options.include_usage, true);
        }
        const events = payloads(answer.text);
        assert.ok(events.every((event) => event === '[DONE]' || !JSON.parse(event).usage));
    } finally {
        await pool.stop();
    }
});
