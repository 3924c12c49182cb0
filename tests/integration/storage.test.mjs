// Storage: what survives, what happens when it cannot be written, and when it cannot be read.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync, writeSync }
    from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { LoginService } from '../upstream/oauth.mjs';
import { run, startGateway, startPair, stopAll, tempDir, until } from './helper.mjs';

const account = async (gateway, id) => {
    const answer = await gateway.call({ method: 'GET', path: `/admin/api/accounts/${id}` });
    assert.equal(answer.status, 200, answer.text);
    return answer.json.account ?? answer.json;
};

// Every file below a directory with its bytes.
function contents(dir) {
    return readdirSync(dir, { recursive: true }).sort().filter((name) =>
        statSync(join(dir, name)).isFile()).map((name) => [name, readFileSync(join(dir, name))]);
}

test('counters and secrets survive a restart; nothing on disk is readable', async () => {
    const dataDir = join(tempDir('storage'), 'data');
    const login = await LoginService.start();
    const credentials = JSON.stringify(login.issue('ann'));
    const { mock, gateway } = await startPair({
        dataDir, env: { QWEN_CREDS_JSON: credentials, LLM_GATE_ALLOW_PRIVATE: 1 },
    });
    for (let i = 0; i < 5; i++) {
        assert.equal((await gateway.chat('m')).status, 200);
    }
    const added = await gateway.call({
        path: '/admin/api/accounts',
        body: { provider: 'openai', name: 'extra', api_key: 'sk-only-in-storage-4711' },
    });
    assert.equal(added.status, 201, added.text);
    await gateway.stop();
    const { access_token: access, refresh_token: refresh } = JSON.parse(credentials);
    for (const [name, bytes] of contents(dataDir)) {
        for (const secret of ['sk-only-in-storage-4711', access, refresh]) {
            assert.ok(!bytes.includes(secret), `${name} holds a secret in plain text`);
        }
    }
    assert.equal(statSync(join(dataDir, 'secret.key')).mode & 0o777, 0o600);
    const second = await startGateway({
        dataDir, env: { OPENAI_API_KEY: 'sk-x', OPENAI_BASE_URL: mock.base },
    });
    assert.equal((await account(second, 'openai/0')).quota.chat.requests_day.used, 5);
    assert.equal((await account(second, 'openai/extra')).kind, 'api_key');
    assert.equal((await account(second, 'qwen-oauth/0')).kind, 'oauth');
    await stopAll(second, mock, login);
});

// A limit on file sizes makes every write of the running gateway fail, as a full disk would.
test('a full disk: requests go on, an alert tells, nothing is lost when there is room again', async () => {
    const home = tempDir('full');
    const clock = join(home, 'clock');
    writeFileSync(clock, Buffer.alloc(8));
    const fd = openSync(clock, 'r+');
    const { mock, gateway } = await startPair({
        dataDir: join(home, 'data'), env: { LLM_GATE_CLOCK_FILE: clock },
    });
    const limit = (bytes) =>
        execFileSync('prlimit', [`--pid=${gateway.pid}`, `--fsize=${bytes}:unlimited`]);
    assert.equal((await gateway.chat('m')).status, 200);
    limit(1);
    for (let i = 0; i < 20; i++) {
        assert.equal((await gateway.chat('m')).status, 200);
    }
    await gateway.waitLog(/ERROR.*storage/i);
    const ahead = Buffer.alloc(8);
    ahead.writeBigInt64LE(61000n);
    writeSync(fd, ahead, 0, 8, 0);
    const alerts = async () =>
        (await gateway.call({ method: 'GET', path: '/admin/api/alerts' })).text;
    await gateway.waitLog(/Storage cannot be written/);
    assert.match(await alerts(), /"storage"/);
    const refused = await gateway.call({
        path: '/admin/api/accounts', body: { provider: 'openai', name: 'late', api_key: 'sk-late' },
    });
    assert.ok(refused.status >= 500, refused.text);
    assert.equal((await gateway.chat('m')).status, 200);
    limit('unlimited');
    await until(async () => {
        const answer = await gateway.call({
            path: '/admin/api/accounts',
            body: { provider: 'openai', name: 'late', api_key: 'sk-late' },
        });
        return answer.status === 201;
    });
    ahead.writeBigInt64LE(122000n);
    writeSync(fd, ahead, 0, 8, 0);
    await until(async () => !/"storage"/.test(await alerts()));
    await gateway.stop();
    const second = await startGateway({
        dataDir: join(home, 'data'),
        env: { OPENAI_API_KEY: 'sk-x', OPENAI_BASE_URL: mock.base, LLM_GATE_CLOCK_FILE: clock },
    });
    assert.equal((await account(second, 'openai/0')).quota.chat.requests_day.used, 22);
    await stopAll(second, mock);
});

