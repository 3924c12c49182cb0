// The mock upstream: HTTP/1.1 on plain sockets, so that every byte that the gateway gets, and the
// moment it gets it, is decided here. A module for the tests; serve.mjs makes a program of it.
//
// What it answers is a scenario: an object that play() in reply.mjs describes, or a function
// (request, reply). Scenarios are taken from push() first (once each, in order), then by the
// request's model from when(), then from otherwise().
import { once } from 'node:events';
import net from 'node:net';
import tls from 'node:tls';
import { Gone, Reply, play } from './reply.mjs';
import { RequestParser } from './parser.mjs';

const simple = {
    body: JSON.stringify({
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1700000000,
        model: 'mock',
        choices: [
            {
                index: 0,
                message: { role: 'assistant', content: 'Hello.' },
                finish_reason: 'stop',
            },
        ],
        usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 },
    }),
};

// Resolves as soon as test() is true; rejects with what() when the time is over.
export async function until(test, { timeout = 5000, what = () => 'condition' } = {}) {
    const end = performance.now() + timeout;
    while (!(await test())) {
        if (performance.now() > end) {
            throw new Error(`not within ${timeout} ms: ${what()}`);
        }
        await new Promise((done) => {
            setTimeout(done, 2);
        });
    }
}

class Connection {
    constructor(mock, socket, id) {
        this.mock = mock;
        this.socket = socket;
        this.id = id;
        this.open = true;
        this.served = 0; // requests read on it
        this.current = null; // the request that is read or answered
        this.dropped = false; // closed by the scenario
        this.onNext = null; // see Reply.after
        this.parser = new RequestParser(id);
        this.serverName = socket.servername || null;
        socket.setNoDelay(true);
        socket.on('data', (bytes) => this.read(bytes));
        socket.on('error', () => {});
        this.whenClosed = new Promise((done) => {
            socket.on('close', () => {
                this.closed();
                done();
            });
        });
    }

    read(bytes) {
        if (this.onNext && !this.current) {
            const act = this.onNext;
            this.onNext = null;
            this.mock.staleHits++;
            act(this.socket);
            return;
        }
        this.parser.push(bytes);
        this.advance();
    }

    // Reads on; starts the answer when a request is complete and the one before is answered.
    advance() {
        if (this.current?.answering) {
            return;
        }
        const request = this.parser.next((fresh) => {
            this.current = fresh;
            this.served++;
            fresh.connection = this;
            this.mock.requests.push(fresh);
        });
        if (!request) {
            return;
        }
        request.answering = true;
        this.mock.answer(request, this);
    }

    answered(request) {
        request.answering = false;
        request.answered = true;
        this.current = null;
        if (this.open) {
            this.advance();
        }
    }

    closed() {
        this.open = false;
        this.closedAt = performance.now();
        this.mock.connections.delete(this);
        if (this.current && !this.dropped) {
            this.current.aborted = true;
            this.current.closedAt = this.closedAt;
            this.mock.aborted++;
        }
    }
}

export class Mock {
    // tls: options of tls.createServer (key, cert, minVersion, maxVersion); absent: plain TCP.
    static async start({ host = '127.0.0.1', port = 0, tls: tlsOptions } = {}) {
        const mock = new Mock(host, tlsOptions);
        mock.server.listen(port, host);
        await once(mock.server, 'listening');
        mock.port = mock.server.address().port;
        return mock;
    }

    constructor(host, tlsOptions) {
        this.host = host;
        this.secure = Boolean(tlsOptions);
        this.requests = [];
        this.connections = new Set();
        this.opened = 0; // TCP connections so far (TLS: handshakes that succeeded)
        this.attempts = 0; // TCP connections so far, failed handshakes included
        this.aborted = 0; // closed by the peer before the answer was complete
        this.staleHits = 0; // requests that met a connection that was about to close
        this.errors = []; // of scenarios: a test that ends with one of these is wrong
        this.queue = [];
        this.byModel = new Map();
        this.byPath = new Map();
        this.fallback = simple;
        const accept = (socket) => {
            this.connections.add(new Connection(this, socket, ++this.opened));
        };
        this.server = this.secure ? tls.createServer(tlsOptions, accept) : net.createServer(accept);
        this.sockets = new Set();
        this.server.on('connection', (socket) => {
            this.attempts++;
            this.sockets.add(socket);
            socket.on('error', () => {});
            socket.on('close', () => this.sockets.delete(socket));
        });
        this.server.on('tlsClientError', () => {});
    }

    // "http://127.0.0.1:1234"; name replaces the address.
    origin(name = this.host) {
        return `${this.secure ? 'https' : 'http'}://${name}:${this.port}`;
    }

    get base() {
        return `${this.origin()}/v1`;
    }

    get open() {
        return this.connections.size;
    }

    // Requests whose answer is not complete.
    get busy() {
        return [...this.connections].filter((c) => c.current).length;
    }

    when(model, scenario) {
        this.byModel.set(model, scenario);
        return this;
    }

    whenPath(path, scenario) {
        this.byPath.set(path, scenario);
        return this;
    }

    push(...scenarios) {
        this.queue.push(...scenarios);
        return this;
    }

    otherwise(scenario) {
        this.fallback = scenario;
        return this;
    }

    reset() {
        this.requests.length = 0;
        this.queue.length = 0;
        this.byModel.clear();
        this.byPath.clear();
        this.fallback = simple;
        this.aborted = 0;
        this.staleHits = 0;
    }

    get last() {
        return this.requests[this.requests.length - 1];
    }

    choose(request) {
        const path = request.path.split('?')[0];
        return (
            this.queue.shift() ??
            this.byPath.get(path) ??
            this.byModel.get(request.model) ??
            this.fallback
        );
    }

    async answer(request, connection) {
        const reply = new Reply(connection.socket, request, connection);
        try {
            let scenario = this.choose(request);
            if (typeof scenario === 'function') {
                scenario = await scenario(request, reply);
            }
            // A function may have answered by itself, or return what to answer.
            if (scenario) {
                await play(reply, scenario);
            }
        } catch (error) {
            if (!(error instanceof Gone)) {
                this.errors.push(error);
                connection.socket.destroy();
            }
        }
        // An answer that was left unfinished (stalled) keeps its connection busy until it closes.
        if (reply.finished) {
            connection.answered(request);
        }
    }

    async stop() {
        const closed = new Promise((done) => {
            this.server.close(done);
        });
        for (const socket of this.sockets) {
            socket.destroy();
        }
        for (const connection of this.connections) {
            connection.socket.destroy();
        }
        await closed;
        if (this.errors.length > 0) {
            throw this.errors[0];
        }
    }
}
