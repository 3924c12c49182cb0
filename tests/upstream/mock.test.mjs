// The mock itself: what it is told to do is what a client on a plain socket sees.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import tls from 'node:tls';
import { makeAuthority, makeCertificate } from './certs.mjs';
import { cutBytes, seeded } from './cut.mjs';
import { Mock, until } from './mock.mjs';
import { RawClient, requestBytes } from './raw.mjs';
import { frameChunks, ownStreams, parseHead, recordings } from './recordings.mjs';
import { all, broken, garbage, legal, pages, refusals, stalls } from './scenarios.mjs';

let mock;
before(async () => {
    mock = await Mock.start();
});
after(() => mock.stop());

const post = (model) => {
    const body = JSON.stringify({ model, messages: [] });
    return requestBytes(
        'POST',
        '/v1/chat/completions',
        { Host: 'x', 'Content-Length': body.length },
        body,
    );
};

async function ask(scenario) {
    mock.push(scenario);
    const client = await RawClient.connect(mock.port);
    await client.send(post('m'));
    return client;
}

test('cuts lose nothing and fall where they should', () => {
    const bytes = Buffer.from('data: {"a":"ü€😀"}\r\n\r\ndata: x\n\n: c\n\n');
    const ways = [
        'whole',
        'bytes',
        'events',
        'utf8',
        'crlf',
        { size: 7 },
        { at: [3, 3, 99, 9] },
        { seed: 5, max: 9 },
    ];
    for (const how of ways) {
        assert.deepEqual(Buffer.concat(cutBytes(bytes, how)), bytes, JSON.stringify(how));
    }
    assert.equal(cutBytes(bytes, 'bytes').length, bytes.length);
    assert.equal(cutBytes(bytes, 'events').length, 3);
    assert.equal(cutBytes(bytes, 'utf8').length, 1 + 1 + 2 + 3);
    const crlf = cutBytes(bytes, 'crlf');
    assert.ok(crlf[0].toString().endsWith('\r') && crlf[1][0] === 10);
    assert.deepEqual(cutBytes(bytes, { seed: 5 }), cutBytes(bytes, { seed: 5 }));
    assert.notEqual(seeded(1)(), seeded(2)());
});

test('recordings are framed as their index says', (t) => {
    assert.equal(
        frameChunks('{"a":1}\n{"b":2}').toString(),
        'data: {"a":1}\n\ndata: {"b":2}\n\ndata: [DONE]\n\n',
    );
    const head = parseHead(
        'HTTP/1.1 404 Not Found\nContent-Type: a/b\nConnection: close\nX: y: z\n',
    );
    assert.deepEqual(head, {
        status: 404,
        reason: 'Not Found',
        headers: [
            ['Content-Type', 'a/b'],
            ['X', 'y: z'],
        ],
    });
    const streams = recordings('chat-stream');
    t.diagnostic(`recorded chat streams: ${streams.length}, own streams: ${ownStreams().length}`);
    for (const stream of streams) {
        assert.equal(stream.status, 200, stream.name);
        assert.match(stream.body.toString(), /^(data|event|id|:)/, stream.name);
    }
});

test('a request is kept byte by byte, however it arrives', async () => {
    const bytes = post('kept');
    const client = await RawClient.connect(mock.port);
    for (const piece of cutBytes(bytes, { seed: 3, max: 5 })) {
        await client.send(piece);
    }
    const answer = await client.answer();
    assert.equal(answer.status, 200);
    assert.equal(answer.json.choices[0].message.content, 'Hello.');
    assert.equal(mock.last.model, 'kept');
    assert.deepEqual(Buffer.concat([mock.last.rawHead, mock.last.body]), bytes);
    client.close();
});

test('a chunked request is put together', async () => {
    const client = await RawClient.connect(mock.port);
    await client.send('POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n');
    await client.send('6\r\n world\r\n0\r\n\r\n');
    await client.answer();
    assert.equal(mock.last.body.toString(), 'hello world');
    client.close();
});

test('requests on one connection are answered in order', async () => {
    const client = await RawClient.connect(mock.port);
    const opened = mock.opened;
    mock.push({ body: '"one"' }, { body: '"two"', framing: 'chunked' });
    await client.send(Buffer.concat([post('a'), post('b')]));
    assert.equal((await client.answer()).json, 'one');
    assert.equal((await client.answer()).json, 'two');
    assert.equal(mock.opened, opened);
    client.close();
    await until(() => mock.open === 0);
});

test('every cut arrives whole, with each framing', async () => {
    const body = legal.stream.body;
    for (const framing of ['chunked', 'length', 'close']) {
        for (const how of ['bytes', 'utf8', 'crlf', 'events', { seed: 9 }]) {
            for (const key of ['cut', 'wire']) {
                const client = await ask({ body, framing, [key]: how });
                const answer = await client.answer();
                assert.deepEqual(answer.body, body, `${framing} ${key} ${JSON.stringify(how)}`);
                client.close();
            }
        }
    }
});

