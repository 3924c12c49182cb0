// Clients that leave, and clients that read slowly.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { chatBody, chunkOf } from '../upstream/scenarios.mjs';
import { inParallel, sanitized, slow, startPair, stopAll, until } from './helper.mjs';

const CLIENTS = 100;
const CANCEL_MS = 100; // within this time a cancelled upstream request must be gone
let mock, gateway;
before(async () => {
    ({ mock, gateway } = await startPair());
});
after(() => stopAll(gateway, mock));

// Opens the clients, waits until each is where it should be, lets them all leave at once, and
// measures until the last upstream connection that they used is gone.
async function leave(t, model, { where, how, stream = true }) {
    mock.reset();
    const clients = [];
    mock.when(model, where(clients));
    await inParallel(
        Array.from({ length: CLIENTS }, (_, i) => i),
        20,
        async (i) => {
            clients[i] = await gateway.rawChat(model, { stream, user: String(i) });
        },
    );
    await until(() => mock.requests.filter((r) => r.ready).length === CLIENTS, {
        timeout: 10000 * slow,
        what: () => `${CLIENTS} requests at the upstream`,
    });
    const at = performance.now();
    for (const client of clients) {
        client[how]();
    }
    await until(() => mock.busy === 0, {
        timeout: 5000,
        what: () => `${mock.busy} upstream requests still run`,
    });
    const last = Math.max(...mock.requests.map((r) => r.closedAt)) - at;
    t.diagnostic(
        `${CLIENTS} clients left: last upstream connection gone after ${last.toFixed(1)} ms`,
    );
    assert.ok(mock.requests.every((r) => r.aborted));
    assert.ok(last < CANCEL_MS * slow, `${last} ms`);
    assert.equal((await gateway.chat('fine')).status, 200);
}

const silent = () => async (request, reply) => {
    request.ready = true;
    await reply.closed;
};
const afterHead = () => async (request, reply) => {
    await reply.head();
    request.ready = true;
    await reply.closed;
};
const midStream = (clients) => async (request, reply) => {
    await reply.head();
    for (let i = 0; i < 3; i++) {
        await reply.event(chunkOf({ content: `part-${i} ` }));
    }
    const client = clients[Number(request.json.user)];
    await client.wait(() => client.text.includes('part-2'), {
        timeout: 10000 * slow,
        what: 'part 2',
    });
    request.ready = true;
    await reply.closed;
};
const flowing = (clients) => async (request, reply) => {
    await reply.head();
    for (let i = 0; ; i++) {
        await reply.event(chunkOf({ content: `part-${i} ` }));
        const client = clients[Number(request.json.user)];
        request.ready ||= client.text.includes('part-2');
        await new Promise((done) => {
            setTimeout(done, 20);
        });
    }
};

test('100 clients close before the first byte', (t) =>
    leave(t, 'silent', { where: silent, how: 'close' }));
test('100 clients reset before the first byte', (t) =>
    leave(t, 'silent', { where: silent, how: 'reset' }));
test('100 clients close while a whole answer is waited for', (t) =>
    leave(t, 'silent', { where: silent, how: 'close', stream: false }));
test('100 clients close between the head and the first event', (t) =>
    leave(t, 'head', { where: afterHead, how: 'close' }));
test('100 clients close in the middle of a silent stream', (t) =>
    leave(t, 'middle', { where: midStream, how: 'close' }));
test('100 clients reset in the middle of a silent stream', (t) =>
    leave(t, 'middle', { where: midStream, how: 'reset' }));
test('100 clients close while events flow', (t) =>
    leave(t, 'flowing', { where: flowing, how: 'close' }));

test('a client that leaves with another request waiting in its pipe', async () => {
    mock.reset();
    mock.otherwise(silent());
    const client = await gateway.raw();
    const request = gateway.rawRequest({ model: 'm', messages: [], stream: true });
    await client.send(Buffer.concat([request, request]));
    await until(() => mock.requests.length === 1);
    client.close();
    await until(() => mock.busy === 0, {
        timeout: 3000 * slow,
        what: () => 'the upstream to be left',
    });
    assert.equal(mock.requests.length, 1);
});

test('a client that leaves during its request costs nothing', async () => {
    mock.reset();
    for (let i = 0; i < 50; i++) {
        const client = await gateway.raw();
        const bytes = gateway.rawRequest({ model: 'm', messages: [] });
        await client.send(bytes.subarray(0, Math.floor((bytes.length * i) / 50)));
        client[i % 2 ? 'close' : 'reset']();
    }
    assert.equal((await gateway.chat('fine')).status, 200);
    assert.equal(mock.requests.length, 1);
});

