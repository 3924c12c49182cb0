// A login service and the API behind it, as Qwen has them: device login with PKCE, refresh of
// tokens, chat, web search and the list of models. Everything it does is decided by the test: what
// polls and refreshes are answered, how long a token lives, which one is revoked. It checks what it
// is sent and writes what was wrong into `faults`. A module for the tests.
//
//     const login = await LoginService.start();
//     gateway with options auth_url = login.origin(), base_url = login.base, or resource_url from
//     the credentials that login.issue('alice') returns
import { createHash, randomBytes } from 'node:crypto';
import { Mock } from './mock.mjs';
import {
    BAD_TOKEN,
    DEAD_REFRESH,
    HANG,
    apiError,
    completion,
    json,
    oauthError,
    page,
    pollAnswers,
} from './oauth_answers.mjs';

export { BAD_TOKEN, DEAD_REFRESH };
export const CLIENT_ID = 'f0304373b74a44d2b584a3fb70ca9e56';

const FORM = 'application/x-www-form-urlencoded';
const DEVICE_GRANT = 'urn:ietf:params:oauth:grant-type:device_code';
const SCOPE = 'openid profile email model.completion';

const secret = (kind) => `${kind}-${randomBytes(24).toString('base64url')}`;

export class LoginService {
    // Options: those of Mock.start, and any of the settings below.
    static async start({ host, port, tls, ...settings } = {}) {
        const service = new LoginService();
        service.mock = await Mock.start({ host, port, tls });
        service.mock.otherwise((request, reply) => service.answer(request, reply));
        Object.assign(service, settings);
        return service;
    }

    constructor() {
        // ---- settings, to be changed at any time
        this.clientId = CLIENT_ID;
        this.lifetime = 3600; // seconds an access token lives
        this.codeLifetime = 900; // seconds a device code lives
        this.interval = 0.02; // seconds between polls that the service asks for; null: not said
        this.autoApprove = false; // a login is approved as soon as it begins
        this.refreshMode = 'rotate'; // see refreshes()
        this.resourceUrl = undefined; // named in token replies; undefined: this service; null: none
        this.searchDocs = [
            {
                title: 'First',
                url: 'https://one.example/',
                snippet: 'The first result.',
                _score: 0.9,
                timestamp_format: '2025-01-02 03:04:05',
            },
            { title: 'Second', url: 'https://two.example/', snippet: 'The second.', _score: 0.5 },
        ];
        this.models = ['coder-model', 'vision-model'];
        this.clock = () => Date.now(); // what the service takes for the time, in ms
        // ---- what happened
        this.counts = { device: 0, poll: 0, refresh: 0, chat: 0, search: 0, models: 0, other: 0 };
        this.calls = []; // { kind, account, token, at, request }, in the order of arrival
        this.deadRefreshUses = 0; // refreshes with a refresh token that was replaced or revoked
        this.pkceFailures = 0;
        this.clientIdFailures = 0;
        this.faults = []; // what a client should not have sent
        // ---- state
        this.flows = new Map(); // by device code
        this.access = new Map(); // by access token: { account, expiresAt, revoked, key }
        this.refreshTokens = new Map(); // by refresh token: { account, alive }
        this.pollQueue = [];
        this.refreshQueue = [];
        this.chatByAccount = new Map();
        this.waiting = []; // of called()
        this.held = []; // refreshes of mode "slow"
        this.logins = 0;
    }

    origin(name) {
        return this.mock.origin(name);
    }

    get base() {
        return this.mock.base;
    }

    stop() {
        this.held.length = 0;
        for (const { reject, timer } of this.waiting.splice(0)) {
            clearTimeout(timer);
            reject(new Error('the login service was stopped'));
        }
        return this.mock.stop();
    }

    // ---------------------------------------------------------------- what tests ask of it

    // Credentials of an account in the format of Qwen Code's oauth_creds.json, as an object.
    // lifetime in seconds, below 0: already over.
    issue(account, { lifetime = this.lifetime, ...more } = {}) {
        const reply = this.tokens(account, lifetime);
        const { expires_in: seconds, ...rest } = reply;
        return { ...rest, expiry_date: this.clock() + seconds * 1000, ...more };
    }

    // An API key that chat and the list of models accept for ever.
    addKey(account, key = `sk-${randomBytes(16).toString('hex')}`) {
        this.access.set(key, { account, expiresAt: Infinity, revoked: false, key: true });
        return key;
    }

