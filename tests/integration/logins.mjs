// Accounts with logins in front of one gateway, for tests of tokens that end or are refused: a mock
// of the login service, and a clock that both share.
import assert from 'node:assert/strict';
import { LoginService } from '../upstream/oauth.mjs';
import { BAD_TOKEN, apiError } from '../upstream/oauth_answers.mjs';
import { Clock, lua, who } from './accounts.mjs';
import { startGateway, stopAll, tempDir, until } from './helper.mjs';

export const SECOND = 1000;
export const HOUR = 3600 * SECOND;
export const MODEL = 'coder-model';
export const failing = (mode) => (login) => {
    login.refreshMode = mode;
};
export const refusedToken = apiError(401, 'invalid_api_key', BAD_TOKEN);

export class Logins {
    // logins: { name: options of LoginService.issue }.
    static async open({ logins = { alice: {} }, lifetime = 3600, ...options } = {}) {
        const one = new Logins();
        one.clock = new Clock();
        one.login = await LoginService.start({ lifetime, clock: () => one.clock.now });
        one.dataDir = tempDir('data');
        one.credentials = {};
        for (const [name, more] of Object.entries(logins)) {
            one.credentials[name] = one.login.issue(name, more);
        }
        one.options = options;
        return one;
    }

    async start({ env = {}, policy, config, route } = this.options) {
        const names = Object.keys(this.credentials);
        const gatewayLua = {
            ...config,
            providers: [
                {
                    name: 'logins',
                    plugin: 'qwen',
                    accounts: names.map((alias) => ({
                        alias,
                        key_env: `LOGIN_${alias.toUpperCase()}`,
                        oauth: true,
                    })),
                    options: { plan: 'oauth', auth_url: this.login.origin(), models: [MODEL] },
                },
            ],
        };
        const secrets = Object.fromEntries(
            names.map((name) => [
                `LOGIN_${name.toUpperCase()}`,
                JSON.stringify(this.credentials[name]),
            ]),
        );
        this.gateway = await startGateway({
            dataDir: this.dataDir,
            conf: {
                'gateway.lua': `return ${lua(gatewayLua)}`,
                'accounts.lua': policy ?? 'return {}',
                ...(route && { 'routing.lua': route }),
            },
            env: {
                LLM_GATE_CLOCK_FILE: this.clock.path,
                LLM_GATE_ALLOW_PRIVATE: 1,
                CHAT_RPM_LIMIT: 0,
                CHAT_DAILY_LIMIT: 0,
                ...secrets,
                ...env,
            },
        });
        return this.gateway;
    }

    call(more) {
        return this.gateway.chat(MODEL, more);
    }

    async ask(more) {
        return who(await this.call(more));
    }

    // Lets time pass, ten times as fast, from a minute before the end of tokens that live an hour,
    // until so many refreshes were asked for: a token is due some minutes before its end, or, when
    // it is first seen as late as that, in the middle of what is left.
    async nearEnd(refreshes = 1) {
        const begin = performance.now();
        await until(() => {
            this.clock.at(HOUR - 60 * SECOND + 10 * (performance.now() - begin));
            return this.login.counts.refresh >= refreshes;
        });
    }

    // Every test ends with this: nothing wrong was sent, and no secret was written down.
    async stop() {
        await stopAll(this.gateway, this.login);
        assert.deepEqual(this.login.faults, []);
        for (const secret of this.login.secrets) {
            assert.ok(!this.gateway?.log.includes(secret), 'a token in the log');
        }
    }
}

// before(login): what the service is told before the gateway starts, which renews at once what is
// over.
export async function using({ before, ...options }, body) {
    const one = await Logins.open(options);
    try {
        before?.(one.login);
        await one.start();
        await body(one);
    } finally {
        await one.stop();
    }
}
