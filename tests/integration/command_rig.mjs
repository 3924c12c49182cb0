// Runs commands of the binary beside a gateway, or without one, on one data directory and against
// one login service.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { LoginService } from '../upstream/oauth.mjs';
import {
    API_KEY,
    binary,
    closedPort,
    confDir,
    slow,
    startGateway,
    stopAll,
    tempDir,
    until,
} from './helper.mjs';

const kept = ['PATH', 'TMPDIR', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS', 'LSAN_OPTIONS'];

// A command that runs. Its output collects in stdout and stderr.
export class Command {
    constructor(args, env, cwd, program) {
        this.stdout = '';
        this.stderr = '';
        this.child = spawn(program, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
        this.child.stdout.setEncoding('utf8').on('data', (text) => (this.stdout += text));
        this.child.stderr.setEncoding('utf8').on('data', (text) => (this.stderr += text));
        this.closed = once(this.child, 'close').then(([code, signal]) => {
            this.code = code;
            this.signal = signal;
        });
    }

    get output() {
        return this.stdout + this.stderr;
    }

    // Waits until it has said something; returns the match.
    async says(pattern, timeout = 10000 * slow) {
        await until(() => pattern.test(this.output) || this.code !== undefined, {
            timeout,
            what: () => `${pattern} in:\n${this.output}`,
        });
        const match = pattern.exec(this.output);
        assert.ok(match, `ended with ${this.code}, without ${pattern}:\n${this.output}`);
        return match;
    }

    // Its end, which must have that exit status.
    async ends(code) {
        const timer = setTimeout(() => this.child.kill('SIGKILL'), 30000 * slow);
        await this.closed;
        clearTimeout(timer);
        assert.equal(this.code, code, `${this.signal ?? ''}\n${this.output}`);
        return this;
    }
}

export class CommandRig {
    static async start({ env = {}, running = true } = {}) {
        const rig = new CommandRig();
        rig.login = await LoginService.start();
        rig.home = tempDir('command');
        rig.dataDir = join(rig.home, 'data');
        rig.port = await closedPort();
        const conf = confDir({
            'gateway.lua': `return { providers = { { name = "qwen-oauth", plugin = "qwen",
                options = { plan = "oauth", auth_url = "${rig.login.origin()}",
                base_url = "${rig.login.base}" } } } }`,
        });
        rig.env = {
            API_KEY,
            LLM_GATE_ALLOW_PRIVATE: '1',
            LLM_GATE_CONF_DIR: conf,
            LLM_GATE_DATA_DIR: rig.dataDir,
            LLM_GATE_LISTEN: `127.0.0.1:${rig.port}`,
            LLM_GATE_PLUGIN_DIR: process.env.LLM_GATE_PLUGIN_DIR,
            ...env,
        };
        if (running) {
            await rig.startGateway();
        }
        return rig;
    }

    async startGateway(env = {}) {
        this.gateway = await startGateway({
            listen: this.env.LLM_GATE_LISTEN,
            cwd: this.home,
            env: { ...this.env, ...env },
        });
    }

    async stopGateway() {
        await this.gateway?.stop();
        this.gateway = undefined;
    }

    stop() {
        return stopAll(this.gateway, this.login);
    }

    run(args, env = {}, program = binary) {
        const all = { HOME: this.home };
        for (const name of kept) {
            all[name] = process.env[name];
        }
        Object.assign(all, this.env, env);
        for (const name of Object.keys(all)) {
            if (all[name] === undefined) {
                delete all[name];
            }
        }
        return new Command(args, all, this.home, program);
    }

    // Signs in as that user; returns the id of the account.
    async signIn(user, args = []) {
        const command = this.run(['login', ...args]);
        const [, code] = await command.says(/^ {2}code {2}(\S+)$/m);
        this.login.approve(code, user);
        await command.ends(0);
        return /account (\S+)/.exec(command.stdout)[1];
    }

    // The rows of `llm-gate accounts`: { id, state, chat, search, name }.
    async accounts(env = {}) {
        const { stdout } = await this.run(['accounts'], env).ends(0);
        const [head, ...lines] = stdout.trimEnd().split('\n');
        assert.match(head, /^ACCOUNT +STATE +CHAT TODAY +SEARCH TODAY +NAME$/);
        return lines.map((line) => {
            const [, id, state, chat, search, name] =
                /^(\S+) +(\S+) +(\S+) +(\S+) {2}(.*)$/.exec(line) ?? assert.fail(line);
            return { id, state, chat, search, name };
        });
    }

    // Those of the login service.
    async logins() {
        return (await this.accounts()).filter(({ id }) => id.startsWith('qwen-oauth/'));
    }

    async admin(method, path, body) {
        const key = this.env.ADMIN_KEY ?? API_KEY;
        const answer = await this.gateway.call({ method, path: `/admin/api${path}`, key, body });
        assert.ok(answer.status < 300, `${method} ${path}: ${answer.status} ${answer.text}`);
        return answer.json;
    }

    // One chat request; returns the text of the answer.
    async chat() {
        const answer = await this.gateway.chat('coder-model');
        assert.equal(answer.status, 200, answer.text);
        return answer.json.choices[0].message.content;
    }
}
