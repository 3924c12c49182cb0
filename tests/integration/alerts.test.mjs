// Alerts of the running gateway: once, with recovery, over a restart, to every kind of web hook.
import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { openSync, writeFileSync, writeSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { Mock } from '../upstream/mock.mjs';
import { startGateway, stopAll, tempDir, until } from './helper.mjs';

const refusal = {
    status: 401,
    body: '{"error":{"message":"Incorrect API key","code":"invalid_api_key"}}',
};

// Collects what a web hook is sent.
class Hook {
    static async start() {
        const hook = new Hook();
        hook.notices = [];
        hook.answers = []; // of the calls to come: [status, body]; then 200 {}
        hook.server = http.createServer(async (request, response) => {
            const parts = [];
            for await (const part of request) {
                parts.push(part);
            }
            const body = JSON.parse(Buffer.concat(parts).toString());
            hook.notices.push({ url: new URL(request.url, 'http://hook'), body });
            const [status, text] = hook.answers.shift() ?? [200, '{"errcode":0,"code":0}'];
            response.writeHead(status, { 'content-type': 'application/json' });
            response.end(text);
        });
        hook.server.listen(0, '127.0.0.1');
        await once(hook.server, 'listening');
        hook.url = `http://127.0.0.1:${hook.server.address().port}/robot?access_token=hush-4711`;
        return hook;
    }

    named(name) {
        return this.notices.filter(({ body }) => body.name === name);
    }

    stop() {
        this.server.closeAllConnections();
        this.server.close();
    }
}

// Wall time of a gateway.
class Clock {
    constructor(dir) {
        this.path = join(dir, 'clock');
        this.ms = 0n;
        writeFileSync(this.path, Buffer.alloc(8));
        this.fd = openSync(this.path, 'r+');
    }

    advance(ms) {
        const bytes = Buffer.alloc(8);
        this.ms += BigInt(ms);
        bytes.writeBigInt64LE(this.ms);
        writeSync(this.fd, bytes, 0, 8, 0);
    }
}

async function setting(type, more = {}) {
    const home = tempDir('alerts');
    const clock = new Clock(home);
    const hook = await Hook.start();
    const mock = await Mock.start();
    const options = {
        dataDir: join(home, 'data'),
        env: {
            OPENAI_API_KEY: 'sk-x',
            OPENAI_BASE_URL: mock.base,
            LLM_GATE_CLOCK_FILE: clock.path,
            ALERT_WEBHOOK_URL: hook.url,
            ALERT_WEBHOOK_TYPE: type,
            ...more,
        },
    };
    return { clock, hook, mock, options, gateway: await startGateway(options) };
}

test('an alert comes once, over a restart too, and its end is told', async () => {
    const { clock, hook, mock, options, gateway } = await setting('generic');
    mock.push(refusal);
    assert.equal((await gateway.chat('m')).status, 401);
    clock.advance(60000); // its pause is over, but nobody has seen it well
    await until(() => hook.named('sign_in:openai/0').length > 0, { timeout: 20000 });
    const [first] = hook.named('sign_in:openai/0');
    assert.equal(first.body.event, 'alert');
    assert.match(first.body.title, /openai\/0/);
    await until(() => hook.named('all_down:openai').length === 1);
    const { alerts } = (await gateway.call({ method: 'GET', path: '/admin/api/alerts' })).json;
    const coded = Object.fromEntries(alerts.map(({ name, code, values }) => [name, [code, values]]));
    const [code, values] = coded['sign_in:openai/0'];
    assert.deepEqual([code, values.account, values.alias], ['key_refused', 'openai/0', '0']);
    assert.ok(first.body.text.startsWith(`${values.why}. `));
    assert.deepEqual(coded['all_down:openai'], ['all_down', { provider: 'openai', n: 1 }]);
    await gateway.stop();
    assert.ok(!gateway.log.includes('hush-4711'), 'the address is in the log');

    // Marks of keys that come from the environment do not outlive a restart: a recovery.
    const second = await startGateway(options);
    clock.advance(60000);
    await until(() => hook.named('sign_in:openai/0').length === 2, { timeout: 20000 });
    assert.equal(hook.named('sign_in:openai/0')[1].body.event, 'recovery');
    await stopAll(second, mock);
    hook.stop();
});

test('accounts that fail again and again are down between their pauses too', async () => {
    const { clock, hook, mock, gateway } = await setting('generic');
    const down = (headers) => ({ status: 503, headers, body: '{"error":{"message":"down"}}' });
    const events = () => hook.named('all_down:openai').map(({ body }) => body.event);
    const looked = async (round) => {
        clock.advance(60000);
        await until(() => events().length >= round, { timeout: 20000 });
    };
    mock.push(down({}));
    assert.equal((await gateway.chat('m')).status, 503);
    await looked(1); // its pause of a second is over, but nobody has seen it well
    mock.push(down({ 'Retry-After': '200' }));
    assert.equal((await gateway.chat('m')).status, 503);
    clock.advance(60000); // in its pause
    mock.push(down({}));
    assert.equal((await gateway.chat('m')).status, 503);
    assert.equal((await gateway.chat('m')).status, 200);
    await looked(2);
    assert.deepEqual(events(), ['alert', 'recovery']);
    await stopAll(gateway, mock);
    hook.stop();
});

test('a quota that is nearly used up: once, and not again after a restart', async () => {
    const { clock, hook, mock, options, gateway } = await setting('generic', {
        CHAT_DAILY_LIMIT: 10,
    });
    for (let i = 0; i < 8; i++) {
        assert.equal((await gateway.chat('m')).status, 200);
    }
    clock.advance(60000);
    await until(() => hook.named('quota:openai/0:chat').length === 1, { timeout: 20000 });
    assert.match(hook.notices[0].body.title, /80 %/);
    await gateway.stop();
    const second = await startGateway(options);
    clock.advance(60000);
    const active = async () =>
        (await second.call({ method: 'GET', path: '/admin/api/alerts' })).text;
    await until(async () => /quota:openai/.test(await active()), { timeout: 20000 });
    assert.equal((await second.chat('m')).status, 200);
    clock.advance(60000);
    await until(async () => /90 %/.test(await active()), { timeout: 20000 });
    assert.equal(hook.named('quota:openai/0:chat').length, 1);
    clock.advance(24 * 3600 * 1000); // a new day
    await until(() => hook.named('quota:openai/0:chat').length === 2, { timeout: 20000 });
    assert.equal(hook.named('quota:openai/0:chat')[1].body.event, 'recovery');
    await stopAll(second, mock);
    hook.stop();
});

test('DingTalk gets a signed message, and again when it says no', async () => {
    const secret = 'SEC-robot-secret';
    const { clock, hook, mock, gateway } = await setting('dingtalk', {
        CHAT_DAILY_LIMIT: 1,
        ALERT_WEBHOOK_SECRET: secret,
    });
    hook.answers.push([200, '{"errcode":310000,"errmsg":"sign not match"}']);
    assert.equal((await gateway.chat('m')).status, 200);
    clock.advance(60000);
    await until(() => hook.notices.length >= 2, { timeout: 20000 });
    for (const { url, body } of hook.notices) {
        const stamp = url.searchParams.get('timestamp');
        const sign = createHmac('sha256', secret).update(`${stamp}\n${secret}`).digest('base64');
        assert.equal(url.searchParams.get('sign'), sign);
        assert.equal(url.searchParams.get('access_token'), 'hush-4711');
        assert.equal(body.msgtype, 'markdown');
    }
    await stopAll(gateway, mock);
    hook.stop();
});

test('ALERT_ENABLED=0 sends nothing', async () => {
    const { clock, hook, mock, gateway } = await setting('slack', {
        CHAT_DAILY_LIMIT: 1,
        ALERT_ENABLED: 0,
    });
    assert.equal((await gateway.chat('m')).status, 200);
    clock.advance(60000);
    const active = async () =>
        (await gateway.call({ method: 'GET', path: '/admin/api/alerts' })).text;
    await until(async () => /quota:openai/.test(await active()), { timeout: 20000 });
    await stopAll(gateway, mock);
    assert.equal(hook.notices.length, 0);
    hook.stop();
});