    // The answers of the polls to come, once each: pending, slow_down (429), slow_down_400, denied,
    // expired, unauthorized (401), html, 500, hang, success. Without one the login's own state
    // decides, which approve, deny and expire change.
    polls(...steps) {
        this.pollQueue.push(...steps);
        return this;
    }

    // The modes of the refreshes to come, once each; then refreshMode holds:
    //   rotate         a new refresh token each time, the old one is dead at once
    //   keep           the same refresh token is named again
    //   omit           the reply names no refresh token; the old one stays good
    //   dead           400 invalid_request "Invalid refresh token or client_id"
    //   invalid_grant  400 invalid_grant
    //   html           200 with a firewall's page
    //   500, 429       that status without a body
    //   garbage        200 with JSON that holds no token
    //   hang           never answered
    //   reset          the connection is reset without an answer, and nothing was changed
    //   lost           rotated, then reset: the client never learns the new token
    //   slow           waits for release(), then rotates
    refreshes(...modes) {
        this.refreshQueue.push(...modes);
        return this;
    }

    // Lets refreshes of mode "slow" go on: all that are held now, or so many.
    release(count = this.held.length) {
        for (const resume of this.held.splice(0, count)) {
            resume();
        }
    }

    // A login that waits: the one of that user code, or the newest. account: who signs in.
    approve(userCode, account) {
        Object.assign(this.flow(userCode), { state: 'approved', ...(account && { account }) });
    }

    deny(userCode) {
        this.flow(userCode).state = 'denied';
    }

    expire(userCode) {
        this.flow(userCode).state = 'expired';
    }

    flow(userCode) {
        const flows = [...this.flows.values()];
        const found = userCode ? flows.find((f) => f.userCode === userCode) : flows.at(-1);
        if (!found) {
            throw new Error(`no login with user code ${userCode ?? '(any)'}`);
        }
        return found;
    }

    // Access tokens of an account, or one token, are not accepted any more.
    revoke(accountOrToken) {
        for (const [token, entry] of this.access) {
            if (token === accountOrToken || (entry.account === accountOrToken && !entry.key)) {
                entry.revoked = true;
            }
        }
        if (this.access.get(accountOrToken)?.key) {
            this.access.get(accountOrToken).revoked = true;
        }
    }

    // Refresh tokens of an account, or one token, are dead.
    revokeRefresh(accountOrToken) {
        for (const [token, entry] of this.refreshTokens) {
            if (token === accountOrToken || entry.account === accountOrToken) {
                entry.alive = false;
            }
        }
    }

    // The scenario (see reply.mjs; an object or a function) that chat answers this account with once
    // its token was accepted; null: a completion again.
    chat(account, scenario) {
        if (scenario === null) {
            this.chatByAccount.delete(account);
        } else {
            this.chatByAccount.set(account, scenario);
        }
        return this;
    }

    // Calls of one kind, optionally of one account.
    of(kind, account) {
        return this.calls.filter(
            (call) => call.kind === kind && (account === undefined || call.account === account),
        );
    }

    // Resolves when so many calls of the kind have arrived since the start; rejects when the time
    // is over. Nothing is polled.
    called(kind, count = 1, { timeout = 5000 } = {}) {
        if (this.counts[kind] >= count) {
            return Promise.resolve();
        }
        const arrived = new Promise((resolve, reject) => {
            const entry = { kind, count, resolve, reject };
            entry.timer = setTimeout(() => {
                this.waiting = this.waiting.filter((other) => other !== entry);
                reject(
                    new Error(
                        `not within ${timeout} ms: ${count} calls of ${kind}, ` +
                            `there were ${this.counts[kind]}`,
                    ),
                );
            }, timeout);
            this.waiting.push(entry);
        });
        arrived.catch(() => {}); // a test that failed before it looked has failed already
        return arrived;
    }

    // Tokens that were ever handed out, to look for in logs.
    get secrets() {
        return [...this.access.keys(), ...this.refreshTokens.keys(), ...this.flows.keys()];
    }

    // ---------------------------------------------------------------- tokens

    tokens(account, lifetime = this.lifetime, refreshToken = this.newRefresh(account)) {
        const token = secret('access');
        const expiresAt = this.clock() + lifetime * 1000;
        this.access.set(token, { account, expiresAt, revoked: false, key: false });
        const reply = {
            access_token: token,
            refresh_token: refreshToken,
            token_type: 'Bearer',
            expires_in: lifetime,
        };
        const resource = this.resourceUrl === undefined ? this.origin() : this.resourceUrl;
        if (resource !== null) {
            reply.resource_url = resource;
        }
        return reply;
    }

