// A client that checks every byte of what it gets.
import http from 'node:http';
import { words } from './upstream.mjs';

export const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

// { ok } or { ok: false, status, begun, code, text, id }. Rejects when the connection breaks.
export function ask(port, key, id, stream, timeout = 60000) {
    const body = JSON.stringify({
        model: 'm', stream, messages: [{ role: 'user', content: String(id) }],
    });
    return new Promise((resolve, reject) => {
        const request = http.request({
            agent, port, host: '127.0.0.1', method: 'POST', path: '/v1/chat/completions', timeout,
            headers: {
                authorization: `Bearer ${key}`, 'content-type': 'application/json',
                'content-length': Buffer.byteLength(body),
            },
        }, (response) => {
            let text = '';
            response.setEncoding('utf8').on('data', (part) => (text += part));
            response.on('error', reject);
            response.on('end', () => {
                if (!response.complete) {
                    reject(new Error('cut'));
                    return;
                }
                resolve({ requestId: response.headers['x-request-id'],
                    ...judge(response.statusCode, text, id, stream) });
            });
        });
        request.on('timeout', () => request.destroy(new Error('the client waited too long')));
        request.on('error', reject);
        request.end(body);
    });
}

function judge(status, text, id, stream) {
    const wanted = words(id).join('');
    if (status !== 200) {
        return { ok: false, status, begun: false, text };
    }
    if (!stream) {
        const got = JSON.parse(text).choices[0].message.content;
        return got === wanted ? { ok: true } : { ok: false, wrong: true, status, text };
    }
    let got = '', failed = false, done = false;
    for (const event of text.split('\n\n').filter((e) => e.startsWith('data: '))) {
        const data = event.slice(6);
        if (data === '[DONE]') {
            done = true;
            continue;
        }
        const chunk = JSON.parse(data);
        if (chunk.error) {
            failed = true;
        }
        got += chunk.choices?.[0]?.delta?.content ?? '';
    }
    if (!failed && done && got === wanted) {
        return { ok: true };
    }
    // What went out must be the beginning of the right answer: nothing twice, nothing foreign.
    const honest = failed && wanted.startsWith(got);
    return { ok: false, wrong: !honest, status, begun: got !== '', text };
}
