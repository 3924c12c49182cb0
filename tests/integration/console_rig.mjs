// A gateway whose console is entered: browsers that keep their cookie, raw requests whose answers
// are compared byte for byte.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import { join } from 'node:path';
import { Clock } from './accounts.mjs';
import { API_KEY, slow, startGateway, tempDir } from './helper.mjs';

export const COOKIE = /^gate_session=([\w-]{43}); HttpOnly; SameSite=Strict; Path=\/; Max-Age=43200$/;
// Behind a proxy that speaks TLS.
export const TLS_COOKIE = new RegExp(COOKIE.source.replace('^', '^__Host-').replace('$', '; Secure$'));
export const HOUR = 3600 * 1000;

// What a browser sends with a write from the console's own pages.
export const own = {
    'sec-fetch-site': 'same-origin',
    'x-gate-ui': '1',
    'content-type': 'application/json',
};

export class Browser {
    // entry: the address that opens a session; NULL: none is opened.
    static async enter(gateway, entry = `/${API_KEY}/ui`, headers = {}) {
        const browser = new Browser(gateway);
        const answer = await browser.get(entry, headers);
        assert.equal(answer.status, 200, answer.text);
        const cookies = answer.headers['set-cookie'];
        assert.equal(cookies?.length, 1);
        [, browser.token] = COOKIE.exec(cookies[0]) ?? assert.fail(cookies[0]);
        browser.page = answer;
        return browser;
    }

    constructor(gateway, token) {
        this.gateway = gateway;
        this.token = token;
    }

    get cookie() {
        return this.token === undefined ? {} : { cookie: `gate_session=${this.token}` };
    }

    call(method, path, { headers, body } = {}) {
        return this.gateway.call({
            method,
            path,
            key: null,
            body,
            headers: { ...this.cookie, ...headers },
        });
    }

    get(path, headers) {
        return this.call('GET', path, { headers });
    }

    // A write as the console's pages make it, or something else of /admin/api.
    admin(method, path, body, headers = method === 'GET' ? {} : own) {
        return this.call(method, `/admin/api${path}`, { body, headers });
    }

    // Its answer, which must be good.
    async ask(method, path, body) {
        const answer = await this.admin(method, path, body);
        assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
        return answer.json;
    }

    async session() {
        return (await this.ask('GET', '/session')).session;
    }

    // Is the session alive, on whichever worker?
    async isIn() {
        const { status } = await this.admin('GET', '/session');
        assert.ok(status === 200 || status === 401, String(status));
        return status === 200;
    }

    // The live stream: { text, ended }.
    async events() {
        const request = http.get({
            host: '127.0.0.1',
            port: this.gateway.port,
            path: '/admin/api/events',
            agent: false,
            headers: this.cookie,
        });
        const [response] = await once(request, 'response');
        const stream = { status: response.statusCode, text: '', ended: false, request };
        response.setEncoding('utf8').on('data', (text) => (stream.text += text));
        response.on('end', () => (stream.ended = true));
        response.on('error', () => {});
        return stream;
    }
}

// A gateway on a clock of the test.
export async function startConsole({ env = {}, workers = 2, ...more } = {}) {
    const clock = more.clock ?? new Clock();
    const options = {
        dataDir: join(tempDir('console'), 'data'),
        ...more,
        env: { LLM_GATE_WORKERS: workers, LLM_GATE_CLOCK_FILE: clock.path, ...env },
    };
    const gateway = await startGateway(options);
    return Object.assign(gateway, { clock, options });
}

// The same gateway again, on the same data.
export async function restart(gateway, env = {}, more = {}) {
    await gateway.stop();
    const { options, clock } = gateway;
    const changed = { ...options, ...more, env: { ...options.env, ...env } };
    return Object.assign(await startGateway(changed), { clock, options: changed });
}

// Sends a request as it stands and reads to the end of the connection.
export async function rawAnswer(gateway, method, path, headers = {}, body = '') {
    const client = await gateway.raw();
    const lines = Object.entries(headers).flatMap(([name, value]) =>
        [value].flat().map((one) => `${name}: ${one}\r\n`),
    );
    const length = body ? `Content-Length: ${body.length}\r\n` : '';
    await client.send(
        Buffer.from(
            `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1:${gateway.port}\r\n` +
                `Connection: close\r\n${lines.join('')}${length}\r\n${body}`,
            'latin1',
        ),
    );
    await client.closed(20000 * slow);
    client.close();
    return client.bytes.toString('latin1');
}

// All of an answer but what differs from one request to the next.
export function comparable(answer) {
    assert.match(answer, /^date: /im);
    assert.match(answer, /^x-request-id: /im);
    return answer.replace(/^(date|x-request-id): .*$/gim, '$1');
}