    newRefresh(account) {
        const token = secret('refresh');
        this.refreshTokens.set(token, { account, alive: true });
        return token;
    }

    // The entry of the request's bearer token, or undefined when it is not accepted.
    authorised(request) {
        const entry = this.access.get(this.bearer(request));
        return entry && !entry.revoked && entry.expiresAt > this.clock() ? entry : undefined;
    }

    bearer(request) {
        return /^Bearer (\S+)$/.exec(request.header('authorization') ?? '')?.[1];
    }

    // ---------------------------------------------------------------- what it answers

    record(kind, request, more) {
        this.counts[kind]++;
        this.calls.push({ kind, at: performance.now(), request, ...more });
        const due = this.waiting.filter((w) => w.kind === kind && this.counts[kind] >= w.count);
        this.waiting = this.waiting.filter((w) => !due.includes(w));
        for (const { resolve, timer } of due) {
            clearTimeout(timer);
            resolve();
        }
    }

    fault(request, text) {
        this.faults.push(`${request.method} ${request.path}: ${text}`);
    }

    async answer(request, reply) {
        const routes = {
            'POST /api/v1/oauth2/device/code': this.device,
            'POST /api/v1/oauth2/token': this.token,
            'POST /api/v1/indices/plugin/web_search': this.search,
            'POST /v1/chat/completions': this.answerChat,
            'GET /v1/models': this.list,
        };
        const route = routes[`${request.method} ${request.path.split('?')[0]}`];
        if (!route) {
            this.record('other', request);
            this.fault(request, 'there is no such thing');
            return apiError(404, 'not_found', 'there is no such thing');
        }
        const scenario = await route.call(this, request, reply);
        return scenario === HANG ? undefined : scenario;
    }

    // The fields of a form; faults when it is none or lacks one of the names.
    form(request, names) {
        if (request.header('content-type')?.split(';')[0] !== FORM) {
            this.fault(request, `content-type is ${request.header('content-type')}`);
        }
        const fields = new URLSearchParams(request.body.toString('utf8'));
        for (const name of names) {
            if (!fields.get(name)) {
                this.fault(request, `${name} is missing`);
            }
        }
        return fields;
    }

    knowsClient(fields) {
        if (fields.get('client_id') === this.clientId) {
            return true;
        }
        this.clientIdFailures++;
        return false;
    }

    device(request) {
        const names = ['client_id', 'scope', 'code_challenge', 'code_challenge_method'];
        const fields = this.form(request, names);
        this.record('device', request);
        if (!this.knowsClient(fields)) {
            return oauthError(401, 'invalid_client', 'unknown client_id');
        }
        if (fields.get('scope') !== SCOPE) {
            this.fault(request, `scope is ${fields.get('scope')}`);
        }
        if (fields.get('code_challenge_method') !== 'S256') {
            this.fault(request, 'code_challenge_method is not S256');
        }
        const deviceCode = secret('device');
        const flow = {
            deviceCode,
            userCode: randomBytes(4).toString('hex').toUpperCase(),
            challenge: fields.get('code_challenge'),
            state: this.autoApprove ? 'approved' : 'pending',
            account: `login-${++this.logins}`,
            expiresAt: this.clock() + this.codeLifetime * 1000,
        };
        this.flows.set(deviceCode, flow);
        const address = `${this.origin()}/authorize`;
        const reply = {
            device_code: deviceCode,
            user_code: flow.userCode,
            verification_uri: address,
            verification_uri_complete: `${address}?user_code=${flow.userCode}&client=qwen-code`,
            expires_in: this.codeLifetime,
        };
        if (this.interval !== null) {
            reply.interval = this.interval;
        }
        return json(200, reply);
    }

    token(request) {
        const fields = this.form(request, ['grant_type', 'client_id']);
        switch (fields.get('grant_type')) {
            case DEVICE_GRANT:
                return this.poll(request, fields);
            case 'refresh_token':
                return this.refresh(request, fields);
            default:
                this.record('other', request);
                this.fault(request, `grant_type is ${fields.get('grant_type')}`);
                return oauthError(400, 'unsupported_grant_type');
        }
    }

