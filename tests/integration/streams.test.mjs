// The heart of the gateway: a stream that needs no change arrives as the upstream sent it, byte for
// byte and piece by piece, however it is cut.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { ownStreams, recordings, recordingsPresent } from '../upstream/recordings.mjs';
import { chunkOf, legal } from '../upstream/scenarios.mjs';
import {
    UPSTREAM_KEY,
    assemble,
    inParallel,
    slow,
    startGateway,
    startPair,
    stopAll,
    textOf,
} from './helper.mjs';

let mock, gateway, patient;
before(async () => {
    ({ mock, gateway } = await startPair({ conf: 'shipped' }));
    // The hold of the repair is bounded in time; on a busy machine a stream that comes byte by byte
    // may need longer than the default to prove what it is.
    patient = await startGateway({
        env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: mock.base },
        conf: {
            'gateway.lua': `return { providers = {
                { name = "openai", plugin = "openai", dedup_hold_ms = 10000 },
            } }`,
        },
    });
});
after(() => stopAll(gateway, patient, mock));

const recorded = recordings('chat-stream');
// Own streams by the beginning of their names: "cumulative-" repeat text and are repaired; those
// that report or suffer a failure get an error from the gateway (see failures.test.mjs); every
// other one arrives as it is.
const own = ownStreams();
const failing = /^(error|truncated|empty)/;
const verbatim = own.filter(({ name }) => !/^cumulative-/.test(name) && !failing.test(name));
const cumulative = own.filter(({ name }) => /^cumulative-/.test(name));
const expected = (stream) =>
    JSON.parse(readFileSync(stream.path.replace(/\.sse$/, '.expected.json'), 'utf8'));

// Above this size a stream is cut byte by byte in its first and last parts only.
const WHOLE = 6000;
function byteCuts(length) {
    const at = [];
    for (let i = 1; i < length; i++) {
        if (length <= WHOLE || i < WHOLE / 2 || i > length - WHOLE / 2) {
            at.push(i);
        }
    }
    return { at };
}

let serial = 0;
async function replay(stream, scenario, target = gateway) {
    const model = `replay-${++serial}`;
    mock.when(model, { ...stream, ...scenario });
    const answer = await target.chat(model, {
        stream: true,
        stream_options: { include_usage: true },
    });
    mock.byModel.delete(model);
    assert.equal(answer.status, 200, stream.name);
    assert.match(answer.headers['content-type'], /^text\/event-stream/, stream.name);
    return answer;
}

const ways = (stream) => [
    ['whole', {}],
    ['event by event', { cut: 'events' }],
    ['inside UTF-8', { cut: 'utf8' }],
    ['inside CRLF', { cut: 'crlf' }],
    ['random chunks', { cut: { seed: 11, max: 200 } }],
    ['random chunks, random writes', { cut: { seed: 12, max: 90 }, wire: { seed: 13, max: 70 } }],
    ['by length, random writes', { framing: 'length', wire: { seed: 14, max: 300 } }],
    ['until close, random writes', { framing: 'close', wire: { seed: 15, max: 300 } }],
    ['byte by byte, until close', { framing: 'close', cut: byteCuts(stream.body.length) }],
    ['byte by byte, chunked', { cut: byteCuts(stream.body.length) }],
];

const jobsOf = (streams) =>
    streams.flatMap((stream) => ways(stream).map(([way, how]) => ({ stream, way, how })));

async function arrivesUnchanged(streams) {
    let ran = 0;
    const jobs = jobsOf(streams);
    await inParallel(jobs, 4, async ({ stream, way, how }) => {
        const answer = await replay(stream, how);
        if (!answer.body.equals(stream.body)) {
            assert.equal(answer.text, stream.body.toString('utf8'), `${stream.name}, ${way}`);
            assert.fail(`${stream.name}, ${way}: bytes differ`);
        }
        ran++;
    });
    return ran;
}

test('recorded chat streams arrive byte for byte', { skip: !recordingsPresent }, async (t) => {
    assert.ok(recorded.length > 0);
    const ran = await arrivesUnchanged(recorded);
    t.diagnostic(`recorded chat streams: ${recorded.length}, replays: ${ran}`);
});

test('own streams arrive byte for byte', async (t) => {
    assert.ok(verbatim.length > 0);
    const ran = await arrivesUnchanged(verbatim);
    t.diagnostic(`own streams: ${verbatim.length}, replays: ${ran}`);
});

