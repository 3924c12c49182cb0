// A service with many accounts, told apart by their keys, each of which is well or fails in some
// way. Its answers can be checked: the text depends on the request and on nothing else.
import { once } from 'node:events';
import http from 'node:http';

export const words = (id) => Array.from({ length: 12 }, (_, i) => `w${id}.${i} `);

const chunk = (delta, finish = null) =>
    `data: ${JSON.stringify({
        id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm',
        choices: [{ index: 0, delta, finish_reason: finish }],
    })}\n\n`;
const usage = { prompt_tokens: 10, completion_tokens: 12, total_tokens: 22 };
const error = (message, code) => JSON.stringify({ error: { message, code, type: 'x' } });

function json(response, status, body, headers = {}) {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(body);
}

function stream(response) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(chunk({ role: 'assistant', content: '' }));
}

// Breaks off in the middle of an answer; behind `text`, when it streams.
function cut(response, streams, text) {
    if (streams) {
        stream(response);
        if (text) {
            response.write(chunk({ content: text }));
        }
    } else {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 });
        response.write('{"id":"c","choices":[{"message":{"content":"');
    }
    setTimeout(() => response.socket?.destroy(), 20);
}

// What an account does that fails.
export const failures = {
    error500: { act: (r) => json(r, 500, error('internal', 'internal_error')) },
    busy503: { act: (r) => json(r, 503, error('busy', 'overloaded')) },
    busy529: { act: (r) => json(r, 529, error('busy', 'overloaded')) },
    limited: {
        act: (r) => json(r, 429, error('too many requests', 'rate_limit_exceeded'),
            { 'retry-after': '1' }),
    },
    limitedEmpty: { act: (r) => { r.writeHead(429); r.end(); } },
    denied: { act: (r) => json(r, 401, error('Incorrect API key provided', 'invalid_api_key')) },
    page: { act: (r) => { r.writeHead(200, { 'content-type': 'text/html' }); r.end('<html>'); } },
    reset: { act: (r) => r.socket.destroy() },
    hang: { act: () => {} },
    garbage: { act: (r) => r.socket.end('HTTP/1.1 999\r\nnot http at all') },
    noAnswer: { act: (r) => json(r, 200, '{"object":"other"}') },
    errorFirst: {
        act: (r, id, streams) => {
            if (!streams) {
                json(r, 200, error('engine failed', 'internal_error'));
                return;
            }
            stream(r);
            r.end(`data: ${error('engine failed', 'internal_error')}\n\n`);
        },
    },
    cutEarly: { act: (r, id, streams) => cut(r, streams, '') },
    cutLate: { act: (r, id, streams) => cut(r, streams, words(id)[0]) },
};

export class Upstream {
    constructor(keys) {
        this.accounts = new Map(keys.map((key) => [key, { fails: null, asked: 0, good: 0 }]));
        this.server = http.createServer({ keepAliveTimeout: 60000 }, (q, r) => this.handle(q, r));
    }

    async start() {
        this.server.listen(0, '127.0.0.1');
        await once(this.server, 'listening');
        this.base = `http://127.0.0.1:${this.server.address().port}/v1`;
        return this;
    }

    stop() {
        this.server.closeAllConnections();
        this.server.close();
    }

    async handle(request, response) {
        const parts = [];
        request.on('error', () => {});
        response.on('error', () => {});
        for await (const part of request) {
            parts.push(part);
        }
        const body = JSON.parse(Buffer.concat(parts).toString());
        const key = (request.headers.authorization ?? '').replace('Bearer ', '');
        const account = this.accounts.get(key);
        const id = body.messages.at(-1).content;
        account.asked += 1;
        this.onRequest?.(key, id);
        if (account.fails) {
            failures[account.fails].act(response, id, body.stream);
            return;
        }
        account.good += 1;
        if (body.stream) {
            stream(response);
            for (const word of words(id)) {
                response.write(chunk({ content: word }));
            }
            response.write(chunk({}, 'stop'));
            if (body.stream_options?.include_usage) {
                response.write(`data: ${JSON.stringify({ id: 'c', choices: [], usage })}\n\n`);
            }
            response.end('data: [DONE]\n\n');
        } else {
            json(response, 200, JSON.stringify({
                id: 'c', object: 'chat.completion', created: 1, model: 'm', usage,
                choices: [{
                    index: 0, finish_reason: 'stop',
                    message: { role: 'assistant', content: words(id).join('') },
                }],
            }));
        }
    }
}