    poll(request, fields) {
        const flow = this.flows.get(fields.get('device_code'));
        this.record('poll', request, { account: flow?.account });
        if (!this.knowsClient(fields)) {
            return oauthError(401, 'invalid_client', 'unknown client_id');
        }
        if (!flow) {
            this.fault(request, 'device_code is not known');
            return oauthError(401, 'invalid_grant', 'unknown device_code');
        }
        const verifier = fields.get('code_verifier') ?? '';
        const challenge = createHash('sha256').update(verifier).digest('base64url');
        if (!/^[A-Za-z0-9._~-]{43,128}$/.test(verifier) || challenge !== flow.challenge) {
            this.pkceFailures++;
            return oauthError(400, 'invalid_grant', 'code_verifier does not match');
        }
        const overdue = flow.state === 'pending' && this.clock() > flow.expiresAt;
        const step = this.pollQueue.shift() ?? (overdue ? 'expired' : flow.state);
        if (step === 'success' || step === 'approved') {
            this.flows.delete(flow.deviceCode);
            return json(200, { ...this.tokens(flow.account), status: 'success' });
        }
        if (!pollAnswers[step]) {
            throw new Error(`unknown answer of a poll: ${step}`);
        }
        return pollAnswers[step]();
    }

    async refresh(request, fields) {
        const old = fields.get('refresh_token');
        const entry = this.refreshTokens.get(old);
        const mode = String(this.refreshQueue.shift() ?? this.refreshMode);
        this.record('refresh', request, { account: entry?.account, token: old, mode });
        if (!old) {
            this.fault(request, 'refresh_token is missing');
        }
        if (!this.knowsClient(fields)) {
            return oauthError(400, 'invalid_request', DEAD_REFRESH);
        }
        if (entry && !entry.alive) {
            this.deadRefreshUses++;
        }
        switch (mode) {
            case 'html':
                return page();
            case '500':
            case '429':
                return { status: Number(mode), body: '' };
            case 'garbage':
                return json(200, { status: 'success' });
            case 'hang':
                return HANG;
            case 'reset':
                return { raw: '', end: 'reset' };
            case 'dead':
                return oauthError(400, 'invalid_request', DEAD_REFRESH);
            case 'invalid_grant':
                return oauthError(400, 'invalid_grant');
            case 'slow':
                await new Promise((resume) => {
                    this.held.push(resume);
                });
                return this.renew('rotate', old, entry);
            case 'lost':
                this.renew('rotate', old, entry);
                return { raw: '', end: 'reset' };
            default:
                return this.renew(mode, old, entry);
        }
    }

    renew(mode, old, entry) {
        if (!['rotate', 'keep', 'omit'].includes(mode)) {
            throw new Error(`unknown mode of a refresh: ${mode}`);
        }
        if (!entry?.alive) {
            return oauthError(400, 'invalid_request', DEAD_REFRESH);
        }
        if (mode === 'rotate') {
            entry.alive = false;
            return json(200, this.tokens(entry.account));
        }
        const { refresh_token: same, ...rest } = this.tokens(entry.account, this.lifetime, old);
        return json(200, mode === 'keep' ? { ...rest, refresh_token: same } : rest);
    }

    answerChat(request, reply) {
        const entry = this.authorised(request);
        const token = this.bearer(request);
        const account = this.access.get(token)?.account;
        this.record('chat', request, { account, token, accepted: Boolean(entry) });
        if (!entry) {
            return apiError(401, 'invalid_api_key', BAD_TOKEN);
        }
        const own = this.chatByAccount.get(account);
        if (own) {
            return typeof own === 'function' ? own(request, reply) : own;
        }
        return completion(`Hello from ${account}.`, request.json ?? {});
    }

    search(request) {
        const entry = this.authorised(request);
        const token = this.bearer(request);
        const account = this.access.get(token)?.account;
        this.record('search', request, { account, token, accepted: Boolean(entry) });
        if (!entry || entry.key) {
            return apiError(401, 'invalid_api_key', BAD_TOKEN);
        }
        const { uq, page: number, rows } = request.json ?? {};
        if (typeof uq !== 'string' || !Number.isInteger(number) || !Number.isInteger(rows)) {
            this.fault(request, 'not {uq, page, rows}');
            return json(200, { status: 400, message: 'bad parameters' });
        }
        const docs = this.searchDocs.slice((number - 1) * rows, number * rows);
        const data = { total: this.searchDocs.length, totalDistinct: docs.length, docs };
        return json(200, { status: 0, message: 'success', requestId: 'mock-1', data });
    }

    list(request) {
        const entry = this.authorised(request);
        const token = this.bearer(request);
        this.record('models', request, { account: this.access.get(token)?.account, token });
        if (!entry) {
            return apiError(401, 'invalid_api_key', BAD_TOKEN);
        }
        const data = this.models.map((id) => ({ id, object: 'model', owned_by: 'mock' }));
        return json(200, { object: 'list', data });
    }
}
