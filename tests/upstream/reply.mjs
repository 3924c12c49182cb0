// One answer of the mock upstream, byte by byte.
import { STATUS_CODES } from 'node:http';
import { cutBytes } from './cut.mjs';

// The peer closed the connection while an answer was being written.
export class Gone extends Error {
    constructor() {
        super('the peer has closed the connection');
    }
}

const wait = (ms) =>
    new Promise((done) => {
        setTimeout(done, ms);
    });
const nextTurn = () =>
    new Promise((done) => {
        setImmediate(done);
    });

function chunk(bytes) {
    return Buffer.concat([
        Buffer.from(`${bytes.length.toString(16)}\r\n`),
        bytes,
        Buffer.from('\r\n'),
    ]);
}

const actions = {
    'close-on-next': (socket) => socket.end(),
    'reset-on-next': (socket) => socket.resetAndDestroy(),
    'partial-on-next': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Ty'),
};

function reset(socket) {
    if (typeof socket.resetAndDestroy === 'function' && !socket.encrypted) {
        socket.resetAndDestroy();
    } else {
        socket.destroy();
    }
}

export class Reply {
    constructor(socket, request, connection) {
        this.socket = socket;
        this.request = request;
        this.connection = connection;
        this.framing = 'none';
        this.finished = false; // the answer is complete
        this.closed = connection.whenClosed;
    }

    get gone() {
        return this.socket.destroyed || !this.socket.writable;
    }

    // Writes one piece and lets it leave before the next. Waits while the peer does not read.
    async raw(bytes) {
        if (this.gone) {
            throw new Gone();
        }
        if (!this.socket.write(bytes)) {
            await Promise.race([
                this.closed,
                new Promise((done) => {
                    this.socket.once('drain', done);
                }),
            ]);
        }
        await nextTurn();
        if (this.gone) {
            throw new Gone();
        }
    }

    headBytes({ status = 200, reason, headers = [], framing = 'chunked', length }) {
        this.framing = framing;
        const lines = [`HTTP/1.1 ${status} ${reason ?? STATUS_CODES[status] ?? ''}`];
        for (const [name, value] of headers) {
            lines.push(`${name}: ${value}`);
        }
        if (framing === 'chunked') {
            lines.push('Transfer-Encoding: chunked');
        } else if (framing === 'length') {
            lines.push(`Content-Length: ${length}`);
        } else if (framing === 'close') {
            lines.push('Connection: close');
        }
        return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
    }

    // For functions: the head of an event stream, unless told otherwise.
    head(options = {}) {
        const headers = [['Content-Type', 'text/event-stream; charset=utf-8']];
        return this.raw(this.headBytes({ headers, ...options }));
    }

    frame(bytes) {
        return this.framing === 'chunked' ? chunk(bytes) : bytes;
    }

    // A piece of the body.
    data(bytes) {
        return this.raw(this.frame(Buffer.from(bytes)));
    }

    // One event with this payload.
    event(payload) {
        const text = typeof payload === 'string' ? payload : JSON.stringify(payload);
        return this.data(`data: ${text}\n\n`);
    }

    // The end of the message; the connection stays if its framing allows.
    async end() {
        if (this.framing === 'chunked') {
            await this.raw('0\r\n\r\n');
        }
        this.finished = true;
        if (this.framing === 'close') {
            this.socket.end();
        }
    }

    // Ends the connection: 'close' (FIN), 'reset' (RST) or 'stall' (stays open, silent).
    async drop(how) {
        if (how === 'stall') {
            return;
        }
        this.connection.dropped = true;
        await nextTurn();
        if (how === 'reset') {
            reset(this.socket);
        } else {
            this.socket.end();
        }
    }

    // What happens to the connection when the next request arrives on it.
    after(action) {
        const act = actions[action];
        if (!act) {
            throw new Error(`unknown action: ${action}`);
        }
        this.connection.onNext = act;
    }
}

const listOf = (headers) => (Array.isArray(headers) ? headers : Object.entries(headers ?? {}));

function defaultType(body) {
    const first = body.subarray(0, 6).toString('latin1');
    if (/^(data:|event:|id:|:|retry)/.test(first)) {
        return 'text/event-stream; charset=utf-8';
    }
    return first.startsWith('<') ? 'text/html; charset=utf-8' : 'application/json';
}

// The pieces that a described scenario puts on the wire.
function compose(reply, scenario) {
    if (scenario.raw !== undefined) {
        return cutBytes(Buffer.from(scenario.raw), scenario.wire);
    }
    const body = Buffer.from(scenario.body ?? '');
    const headers = listOf(scenario.headers);
    if (body.length > 0 && !headers.some(([name]) => name.toLowerCase() === 'content-type')) {
        headers.unshift(['Content-Type', defaultType(body)]);
    }
    const streamed = headers.some(([, value]) => value.startsWith('text/event-stream'));
    const framing = scenario.framing ?? (streamed ? 'chunked' : 'length');
    const length = scenario.declaredLength ?? body.length;
    const pieces = (scenario.interim ?? []).map((text) => Buffer.from(text));
    pieces.push(reply.headBytes({ ...scenario, headers, framing, length }));
    const sent = body.subarray(0, scenario.stopAfter ?? body.length);
    if (sent.length > 0) {
        pieces.push(...cutBytes(sent, scenario.cut).map((piece) => reply.frame(piece)));
    }
    if (framing === 'chunked' && scenario.stopAfter === undefined) {
        pieces.push(Buffer.from('0\r\n\r\n'));
    }
    return scenario.wire ? cutBytes(Buffer.concat(pieces), scenario.wire) : pieces;
}

// Plays a scenario that is an object:
//   status, reason, headers ([[name, value]] or an object), body (text or bytes)
//   framing      "chunked" (default of event streams), "length" (default of the rest), "close",
//                "none"
//   cut          how the body is cut (see cut.mjs): each piece is one chunk and one write
//   wire         how all bytes, head and framing included, are cut into writes instead
//   interim      raw 1xx heads that go first
//   delay        ms before the first byte; gap: ms between two pieces
//   stopAfter    so many bytes of the body are sent, and no end of the message
//   declaredLength  Content-Length, when it shall differ from the body's
//   raw          bytes to send as they are, instead of all that
//   end          "keep", or what happens to the connection: "close", "reset", "stall"
//   after        "close-on-next", "reset-on-next", "partial-on-next": see Reply.after
export async function play(reply, scenario) {
    if (scenario.delay) {
        await wait(scenario.delay);
    }
    if (scenario.after) {
        reply.after(scenario.after);
    }
    let first = true;
    for (const piece of compose(reply, scenario)) {
        if (!first && scenario.gap) {
            await wait(scenario.gap);
        }
        first = false;
        await reply.raw(piece);
    }
    const cutShort = scenario.stopAfter !== undefined || scenario.raw !== undefined;
    const end = scenario.end ?? (reply.framing === 'close' || cutShort ? 'close' : 'keep');
    reply.finished = end === 'keep' || (end === 'close' && !cutShort);
    if (end !== 'keep') {
        await reply.drop(end);
    }
}