async function refusedStart(dataDir, { env = {}, untouched = true } = {}) {
    const before = contents(join(dataDir, 'db'));
    const result = await run([], {
        env: { API_KEY: 'gate-it-7d1f0c2b9e4a', LLM_GATE_LISTEN: '127.0.0.1:0',
            LLM_GATE_DATA_DIR: dataDir, ...env },
    });
    assert.equal(result.code, 1, result.output);
    if (untouched) {
        assert.deepEqual(contents(join(dataDir, 'db')), before);
    }
    return result.stderr;
}

async function usedDataDir() {
    const dataDir = join(tempDir('used'), 'data');
    const gateway = await startGateway({ dataDir });
    const added = await gateway.call({
        path: '/admin/api/accounts', body: { provider: 'openai', name: 'kept', api_key: 'sk-kept' },
    });
    assert.equal(added.status, 201, added.text);
    await gateway.stop();
    return dataDir;
}

test('a damaged database stops the start with a message that names it', async () => {
    const dataDir = await usedDataDir();
    const manifest = readdirSync(join(dataDir, 'db')).find((name) => name.startsWith('MANIFEST'));
    const path = join(dataDir, 'db', manifest);
    const good = readFileSync(path);
    const bad = Buffer.from(good);
    bad.fill(0x5a, 8, 40);
    writeFileSync(path, bad);
    assert.match(await refusedStart(dataDir), new RegExp(`${dataDir}/db`));
    writeFileSync(path, good);
    const again = await startGateway({ dataDir });
    assert.equal((await account(again, 'openai/kept')).alias, 'kept');
    await again.stop();
});

test('another encryption key stops the start and loses nothing', async () => {
    const dataDir = await usedDataDir();
    const other = await refusedStart(dataDir, {
        env: { LLM_GATE_SECRET: 'another-secret-of-some-length' }, untouched: false,
    });
    assert.match(other, /encrypted with another key/);
    const key = readFileSync(join(dataDir, 'secret.key'));
    rmSync(join(dataDir, 'secret.key'));
    assert.match(await refusedStart(dataDir, { untouched: false }), /key/);
    writeFileSync(join(dataDir, 'secret.key'), key, { mode: 0o600 });
    const again = await startGateway({ dataDir });
    assert.equal((await account(again, 'openai/kept')).state, 'serving');
    await again.stop();
});

test('two gateways cannot open one database', async () => {
    const dataDir = join(tempDir('two'), 'data');
    const gateway = await startGateway({ dataDir });
    const result = await run([], {
        env: { API_KEY: 'gate-it-7d1f0c2b9e4a', LLM_GATE_LISTEN: '127.0.0.1:0',
            LLM_GATE_DATA_DIR: dataDir },
    });
    assert.equal(result.code, 1, result.output);
    assert.match(result.stderr, /another|in use|lock/i);
    await gateway.stop();
});

test('a directory that is no database is left as it is', async () => {
    const dataDir = join(tempDir('foreign'), 'data');
    mkdirSync(join(dataDir, 'db'), { recursive: true });
    writeFileSync(join(dataDir, 'db', 'notes.txt'), 'mine');
    assert.match(await refusedStart(dataDir), new RegExp(`${dataDir}/db`));
    assert.equal(readFileSync(join(dataDir, 'db', 'notes.txt'), 'utf8'), 'mine');
});
