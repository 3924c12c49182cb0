// A client on plain sockets: sends bytes as they are given and keeps what comes back with the time
// it came. For requests that no HTTP library would send, and for reading at one's own speed.
import net from 'node:net';

class Answer {
    constructor(head) {
        const [first, ...lines] = head.split('\r\n');
        this.head = head;
        this.status = Number(first.split(' ')[1]);
        this.headers = lines.map((line) => {
            const colon = line.indexOf(':');
            return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        });
        this.chunks = []; // as they were framed
        this.truncated = false;
    }

    header(name) {
        return this.headers.find(([n]) => n === name)?.[1];
    }

    finish(body, leftover, truncated = false) {
        return Object.assign(this, { body, leftover, truncated });
    }

    get text() {
        return this.body.toString('utf8');
    }

    get json() {
        return JSON.parse(this.text);
    }
}

// Takes chunks off the front of rest. Returns [pieces, what is left, complete].
function readChunks(rest) {
    const pieces = [];
    for (;;) {
        const line = rest.indexOf('\r\n');
        const size = line < 0 ? NaN : parseInt(rest.subarray(0, line).toString('latin1'), 16);
        if (size === 0) {
            const end = rest.indexOf('\r\n\r\n', line);
            return end < 0 ? [pieces, rest, false] : [pieces, rest.subarray(end + 4), true];
        }
        if (Number.isNaN(size) || rest.length < line + 2 + size + 2) {
            return [pieces, rest, false];
        }
        pieces.push(rest.subarray(line + 2, line + 2 + size));
        rest = rest.subarray(line + 2 + size + 2);
    }
}

// Splits an answer. Bodies: chunked, by length or until close. Returns null while it is incomplete;
// with `ended`, an answer that can no longer become complete is marked as truncated.
export function parseAnswer(bytes, ended = false) {
    let rest = bytes;
    let head;
    do {
        const end = rest.indexOf('\r\n\r\n');
        if (end < 0) {
            return null;
        }
        head = rest.subarray(0, end).toString('latin1');
        rest = rest.subarray(end + 4);
    } while (/^HTTP\/1\.1 1\d\d/.test(head));
    const answer = new Answer(head);
    if (answer.status === 204 || answer.status === 304) {
        return answer.finish(Buffer.alloc(0), rest);
    }
    if (/chunked/i.test(answer.header('transfer-encoding') ?? '')) {
        const [pieces, leftover, complete] = readChunks(rest);
        answer.chunks = pieces;
        return complete || ended ? answer.finish(Buffer.concat(pieces), leftover, !complete) : null;
    }
    const length = answer.header('content-length');
    if (length === undefined) {
        return ended ? answer.finish(rest, Buffer.alloc(0)) : null;
    }
    const size = Number(length);
    if (rest.length >= size) {
        return answer.finish(rest.subarray(0, size), rest.subarray(size));
    }
    return ended ? answer.finish(rest, Buffer.alloc(0), true) : null;
}

export class RawClient {
    static connect(port, host = '127.0.0.1', options = {}) {
        return new Promise((done, fail) => {
            const socket = net.connect({ port, host, ...options });
            socket.once('error', fail);
            socket.once('connect', () => {
                socket.off('error', fail);
                done(new RawClient(socket));
            });
        });
    }

    constructor(socket) {
        this.socket = socket;
        this.received = [];
        this.size = 0;
        this.ended = false;
        this.error = null;
        this.waiters = new Set();
        socket.setNoDelay(true);
        const wake = () => {
            for (const waiter of this.waiters) {
                waiter();
            }
        };
        socket.on('data', (bytes) => {
            this.received.push(bytes);
            this.size += bytes.length;
            wake();
        });
        socket.on('error', (error) => {
            this.error = error;
        });
        socket.on('end', () => {
            this.ended = true;
            wake();
        });
        socket.on('close', () => {
            this.ended = true;
            wake();
        });
    }

    get bytes() {
        if (this.received.length > 1) {
            this.received = [Buffer.concat(this.received)];
        }
        return this.received[0] ?? Buffer.alloc(0);
    }

    get text() {
        return this.bytes.toString('utf8');
    }

    send(bytes) {
        return new Promise((done) => {
            this.socket.write(bytes, () => setImmediate(done));
        });
    }

    // Resolves with test()'s value as soon as it is truthy; looked at whenever something came.
    wait(test, { timeout = 10000, what = 'bytes' } = {}) {
        return new Promise((done, fail) => {
            let timer = null;
            const check = () => {
                const value = test();
                if (!value && !this.ended) {
                    return;
                }
                this.waiters.delete(check);
                clearTimeout(timer);
                if (value) {
                    done(value);
                } else {
                    fail(
                        new Error(
                            `connection ended while waiting for ${what}; ` +
                                `got: ${JSON.stringify(this.text.slice(0, 500))}`,
                        ),
                    );
                }
            };
            timer = setTimeout(() => {
                this.waiters.delete(check);
                fail(
                    new Error(
                        `not within ${timeout} ms: ${what}; ` +
                            `got: ${JSON.stringify(this.text.slice(0, 500))}`,
                    ),
                );
            }, timeout);
            this.waiters.add(check);
            check();
        });
    }

    // The next whole answer; its bytes are taken out of what was received.
    async answer(options = {}) {
        const answer = await this.wait(() => parseAnswer(this.bytes, this.ended), {
            what: 'an answer',
            ...options,
        });
        this.received = [answer.leftover];
        return answer;
    }

    // Resolves when the peer has closed.
    closed(timeout = 10000) {
        return this.wait(() => this.ended, { timeout, what: 'the end of the connection' });
    }

    close() {
        this.socket.destroy();
    }

    reset() {
        this.socket.resetAndDestroy();
    }
}

export function requestBytes(method, path, headers, body = '') {
    const lines = [
        `${method} ${path} HTTP/1.1`,
        ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
    ];
    return Buffer.concat([
        Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'),
        Buffer.from(body),
    ]);
}
