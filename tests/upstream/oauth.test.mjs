// The login service itself: what it is told to do is what a client sees.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { afterEach, beforeEach, test } from 'node:test';
import { BAD_TOKEN, CLIENT_ID, DEAD_REFRESH, LoginService } from './oauth.mjs';
import { until } from './mock.mjs';

let login;
beforeEach(async () => {
    login = await LoginService.start();
});
afterEach(() => login.stop());

async function call(path, { form, body, token, method = 'POST' } = {}) {
    const headers = { connection: 'close' };
    if (token) {
        headers.authorization = `Bearer ${token}`;
    }
    if (body) {
        headers['content-type'] = 'application/json';
    }
    const answer = await fetch(login.origin() + path, {
        method,
        headers,
        body: form ? new URLSearchParams(form) : body && JSON.stringify(body),
    });
    const text = await answer.text();
    let json;
    try {
        json = JSON.parse(text);
    } catch {
        json = undefined;
    }
    return { status: answer.status, type: answer.headers.get('content-type'), text, json };
}

const chat = (token, more = {}) =>
    call('/v1/chat/completions', {
        token,
        body: { model: 'coder-model', messages: [{ role: 'user', content: 'Hi' }], ...more },
    });

async function begin(more = {}) {
    const verifier = randomBytes(32).toString('base64url');
    const answer = await call('/api/v1/oauth2/device/code', {
        form: {
            client_id: CLIENT_ID,
            scope: 'openid profile email model.completion',
            code_challenge: createHash('sha256').update(verifier).digest('base64url'),
            code_challenge_method: 'S256',
            ...more,
        },
    });
    return { verifier, ...answer };
}

const poll = (flow, more = {}) =>
    call('/api/v1/oauth2/token', {
        form: {
            grant_type: 'urn:ietf:params:oauth:grant-type:device_code',
            client_id: CLIENT_ID,
            device_code: flow.json.device_code,
            code_verifier: flow.verifier,
            ...more,
        },
    });

const refresh = (token, more = {}) =>
    call('/api/v1/oauth2/token', {
        form: {
            grant_type: 'refresh_token',
            refresh_token: token,
            client_id: CLIENT_ID,
            ...more,
        },
    });

const isError = (answer, status, code) => {
    assert.equal(answer.status, status, answer.text);
    assert.equal(answer.json.error, code);
};

test('a login: begun, polled, approved, used', async () => {
    const flow = await begin();
    assert.equal(flow.status, 200);
    assert.deepEqual(Object.keys(flow.json).sort(), [
        'device_code',
        'expires_in',
        'interval',
        'user_code',
        'verification_uri',
        'verification_uri_complete',
    ]);
    isError(await poll(flow), 400, 'authorization_pending');
    login.approve(flow.json.user_code, 'alice');
    const done = await poll(flow);
    assert.equal(done.status, 200);
    assert.equal(done.json.resource_url, login.origin());
    assert.equal(done.json.expires_in, 3600);
    isError(await poll(flow), 401, 'invalid_grant'); // a code is good for once
    const answer = await chat(done.json.access_token);
    assert.equal(answer.json.choices[0].message.content, 'Hello from alice.');
    assert.deepEqual(login.counts, {
        device: 1,
        poll: 3,
        refresh: 0,
        chat: 1,
        search: 0,
        models: 0,
        other: 0,
    });
    assert.equal(login.faults.length, 1); // the poll of the used code
    assert.equal(login.of('chat', 'alice')[0].token, done.json.access_token);
    assert.equal(login.of('chat', 'bob').length, 0);
    assert.ok(login.secrets.includes(done.json.refresh_token));
});

test('polls are answered as scripted, then by the state of the login', async () => {
    login.polls('pending', 'slow_down', 'slow_down_400', 'denied', 'expired', 'unauthorized');
    login.polls('html', '500', 'success');
    const flow = await begin();
    isError(await poll(flow), 400, 'authorization_pending');
    isError(await poll(flow), 429, 'slow_down');
    isError(await poll(flow), 400, 'slow_down');
    isError(await poll(flow), 400, 'access_denied');
    isError(await poll(flow), 400, 'expired_token');
    isError(await poll(flow), 401, 'invalid_client');
    const page = await poll(flow);
    assert.equal(page.status, 200);
    assert.match(page.type, /^text\/html/);
    assert.equal((await poll(flow)).status, 500);
    assert.ok((await poll(flow)).json.access_token);

    const denied = await begin();
    login.deny();
    isError(await poll(denied), 400, 'access_denied');
    login.expire(denied.json.user_code);
    isError(await poll(denied), 400, 'expired_token');

    login.clock = () => 1e12;
    const late = await begin();
    isError(await poll(late), 400, 'authorization_pending');
    login.clock = () => 1e12 + 901 * 1000;
    isError(await poll(late), 400, 'expired_token');

    login.autoApprove = true;
    login.interval = null;
    const quick = await begin();
    assert.equal(quick.json.interval, undefined);
    assert.ok((await poll(quick)).json.access_token);
    assert.deepEqual(login.faults, []);
});

