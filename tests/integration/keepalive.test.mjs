// Connections: kept and used again on both sides, and what happens when one is stale.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { broken, chatStream, legal } from '../upstream/scenarios.mjs';
import { assertError, startPair, stopAll, until } from './helper.mjs';

let mock, gateway;
before(async () => {
    ({ mock, gateway } = await startPair());
});
after(() => stopAll(gateway, mock));
beforeEach(() => {
    mock.reset();
    for (const connection of mock.connections) {
        connection.socket.destroy();
    }
});

// A fresh start: the gateway holds no connection. Its view may lag behind ours, so one request
// sorts that out.
async function settled() {
    await until(() => mock.open === 0);
    await gateway.chat('settle');
    mock.requests.length = 0;
    return mock.opened;
}

test('a connection is used again after every kind of complete answer', async () => {
    const opened = await settled();
    const kinds = [
        legal.plain,
        legal.stream,
        legal['stream-with-length'],
        legal['chunk-extensions'],
        legal['interim-many'],
        { status: 400, body: '{"error":{"message":"no"}}' },
        { body: '{"choices":[]}', framing: 'chunked', cut: 'bytes' },
    ];
    for (const scenario of kinds) {
        mock.push(scenario);
        await gateway.chat('m', { stream: true });
    }
    assert.equal(mock.requests.length, kinds.length);
    assert.equal(mock.opened, opened);
});

test('a connection is not used again when the upstream says close', async () => {
    const opened = await settled();
    for (let i = 0; i < 3; i++) {
        mock.push({ body: '{"choices":[]}', headers: { Connection: 'close' } });
        assert.equal((await gateway.chat('m')).status, 200);
    }
    assert.equal(mock.opened, opened + 2);
});

test('a connection is not used again after an answer until close or HTTP/1.0', async () => {
    const opened = await settled();
    mock.push(legal['stream-until-close']);
    await gateway.chat('m', { stream: true });
    mock.push({
        raw:
            'HTTP/1.0 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n' +
            '{"choices":[]}',
        end: 'close',
    });
    assert.equal((await gateway.chat('m')).status, 200);
    assert.equal((await gateway.chat('m')).status, 200);
    assert.equal(mock.opened, opened + 2);
});

test('a connection with bytes behind its answer is not used again', async () => {
    const opened = await settled();
    mock.push({
        raw:
            'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n' +
            '{"choices":[]}HTTP/1.1 200 OK\r\nContent-Length: 8\r\n\r\n"poison"',
        end: 'keep',
    });
    assert.equal((await gateway.chat('m')).text, '{"choices":[]}');
    const next = await gateway.chat('m');
    assert.equal(next.status, 200);
    assert.ok(!next.text.includes('poison'));
    assert.equal(mock.opened, opened + 1);
});

test('concurrent requests have connections of their own, and leave them to the next', async () => {
    await settled();
    let waiting = 0;
    mock.otherwise(async () => {
        waiting++;
        await until(() => waiting >= 10);
        return { body: '{"choices":[]}' };
    });
    await Promise.all(Array.from({ length: 10 }, () => gateway.chat('m')));
    const opened = mock.opened;
    assert.equal(mock.open, 10);
    await Promise.all(Array.from({ length: 10 }, () => gateway.chat('m')));
    assert.equal(mock.opened, opened);
});

for (const action of ['close-on-next', 'reset-on-next']) {
    test(`a connection that ends when a request arrives is replaced (${action})`, async () => {
        const opened = await settled();
        for (const stream of [false, true]) {
            mock.push({ body: '{"choices":[]}', after: action });
            await gateway.chat('first');
            mock.push({ body: chatStream('second') });
            const hits = mock.staleHits;
            const answer = await gateway.chat('second', { stream });
            assert.equal(answer.status, 200, answer.text);
            assert.equal(mock.staleHits, hits + 1);
            assert.equal(mock.last.model, 'second');
        }
        assert.equal(mock.opened, opened + 2);
        assert.equal(mock.requests.length, 4);
    });
}

test('a large body is sent again whole on the new connection', async () => {
    await settled();
    mock.push({ body: '{"choices":[]}', after: 'reset-on-next' });
    await gateway.chat('first');
    const body = Buffer.from(`{"model":"again","messages":[],"user":"${'x'.repeat(3 << 20)}"}`);
    const answer = await gateway.call({ body });
    assert.equal(answer.status, 200, answer.text);
    assert.ok(mock.last.body.equals(body));
});

test('a connection closed while it was idle is not noticed by the client', async () => {
    await settled();
    for (let i = 0; i < 10; i++) {
        for (const connection of mock.connections) {
            connection.socket[i % 2 ? 'resetAndDestroy' : 'destroy']();
        }
        assert.equal((await gateway.chat('m')).status, 200);
    }
});

test('no second try when a part of an answer was received', async () => {
    await settled();
    mock.push({ body: '{"choices":[]}', after: 'partial-on-next' });
    await gateway.chat('first');
    const opened = mock.opened;
    assertError(await gateway.chat('second'), 502);
    assert.equal(mock.staleHits, 1);
    assert.equal(mock.opened, opened);
    assert.equal(mock.requests.length, 1);
});

test('no second try on a connection that was new', async () => {
    await settled();
    mock.push({ body: '{"choices":[]}', headers: { Connection: 'close' } });
    await gateway.chat('first');
    const opened = mock.opened;
    mock.push(broken['close-at-once']);
    assertError(await gateway.chat('second'), 502);
    assert.equal(mock.opened, opened + 1);
    assert.equal(mock.requests.length, 2);
});

test('the second try is the last', async () => {
    await settled();
    mock.push({ body: '{"choices":[]}', after: 'close-on-next' });
    await gateway.chat('first');
    mock.push(broken['close-at-once'], broken['close-at-once']);
    assertError(await gateway.chat('second'), 502);
    assert.equal(mock.requests.length, 2);
});

test('clients keep their connections too', async () => {
    const client = await gateway.raw();
    for (const stream of [false, true, false]) {
        mock.push({ body: stream ? chatStream('x') : '{"choices":[]}' });
        await client.send(gateway.rawRequest({ model: 'm', messages: [], stream }));
        assert.equal((await client.answer()).status, 200);
    }
    await client.send(gateway.rawRequest('{"model":'));
    assertError(await client.answer(), 400);
    await client.send(gateway.rawRequest({ model: 'm', messages: [] }));
    assert.equal((await client.answer()).status, 200);
    client.close();
});

test('pipelined requests are answered in order', async () => {
    const client = await gateway.raw();
    const names = ['a', 'b', 'c'];
    for (const name of names) {
        mock.when(name, {
            body: JSON.stringify({ choices: [], name }),
            delay: name === 'a' ? 50 : 0,
        });
    }
    await client.send(
        Buffer.concat(names.map((model) => gateway.rawRequest({ model, messages: [] }))),
    );
    for (const name of names) {
        assert.equal((await client.answer()).json.name, name);
    }
    client.close();
});

test('HTTP/1.0 clients are answered and left', async () => {
    const client = await gateway.raw();
    mock.push({ body: chatStream('x') });
    const bytes = gateway.rawRequest({ model: 'm', messages: [], stream: true });
    await client.send(Buffer.from(bytes.toString().replace('HTTP/1.1', 'HTTP/1.0')));
    await client.closed();
    const answer = await client.answer();
    assert.equal(answer.header('transfer-encoding'), undefined);
    assert.equal(answer.text, chatStream('x').toString());
});