test('one client that leaves does not disturb the others', async () => {
    mock.reset();
    mock.when('shared', async (request, reply) => {
        await reply.head();
        for (let i = 0; i < 40; i++) {
            await reply.event(chunkOf({ content: `${request.json.user}-${i} ` }));
        }
        await reply.event('[DONE]');
        await reply.end();
    });
    const clients = await Promise.all(
        Array.from({ length: 40 }, (_, i) =>
            gateway.rawChat('shared', { stream: true, user: `u${i}` }),
        ),
    );
    clients.forEach((client, i) => i % 2 === 0 && client.reset());
    for (const [i, client] of clients.entries()) {
        if (i % 2 === 1) {
            const answer = await client.answer();
            assert.equal(answer.text.match(new RegExp(`u${i}-\\d+ `, 'g')).length, 40);
            assert.match(answer.text, /\[DONE\]\n\n$/);
            client.close();
        }
    }
});

// Reads about 1 KB a second: ten small reads, each after a pause.
async function readSlowly(client, seconds) {
    const { socket } = client;
    let read = 0;
    for (let i = 0; i < seconds * 10; i++) {
        await new Promise((done) => {
            setTimeout(done, 100);
        });
        read += socket.read(100)?.length ?? 0;
    }
    return read;
}

// What the kernel may hold between the two ends: four sockets' buffers, as large as it lets them grow.
function kernelRoom() {
    const largest = (name) =>
        Number(readFileSync(`/proc/sys/net/ipv4/${name}`, 'utf8').trim().split(/\s+/)[2]);
    return 2 * (largest('tcp_rmem') + largest('tcp_wmem'));
}

test('a reader at 1 KB/s pauses the upstream and does not grow memory', async (t) => {
    mock.reset();
    const most = kernelRoom() + (16 << 20);
    const TOTAL = 2 * most;
    const event = Buffer.from(
        `data: ${JSON.stringify(chunkOf({ content: 'x'.repeat(4000) }))}\n\n`,
    );
    let sent = 0;
    mock.when('large', async (request, reply) => {
        await reply.head();
        while (sent < TOTAL) {
            await reply.data(event);
            sent += event.length;
        }
        await reply.event('[DONE]');
        await reply.end();
    });
    await gateway.chat('warm-up');
    const before = gateway.memory();
    const client = await gateway.raw();
    client.socket.removeAllListeners('data');
    client.socket.pause();
    await client.send(gateway.rawRequest({ model: 'large', stream: true, messages: [] }));
    await until(() => sent > 0);
    let peak = 0;
    let read = 0;
    let last = -1;
    for (let second = 0; second < 5; second++) {
        read += await readSlowly(client, 1);
        peak = Math.max(peak, gateway.memory());
        if (second === 2) {
            last = sent;
        }
    }
    t.diagnostic(`read ${read} bytes, upstream sent ${sent}, memory grew by ${peak - before} KiB`);
    assert.ok(read > 0);
    assert.ok(sent < most, `the upstream was not paused: ${sent} bytes`);
    assert.ok(sent - last < 4 << 20, `the upstream still runs ahead: ${sent - last} bytes in 2 s`);
    if (!sanitized) {
        assert.ok(peak - before < 8192, `memory grew by ${peak - before} KiB`);
    }
    client.close();
    await until(() => mock.busy === 0, { timeout: 2000 * slow });
});

test('a paused stream goes on when its client reads again, byte for byte', async () => {
    mock.reset();
    const pieces = Array.from(
        { length: 3000 },
        (_, i) => `data: ${JSON.stringify(chunkOf({ content: `${i} ${'y'.repeat(3000)}` }))}\n\n`,
    );
    const body = Buffer.from(`${pieces.join('')}data: [DONE]\n\n`);
    mock.when('resumed', { body, cut: { size: 50000 } });
    const client = await gateway.rawChat('resumed', { stream: true });
    await client.wait(() => client.size > 0);
    client.socket.pause();
    let sent = -1;
    // until the upstream stands still
    await until(() => {
        const now =
            mock.last.connection.socket.bytesWritten - mock.last.connection.socket.writableLength;
        const still = now === sent;
        sent = now;
        return still;
    });
    client.socket.resume();
    await client.wait(() => client.bytes.subarray(-7).equals(Buffer.from('\r\n0\r\n\r\n')), {
        timeout: 20000 * slow,
        what: 'the end of the stream',
    });
    assert.ok((await client.answer()).body.equals(body));
    client.close();
});

test('a slow reader of a whole answer gets it whole', async () => {
    mock.reset();
    const body = chatBody('z'.repeat(8 << 20));
    mock.when('whole', { body });
    const client = await gateway.rawChat('whole');
    await client.wait(() => client.size > 0, { timeout: 10000 * slow });
    for (let i = 0; i < 5; i++) {
        client.socket.pause();
        await new Promise((done) => {
            setTimeout(done, 50);
        });
        client.socket.resume();
        await new Promise((done) => {
            setImmediate(done);
        });
    }
    await client.wait(() => client.size >= body.length + 100, { timeout: 20000 * slow });
    assert.ok((await client.answer()).body.equals(body));
    client.close();
});