test('PKCE, client id and the form are checked', async () => {
    login.autoApprove = true;
    const flow = await begin();
    isError(await poll(flow, { code_verifier: 'x'.repeat(43) }), 400, 'invalid_grant');
    isError(await poll(flow, { code_verifier: '' }), 400, 'invalid_grant');
    assert.equal(login.pkceFailures, 2);
    isError(await poll(flow, { client_id: 'other' }), 401, 'invalid_client');
    isError(await begin({ client_id: 'other' }), 401, 'invalid_client');
    const { refresh_token: token } = login.issue('alice');
    isError(await refresh(token, { client_id: 'other' }), 400, 'invalid_request');
    assert.equal(login.clientIdFailures, 3);
    assert.deepEqual(login.faults, []);
    assert.ok((await poll(flow)).json.access_token);

    await begin({ scope: 'openid' });
    await begin({ code_challenge_method: 'plain' });
    await call('/api/v1/oauth2/token', { body: { grant_type: 'refresh_token' } });
    await call('/nowhere');
    assert.match(login.faults[0], /scope is openid/);
    assert.match(login.faults[1], /not S256/);
    assert.match(login.faults[2], /content-type is application\/json/);
    assert.match(login.faults.at(-1), /POST \/nowhere/);
    login.clientId = 'other';
    assert.equal((await begin({ client_id: 'other' })).status, 200);
});

test('rotate: the old refresh token is dead afterwards, and using it is counted', async () => {
    const old = login.issue('alice', { lifetime: -1 });
    assert.equal((await chat(old.access_token)).status, 401);
    const fresh = await refresh(old.refresh_token);
    assert.notEqual(fresh.json.refresh_token, old.refresh_token);
    assert.equal((await chat(fresh.json.access_token)).status, 200);
    assert.equal(login.deadRefreshUses, 0);
    const again = await refresh(old.refresh_token);
    isError(again, 400, 'invalid_request');
    assert.equal(again.json.error_description, DEAD_REFRESH);
    assert.equal(login.deadRefreshUses, 1);
    isError(await refresh('unknown'), 400, 'invalid_request');
    assert.equal(login.deadRefreshUses, 1);
    login.revokeRefresh('alice');
    isError(await refresh(fresh.json.refresh_token), 400, 'invalid_request');
    assert.equal(login.deadRefreshUses, 2);
    assert.equal(login.of('refresh', 'alice').length, 3);
});

test('keep and omit leave the refresh token as it is', async () => {
    const { refresh_token: token } = login.issue('alice');
    login.refreshes('keep', 'omit', 'keep');
    assert.equal((await refresh(token)).json.refresh_token, token);
    assert.equal('refresh_token' in (await refresh(token)).json, false);
    login.resourceUrl = null;
    const last = await refresh(token);
    assert.equal(last.json.refresh_token, token);
    assert.equal('resource_url' in last.json, false);
    assert.equal(login.deadRefreshUses, 0);
});

test('a refresh fails in every way, and the refresh token lives on', async () => {
    const { refresh_token: token } = login.issue('alice');
    login.refreshes('dead', 'invalid_grant', 'html', 500, 429, 'garbage', 'reset', 'keep');
    isError(await refresh(token), 400, 'invalid_request');
    isError(await refresh(token), 400, 'invalid_grant');
    const page = await refresh(token);
    assert.equal(page.status, 200);
    assert.match(page.text, /^<!doctype html>/);
    assert.equal((await refresh(token)).status, 500);
    assert.equal((await refresh(token)).status, 429);
    assert.equal((await refresh(token)).json.access_token, undefined);
    await assert.rejects(refresh(token));
    assert.equal((await refresh(token)).json.refresh_token, token);
    login.refreshMode = 'lost';
    await assert.rejects(refresh(token));
    login.refreshMode = 'rotate';
    isError(await refresh(token), 400, 'invalid_request');
    assert.equal(login.deadRefreshUses, 1);
});