test('cumulative streams come out as the text, however they are cut', async (t) => {
    assert.ok(cumulative.length > 0);
    const jobs = jobsOf(cumulative);
    await inParallel(jobs, 4, async ({ stream, way, how }) => {
        const answer = await replay(stream, how, patient);
        assert.deepEqual(assemble(answer.text), expected(stream), `${stream.name}, ${way}`);
    });
    t.diagnostic(`cumulative streams: ${cumulative.length}, replays: ${jobs.length}`);
});

test('unusual framings are understood', async () => {
    for (const [name, scenario] of Object.entries(legal)) {
        mock.push(scenario);
        const answer = await gateway.chat('any', { stream: true });
        assert.equal(answer.status, 200, name);
        if (scenario.body) {
            assert.deepEqual(answer.body, Buffer.from(scenario.body), name);
        } else {
            assert.equal(answer.json.choices[0].message.content, 'Hello.', name);
        }
    }
});

test('an answer that is not a stream arrives byte for byte', async (t) => {
    const bodies = recordings().filter((r) => r.kinds.includes('chat-json'));
    const spaced = Buffer.from(
        '\n {"choices" : [ {"message":{"content":"\\u00fc \u{1f600}"}} ] }\n ',
    );
    const jobs = [...bodies, { name: 'spaced', status: 200, headers: [], body: spaced }];
    for (const recording of jobs) {
        for (const how of [
            {},
            { wire: { seed: 21, max: 50 } },
            { framing: 'chunked', cut: 'bytes' },
            { framing: 'close', cut: { size: 100 } },
        ]) {
            mock.push({ ...recording, ...how });
            const answer = await gateway.chat('any');
            assert.equal(answer.status, 200, recording.name);
            assert.deepEqual(answer.body, recording.body, recording.name);
        }
    }
    t.diagnostic(`recorded bodies: ${bodies.length}`);
});

test('every event is flushed at once', async () => {
    const events = 30;
    let client;
    const took = [];
    mock.when('stepwise', async (request, reply) => {
        await reply.head();
        for (let i = 0; i < events; i++) {
            const at = performance.now();
            await reply.event(chunkOf({ content: `word-${i}. ` }));
            await client.wait(() => client.text.includes(`word-${i}. `), {
                timeout: 2000 * slow,
                what: `event ${i}`,
            });
            took.push(performance.now() - at);
        }
        await reply.event('[DONE]');
        await reply.end();
    });
    client = await gateway.raw();
    await client.send(
        gateway.rawRequest({
            model: 'stepwise',
            stream: true,
            messages: [{ role: 'user', content: 'x' }],
        }),
    );
    const answer = await client.answer();
    assert.equal(textOf(answer.text).split('. ').length, events + 1);
    took.sort((a, b) => a - b);
    assert.ok(took[events / 2] < 50 * slow, `median ${took[events / 2]} ms`);
    client.close();
});

test('half an event does not hold back the whole one before it', async () => {
    let client;
    mock.when('halves', async (request, reply) => {
        await reply.head();
        const first = `data: ${JSON.stringify(chunkOf({ content: 'first ' }))}\n\n`;
        const second = `data: ${JSON.stringify(chunkOf({ content: 'second' }))}\n\n`;
        await reply.data(first + second.slice(0, 20));
        await client.wait(() => client.text.includes('first '), { what: 'the first event' });
        await reply.data(second.slice(20));
        await client.wait(() => client.text.includes('second'), { what: 'the second event' });
        await reply.event('[DONE]');
        await reply.end();
    });
    client = await gateway.raw();
    await client.send(
        gateway.rawRequest({
            model: 'halves',
            stream: true,
            messages: [{ role: 'user', content: 'x' }],
        }),
    );
    assert.equal(textOf((await client.answer()).text), 'first second');
    client.close();
});

test('many streams at once do not mix', async () => {
    const streams = Array.from({ length: 50 }, (_, i) => {
        const words = Array.from({ length: 20 }, (__, j) => `s${i}w${j} `);
        return {
            model: `mixed-${i}`,
            body: Buffer.from(
                [...words.map((w) => JSON.stringify(chunkOf({ content: w }))), '[DONE]']
                    .map((data) => `data: ${data}\n\n`)
                    .join(''),
            ),
        };
    });
    for (const { model, body } of streams) {
        mock.when(model, { body, cut: { seed: body.length, max: 60 } });
    }
    await Promise.all(
        streams.map(async ({ model, body }) => {
            const answer = await gateway.chat(model, { stream: true });
            assert.deepEqual(answer.body, body, model);
        }),
    );
});
