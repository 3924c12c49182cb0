// A gateway with every kind of account for the tests of the admin API: a login service for
// qwen-oauth, a mock for openai, and a caller of /admin/api.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { LoginService } from '../upstream/oauth.mjs';
import { API_KEY, Mock, startGateway, stopAll } from './helper.mjs';

export class Rig {
    // key null: the gateway makes one itself, in dataDir.
    static async start({ env = {}, dataDir, workers = 2, conf = {}, key = API_KEY } = {}) {
        const rig = new Rig();
        rig.login = await LoginService.start();
        rig.mock = await Mock.start();
        rig.options = {
            dataDir,
            key,
            conf: {
                'gateway.lua': `return { providers = { { name = "qwen-oauth", plugin = "qwen",
                    options = { plan = "oauth", auth_url = "${rig.login.origin()}",
                    base_url = "${rig.login.base}" } } } }`,
                ...conf,
            },
            env: {
                LLM_GATE_ALLOW_PRIVATE: 1,
                OPENAI_BASE_URL: rig.mock.base,
                OPENAI_API_KEY: 'sk-of-the-environment',
                LLM_GATE_WORKERS: workers,
                ...env,
            },
        };
        try {
            rig.gateway = await startGateway(rig.options);
        } catch (error) {
            await stopAll(rig.login, rig.mock);
            throw error;
        }
        const made = () => readFileSync(join(dataDir, 'api_key'), 'utf8').trim();
        rig.key = env.ADMIN_KEY ?? key ?? made();
        return rig;
    }

    // The same gateway again, on the same data.
    async restart() {
        await this.gateway.stop();
        this.gateway = await startGateway(this.options);
    }

    stop() {
        return stopAll(this.gateway, this.login, this.mock);
    }

    // The whole answer.
    call(method, path, body, more = {}) {
        return this.gateway.call({
            method,
            path: `/admin/api${path}`,
            key: this.key,
            body,
            ...more,
        });
    }

    // The body of an answer that must be good.
    async ask(method, path, body) {
        const answer = await this.call(method, path, body);
        assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
        assert.equal(answer.headers['cache-control'], 'no-store');
        assert.equal(answer.headers['access-control-allow-origin'], undefined);
        assert.match(answer.headers['content-type'], /^application\/json/);
        return answer.json;
    }

    async account(id) {
        return (await this.ask('GET', `/accounts/${id}`)).account;
    }

    async add(fields) {
        return (await this.ask('POST', '/accounts', fields)).account;
    }
}
