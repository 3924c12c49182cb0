// SIGTERM: no new connections, running streams finish within the time that is set, exit status 0.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { chunkOf } from '../upstream/scenarios.mjs';
import {
    Mock,
    UPSTREAM_KEY,
    payloads,
    slow,
    startGateway,
    stopAll,
    textOf,
    until,
} from './helper.mjs';

let mock;
before(async () => {
    mock = await Mock.start();
});
after(() => stopAll(mock));

const start = (env = {}) =>
    startGateway({
        env: { OPENAI_API_KEY: UPSTREAM_KEY, OPENAI_BASE_URL: mock.base, ...env },
    });

// A stream that stands after its first event until go() is called.
async function held(gateway) {
    let go;
    const may = new Promise((done) => {
        go = done;
    });
    mock.push(async (request, reply) => {
        await reply.head();
        await reply.event(chunkOf({ content: 'one ' }));
        await Promise.race([may, reply.closed]);
        await reply.event(chunkOf({ content: 'two' }));
        await reply.event('[DONE]');
        await reply.end();
    });
    const client = await gateway.rawChat('m', { stream: true });
    await client.wait(() => client.text.includes('one '));
    return { client, go };
}

async function refused(port) {
    const socket = net.connect(port, '127.0.0.1');
    const [error] = await Promise.race([
        once(socket, 'error'),
        once(socket, 'connect').then(() => [null]),
    ]);
    socket.destroy();
    return error?.code === 'ECONNREFUSED';
}

async function untilRefused(port) {
    const end = performance.now() + 2000 * slow;
    while (!(await refused(port))) {
        assert.ok(performance.now() < end, 'connections are still accepted');
    }
}

test('an idle gateway ends at once', async () => {
    const gateway = await start();
    const idle = await gateway.raw();
    const used = await gateway.rawChat('echo');
    await used.answer();
    const at = performance.now();
    await gateway.stop();
    assert.ok(performance.now() - at < 2000 * slow);
    await Promise.all([idle.closed(), used.closed()]);
});

test('SIGINT ends it too', async () => {
    const gateway = await start();
    gateway.signal('SIGINT');
    assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
});

test('a running stream finishes, new connections are refused', async () => {
    for (const workers of [1, 2]) {
        const gateway = await start({ LLM_GATE_WORKERS: workers });
        const streams = [await held(gateway), await held(gateway), await held(gateway)];
        gateway.signal('SIGTERM');
        await untilRefused(gateway.port);
        assert.equal(gateway.exit, null);
        for (const { client, go } of streams) {
            go();
            assert.equal(textOf((await client.answer()).text), 'one two');
            await client.closed();
        }
        assert.deepEqual(await gateway.ended(2000 * slow), { code: 0, signal: null });
    }
});

test('a request that is still being read does not end a stream that runs', async () => {
    const gateway = await start();
    const { client: running, go } = await held(gateway);
    const late = await gateway.raw();
    const bytes = gateway.rawRequest({
        model: 'echo',
        messages: [{ role: 'user', content: 'late' }],
    });
    await late.send(bytes.subarray(0, bytes.length - 5));
    gateway.signal('SIGTERM');
    await untilRefused(gateway.port);
    await late.send(bytes.subarray(bytes.length - 5)).catch(() => {});
    const answer = await late.answer().catch(() => null);
    assert.ok(answer === null || [200, 503].includes(answer.status), String(answer?.status));
    go();
    assert.equal(textOf((await running.answer()).text), 'one two');
    assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
});

test('the drain time ends what does not finish', async () => {
    const limit = 400 * slow;
    const gateway = await start({ LLM_GATE_DRAIN_MS: limit });
    const { client } = await held(gateway);
    const at = performance.now();
    gateway.signal('SIGTERM');
    assert.deepEqual(await gateway.ended(), { code: 0, signal: null });
    const took = performance.now() - at;
    assert.ok(took >= limit * 0.8 && took < limit + 3000 * slow, `${took} ms`);
    await client.closed();
    assert.ok(!payloads(client.text).includes('[DONE]'));
    await until(() => mock.busy === 0);
});

test('a second signal ends it at once', async () => {
    const gateway = await start();
    const { client } = await held(gateway);
    gateway.signal('SIGTERM');
    await untilRefused(gateway.port);
    const at = performance.now();
    gateway.signal('SIGTERM');
    await gateway.ended();
    assert.ok(performance.now() - at < 2000 * slow);
    await client.closed();
});
