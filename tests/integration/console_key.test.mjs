// Another API key while the gateway runs: who may still come in, with what, and until when.
import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Browser, restart, startConsole } from './console_rig.mjs';
import { API_KEY, chatRequest } from './helper.mjs';

const HOUR = 3600 * 1000;
const FORM = /^gate-[\w-]{43}$/;

const keyFile = (gateway) => join(gateway.options.dataDir, 'api_key');
const keyOf = (gateway) => readFileSync(keyFile(gateway), 'utf8').trim();

const change = (gateway, key, body) =>
    gateway.call({ method: 'POST', path: '/admin/api/key', key, body });

// The status of a chat and of the admin API with that key.
async function taken(gateway, key) {
    const body = chatRequest('echo');
    const chat = await gateway.call({ path: '/v1/chat/completions', key, body });
    const admin = await gateway.call({ method: 'GET', path: '/admin/api/config', key });
    assert.equal(chat.status, admin.status);
    return chat.status;
}

async function withMadeKey(work, options) {
    let gateway = await startConsole({ key: null, ...options });
    try {
        await work(gateway, async () => (gateway = await restart(gateway)));
    } finally {
        await gateway.stop();
    }
}

test('the old key is over at once, on all workers and after a restart', () =>
    withMadeKey(
        async (gateway, again) => {
            const old = keyOf(gateway);
            assert.equal(await taken(gateway, old), 200);
            const answer = await change(gateway, old);
            assert.equal(answer.status, 200, answer.text);
            const { key, old_until: until, ended } = JSON.parse(answer.text);
            assert.match(key, FORM);
            assert.notEqual(key, old);
            assert.deepEqual([until, ended], [null, 0]);
            assert.equal(keyOf(gateway), key);
            assert.equal(statSync(keyFile(gateway)).mode & 0o777, 0o600);
            for (let i = 0; i < 20; i++) {
                assert.deepEqual(await Promise.all([taken(gateway, old), taken(gateway, key)]), [401, 200]);
            }
            assert.ok(!gateway.tail.includes(key), 'the log has the key');
            gateway = await again();
            assert.equal(await taken(gateway, old), 401);
            assert.equal(await taken(gateway, key), 200);
        },
        { workers: 4 },
    ));

test('the old key may go on for a while, and the one before that not', () =>
    withMadeKey(async (gateway) => {
        const first = keyOf(gateway);
        gateway.clock.at(1000);
        const second = JSON.parse((await change(gateway, first, { old_key_ms: HOUR })).text);
        assert.ok(second.old_until > Date.now());
        assert.equal(await taken(gateway, first), 200);
        assert.equal(await taken(gateway, second.key), 200);
        const third = JSON.parse((await change(gateway, first, { old_key_ms: HOUR })).text);
        assert.equal(await taken(gateway, first), 401);
        assert.equal(await taken(gateway, second.key), 200);
        gateway.clock.at(1000 + HOUR + 60_000);
        assert.equal(await taken(gateway, second.key), 401);
        assert.equal(await taken(gateway, third.key), 200);
    }));

test('sessions: the one that asks goes on, also after a restart; the others and links end', () =>
    withMadeKey(async (gateway, again) => {
        const old = keyOf(gateway);
        const own = await Browser.enter(gateway, `/${old}/ui`);
        const other = await Browser.enter(gateway, `/${old}/ui`);
        const link = await gateway.call({ method: 'POST', path: '/admin/api/links', key: old });
        const { key, ended } = await own.ask('POST', '/key', {});
        assert.equal(ended, 1);
        const check = async () => {
            assert.equal((await own.admin('GET', '/stats')).status, 200);
            assert.equal((await other.admin('GET', '/stats')).status, 401);
            assert.equal((await new Browser(gateway).get(`/${old}/ui`)).status, 404);
            await Browser.enter(gateway, `/${key}/ui`);
        };
        await check();
        const { token } = /\/ui\/enter\/(?<token>[\w-]{43})/.exec(link.text)?.groups ?? JSON.parse(link.text);
        assert.equal((await new Browser(gateway).get(`/ui/enter/${token}`)).status, 404);
        gateway = await again();
        own.gateway = other.gateway = gateway;
        await check();
    }));

test('from a page of another origin it cannot be asked for', () =>
    withMadeKey(async (gateway) => {
        const old = keyOf(gateway);
        const browser = await Browser.enter(gateway, `/${old}/ui`);
        const answer = await browser.admin('POST', '/key', {}, { 'content-type': 'application/json' });
        assert.equal(answer.status, 403);
        assert.equal(keyOf(gateway), old);
    }));

test('ADMIN_KEY opens the console and stays: its sessions do too', () =>
    withMadeKey(
        async (gateway) => {
            const old = keyOf(gateway);
            const browser = await Browser.enter(gateway, '/admin-key-of-the-test/ui');
            const { key, ended } = await browser.ask('POST', '/key', { old_key_ms: 0 });
            assert.equal(ended, 0);
            assert.equal((await browser.admin('GET', '/stats')).status, 200);
            const chat = (one) =>
                gateway.call({ path: '/v1/chat/completions', key: one, body: chatRequest('echo') });
            assert.equal((await chat(old)).status, 401);
            assert.equal((await chat(key)).status, 200);
            assert.equal((await change(gateway, key)).status, 401);
        },
        { env: { ADMIN_KEY: 'admin-key-of-the-test' } },
    ));

test('a key of the environment stays, and the answer says where to change it', async () => {
    const gateway = await startConsole();
    try {
        const answer = await change(gateway, API_KEY);
        assert.equal(answer.status, 409);
        const { error } = JSON.parse(answer.text);
        assert.equal(error.code, 'key_in_environment');
        assert.match(error.message, /API_KEY/);
        assert.equal(await taken(gateway, API_KEY), 200);
    } finally {
        await gateway.stop();
    }
});

test('wrong input changes nothing', () =>
    withMadeKey(async (gateway) => {
        const old = keyOf(gateway);
        for (const body of [
            { old_key_ms: -1 },
            { old_key_ms: 86_400_001 },
            { old_key_ms: '1' },
            { old_key_ms: null },
            { old: 1 },
            [],
        ]) {
            assert.equal((await change(gateway, old, body)).status, 400, JSON.stringify(body));
        }
        assert.equal(keyOf(gateway), old);
        assert.equal(await taken(gateway, old), 200);
    }));