test('slow waits for release, hang for ever', async () => {
    const { refresh_token: token } = login.issue('alice');
    login.refreshes('hang', 'slow');
    const abort = new AbortController();
    const hanging = fetch(`${login.origin()}/api/v1/oauth2/token`, {
        method: 'POST',
        body: new URLSearchParams({
            grant_type: 'refresh_token',
            refresh_token: token,
            client_id: CLIENT_ID,
        }),
        signal: abort.signal,
    });
    await login.called('refresh');
    const slow = refresh(token);
    await login.called('refresh', 2);
    await until(() => login.held.length === 1);
    assert.equal(login.mock.busy, 2);
    login.release();
    assert.ok((await slow).json.access_token);
    abort.abort();
    await assert.rejects(hanging);
});

test('called waits for a count, and says what was missing when the time is over', async () => {
    const { access_token: token } = login.issue('alice');
    const third = login.called('chat', 3);
    await Promise.all([chat(token), chat(token), chat(token)]);
    await third;
    await login.called('chat');
    await assert.rejects(login.called('refresh', 1, { timeout: 1 }), /1 calls of refresh/);
});

test('access tokens expire, are revoked, and keys are not', async () => {
    let now = 1e12;
    login.clock = () => now;
    const alice = login.issue('alice', { lifetime: 10 });
    const bob = login.issue('bob', { id_token: 'x' });
    assert.equal(alice.expiry_date, 1e12 + 10000);
    assert.equal(bob.id_token, 'x');
    assert.equal('expires_in' in alice, false);
    const key = login.addKey('carol');
    now += 9999;
    assert.equal((await chat(alice.access_token)).status, 200);
    now += 1;
    const late = await chat(alice.access_token);
    assert.equal(late.status, 401);
    assert.equal(late.json.error.code, 'invalid_api_key');
    assert.equal(late.json.error.message, BAD_TOKEN);
    assert.equal((await chat(bob.access_token)).status, 200);
    login.revoke('bob');
    assert.equal((await chat(bob.access_token)).status, 401);
    assert.equal((await chat(undefined)).status, 401);
    login.revoke('carol');
    assert.equal((await chat(key)).status, 200);
    login.revoke(key);
    assert.equal((await chat(key)).status, 401);
    assert.deepEqual(
        login.calls.map((c) => [c.account, c.accepted]),
        [
            ['alice', true],
            ['alice', false],
            ['bob', true],
            ['bob', false],
            [undefined, false],
            ['carol', true],
            ['carol', false],
        ],
    );
});

test('chat answers as JSON and as a stream, or what the test wants for an account', async () => {
    const { access_token: token } = login.issue('alice');
    const plain = await chat(token);
    assert.equal(plain.json.object, 'chat.completion');
    assert.equal(plain.json.usage.total_tokens, 12);
    const stream = await chat(token, { stream: true, stream_options: { include_usage: true } });
    assert.match(stream.type, /^text\/event-stream/);
    const events = stream.text.trim().split('\n\n');
    assert.equal(events.at(-1), 'data: [DONE]');
    assert.match(events.at(-2), /"usage":\{"prompt_tokens":5/);
    assert.doesNotMatch((await chat(token, { stream: true })).text, /usage/);
    login.chat('alice', { status: 429, body: '' });
    assert.equal((await chat(token)).status, 429);
    assert.equal((await chat(login.issue('bob').access_token)).status, 200);
    login.chat('alice', () => ({ status: 503, body: '' }));
    assert.equal((await chat(token)).status, 503);
    login.chat('alice', null);
    assert.equal((await chat(token)).status, 200);
});

test('web search and the list of models want a token', async () => {
    const { access_token: token } = login.issue('alice');
    const path = '/api/v1/indices/plugin/web_search';
    const body = { uq: 'what', page: 1, rows: 10 };
    const all = await call(path, { token, body });
    assert.equal(all.json.status, 0);
    assert.deepEqual(all.json.data.docs, login.searchDocs);
    const second = await call(path, { token, body: { ...body, page: 2, rows: 1 } });
    assert.equal(second.json.data.docs[0].title, 'Second');
    assert.equal((await call(path, { body })).status, 401);
    assert.equal((await call(path, { token: login.addKey('carol'), body })).status, 401);
    assert.equal((await call(path, { token, body: { query: 'x' } })).json.status, 400);
    assert.equal(login.faults.length, 1);
    const list = await call('/v1/models', { method: 'GET', token });
    assert.deepEqual(
        list.json.data.map(({ id }) => id),
        ['coder-model', 'vision-model'],
    );
    assert.equal((await call('/v1/models', { method: 'GET' })).status, 401);
    assert.equal(login.counts.search, 5);
    assert.equal(login.counts.models, 2);
});
