// Every way in which an upstream fails, and what the client is told: always in the OpenAI shape,
// and never a broken answer that looks like a whole one.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { ownStreams } from '../upstream/recordings.mjs';
import {
    broken,
    chunkOf,
    garbage,
    inStream,
    pages,
    refusals,
    stalls,
    streamOf,
} from '../upstream/scenarios.mjs';
import {
    UPSTREAM_KEY,
    assertError,
    closedPort,
    noCooldown,
    payloads,
    slow,
    startGateway,
    startPair,
    stopAll,
    until,
} from './helper.mjs';

const SOON = 300 * slow; // the short clocks of these tests, in ms
let mock, gateway, quick;

before(async () => {
    ({ mock, gateway } = await startPair({ conf: noCooldown }));
    quick = await startGateway({
        conf: {
            ...noCooldown,
            'gateway.lua': `return {
                clocks = { first_token_ms = ${SOON}, idle_ms = ${SOON}, total_ms = ${4 * SOON} },
            }`,
        },
        env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: mock.base },
    });
});
after(() => stopAll(gateway, quick, mock));

test('the upstream cannot be reached: 502', async () => {
    for (const base of [
        `http://127.0.0.1:${await closedPort()}/v1`,
        'http://does-not-exist.invalid/v1',
    ]) {
        const lost = await startGateway({
            conf: noCooldown,
            env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: base },
        });
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

// How Node's client calls a message that ends before its end.
const brokenMessage = /^(ECONNRESET|HPE_INVALID_CHUNK_SIZE)$/;

// What a client may see of an answer that breaks off: an error status, a stream that says that it
// failed, or a message that is visibly not complete. Never a whole answer.
function assertNotWhole(answer, name) {
    if (answer.status !== 200) {
        assertError(answer, 502, { type: 'upstream_error' }, name);
        return;
    }
    const said = payloads(answer.text)
        .filter((data) => data !== '[DONE]')
        .map((d) => JSON.parse(d));
    assert.ok(
        said.some((data) => data.error?.message),
        `${name}: ${answer.text}`,
    );
}

test('answers that break off are not taken for whole', async () => {
    for (const [name, scenario] of Object.entries(broken)) {
        for (const stream of [false, true]) {
            mock.push(scenario);
            const answer = await gateway.chat('m', { stream }).catch((error) => {
                assert.match(error.code, brokenMessage, name);
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
    for (const scenario of [
        { body: long, framing: 'chunked', stopAfter: 1e9, end: 'close' },
        { body: long, declaredLength: 400000, end: 'close' },
    ]) {
        mock.push(scenario);
        await assert.rejects(gateway.chat('m'), { code: brokenMessage });
    }
});

test('failures inside a 200 that come first get a status of their own', async () => {
    for (const name of ['event-error', 'error-finish', 'no-content', 'only-done', 'empty-stream']) {
        mock.push(inStream[name]);
        const answer = await gateway.chat('m', { stream: true });
        if (answer.status === 200) {
            assertNotWhole(answer, name);
        } else {
            assert.ok(
                answer.status === 429 || answer.status >= 500 || name === 'event-error',
                `${name} ${answer.status}`,
            );
            assertError(answer, answer.status, {}, name);
        }
    }
});

test('own streams that fail are not taken for whole', async (t) => {
    const streams = ownStreams().filter(({ name }) => /^(error|truncated|empty)/.test(name));
    assert.ok(streams.length > 0);
    for (const stream of streams) {
        for (const cut of ['whole', 'bytes']) {
            mock.push({ ...stream, cut });
            const answer = await gateway.chat('m', { stream: true });
            if (answer.status === 200) {
                assertNotWhole(answer, stream.name);
            } else {
                assertError(answer, answer.status, {}, stream.name);
            }
        }
    }
    t.diagnostic(`own streams that fail: ${streams.length}`);
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
    const body = streamOf(
        ...Array.from({ length: 6 }, (_, i) => chunkOf({ content: `${i} ` })),
        '[DONE]',
    );
    mock.push({ body, cut: 'events', gap: SOON / 4 });
    const answer = await quick.chat('m', { stream: true });
    assert.deepEqual(answer.body, body);
});

test('a 200 that is JSON but no answer: 502 that says what to check', async () => {
    const body = Buffer.from('{"status":"running"}');
    mock.push({ status: 200, headers: [['Content-Type', 'application/json']], body });
    assertError(await gateway.chat('m'), 502, { message: /without an answer.*base URL/ });
});
