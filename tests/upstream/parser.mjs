// Reads HTTP/1.1 requests from the pieces of a connection, keeping every byte of head and body for
// assertions.

const CRLF2 = Buffer.from('\r\n\r\n');

function parseRequestHead(raw) {
    const text = raw.toString('latin1');
    const lines = text.slice(0, -4).split('\r\n');
    const [method, path, version] = lines[0].split(' ');
    const headers = lines.slice(1).map((line) => {
        const colon = line.indexOf(':');
        return [line.slice(0, colon), line.slice(colon + 1).trim()];
    });
    return { method, path, version, headers };
}

export class Request {
    constructor(raw, connectionId) {
        Object.assign(this, parseRequestHead(raw));
        this.rawHead = raw;
        this.connectionId = connectionId;
        this.at = performance.now();
        this.pieces = [];
        this.complete = false;
        this.answered = false;
        this.aborted = false;
    }

    // All values of a header, in order.
    all(name) {
        return this.headers.filter(([n]) => n.toLowerCase() === name).map(([, value]) => value);
    }

    header(name) {
        return this.all(name)[0];
    }

    get body() {
        if (this.pieces.length > 1) {
            this.pieces = [Buffer.concat(this.pieces)];
        }
        return this.pieces[0] ?? Buffer.alloc(0);
    }

    // The parsed body, or undefined when it is not JSON.
    get json() {
        try {
            return JSON.parse(this.body.toString('utf8'));
        } catch {
            return undefined;
        }
    }

    // Looked up by text: a body of 30 MB or with 10,000 levels is no reason to parse it.
    get model() {
        const found = /"model"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(
            this.body.subarray(0, 1 << 20).toString('utf8'),
        );
        return found?.[1];
    }
}

export class RequestParser {
    constructor(connectionId) {
        this.connectionId = connectionId;
        this.pending = [];
        this.request = null;
        this.left = 0; // bytes of body still to come; -1: chunked
    }

    push(bytes) {
        this.pending.push(bytes);
    }

    joined() {
        if (this.pending.length !== 1) {
            this.pending = [Buffer.concat(this.pending)];
        }
        return this.pending[0];
    }

    // The next complete request, or null when more bytes are needed. onHead(request) runs when a
    // head was read.
    next(onHead) {
        if (!this.request) {
            const bytes = this.joined();
            const end = bytes.indexOf(CRLF2);
            if (end < 0) {
                return null;
            }
            this.request = new Request(bytes.subarray(0, end + 4), this.connectionId);
            this.pending = [bytes.subarray(end + 4)];
            const coding = this.request.header('transfer-encoding');
            this.left = coding ? -1 : Number(this.request.header('content-length') ?? 0);
            onHead(this.request);
        }
        const whole = this.left < 0 ? this.readChunked() : this.readLength();
        if (!whole) {
            return null;
        }
        const request = this.request;
        this.request = null;
        request.complete = true;
        return request;
    }

    readLength() {
        while (this.left > 0 && this.pending.length > 0) {
            const piece = this.pending.shift();
            const take = piece.subarray(0, this.left);
            this.left -= take.length;
            if (take.length > 0) {
                this.request.pieces.push(take);
            }
            if (take.length < piece.length) {
                this.pending.unshift(piece.subarray(take.length));
            }
        }
        return this.left === 0;
    }

    readChunked() {
        for (;;) {
            const bytes = this.joined();
            const line = bytes.indexOf('\r\n');
            if (line < 0) {
                return false;
            }
            const size = parseInt(bytes.subarray(0, line).toString('latin1'), 16);
            const end = line + 2 + size + 2;
            if (bytes.length < end) {
                return false;
            }
            if (size > 0) {
                this.request.pieces.push(bytes.subarray(line + 2, end - 2));
            }
            this.pending = [bytes.subarray(end)];
            if (size === 0) {
                return true;
            }
        }
    }
}