test('cuts are real: a reader sees the pieces one after the other', async () => {
    const client = await ask({ body: 'abc', cut: 'bytes', framing: 'close', gap: 5 });
    await client.wait(() => client.text.endsWith('a'));
    assert.ok(!client.text.endsWith('abc'));
    assert.equal((await client.answer()).text, 'abc');
});

test('refusals and pages have the status they are named for', async () => {
    for (const [name, scenario] of Object.entries({ ...refusals, ...pages })) {
        const client = await ask(scenario);
        const answer = await client.answer();
        assert.equal(answer.status, scenario.status, name);
        assert.equal(answer.body.toString(), scenario.body.toString(), name);
        client.close();
    }
});

test('broken answers end early, and as told', async () => {
    for (const [name, scenario] of Object.entries(broken)) {
        const client = await ask(scenario);
        await client.closed();
        const isReset = client.error?.code === 'ECONNRESET';
        assert.equal(isReset, scenario.end === 'reset', name);
        if (name === 'truncated-length') {
            assert.match(client.text, /Content-Length/);
        }
    }
    assert.equal(mock.aborted, 0);
});

test('a stall is silent and ends with the peer', async () => {
    for (const [name, scenario] of Object.entries(stalls)) {
        const aborted = mock.aborted;
        const client = await ask(scenario);
        await until(() => mock.requests.some((r) => r.connection.open));
        client.close();
        await until(() => mock.open === 0, { what: () => name });
        assert.equal(mock.aborted, aborted + 1, name);
        assert.ok(mock.last.aborted, name);
    }
});

test('garbage is sent as it is', async () => {
    for (const [name, scenario] of Object.entries(garbage)) {
        const client = await ask(scenario);
        await client.closed();
        assert.deepEqual(client.bytes, Buffer.from(scenario.raw), name);
    }
});

test('interim heads come before the final one', async () => {
    const client = await ask(legal['interim-many']);
    assert.equal((await client.answer()).status, 200);
    client.close();
});

test('a connection closes just when the next request arrives', async () => {
    for (const action of ['close-on-next', 'reset-on-next', 'partial-on-next']) {
        const hits = mock.staleHits;
        const client = await ask({ body: 'null', after: action });
        await client.answer();
        assert.ok(!client.ended);
        const seen = mock.requests.length;
        await client.send(post('again'));
        await client.closed();
        assert.equal(mock.staleHits, hits + 1, action);
        assert.equal(mock.requests.length, seen, action);
        assert.equal(
            client.text,
            action === 'partial-on-next' ? 'HTTP/1.1 200 OK\r\nContent-Ty' : '',
        );
    }
});

test('a function decides step by step, and knows when the peer left', async () => {
    let left;
    const client = await ask(async (request, reply) => {
        await reply.head();
        await reply.event('one');
        left = reply.closed;
        await reply.closed;
    });
    await client.wait(() => client.text.includes('data: one'));
    client.close();
    await left;
    await until(() => mock.last.aborted);
});

test('a writer waits for a reader that does not read', async () => {
    let sent = 0;
    const piece = Buffer.alloc(65536, 'x');
    const client = await ask(async (request, reply) => {
        await reply.head();
        for (;;) {
            await reply.data(piece);
            sent += piece.length;
        }
    });
    client.socket.pause();
    let before = -1;
    await until(() => {
        const still = sent > 0 && sent === before;
        before = sent;
        return still;
    });
    assert.ok(sent < 64 << 20);
    client.close();
    await until(() => mock.open === 0);
});

test('TLS: own authority, server name, versions', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'gate-mock-'));
    const authority = makeAuthority(dir);
    const pair = makeCertificate(dir, 'good', ['DNS:localhost'], { authority });
    const secure = await Mock.start({ tls: { ...pair, maxVersion: 'TLSv1.2' } });
    try {
        const { readFileSync } = await import('node:fs');
        const socket = tls.connect({
            port: secure.port,
            host: '127.0.0.1',
            servername: 'localhost',
            ca: readFileSync(authority.cert),
        });
        await new Promise((done, fail) => {
            socket.once('secureConnect', done);
            socket.once('error', fail);
        });
        assert.equal(socket.getProtocol(), 'TLSv1.2');
        const client = new RawClient(socket);
        await client.send(post('secret'));
        assert.equal((await client.answer()).status, 200);
        assert.equal(secure.last.connection.serverName, 'localhost');
        client.close();
    } finally {
        await secure.stop();
        rmSync(dir, { recursive: true });
    }
});

test('every scenario can be played', async () => {
    for (const [name, scenario] of Object.entries(all)) {
        const client = await ask(scenario);
        if (scenario.end !== 'stall') {
            await until(() => client.ended || mock.last.answered, { what: () => name });
        }
        client.close();
    }
});
