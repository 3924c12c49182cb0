// llm-gate login and accounts, with a running gateway and without one.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { readdirSync } from 'node:fs';
import { binary, closedPort, until } from './helper.mjs';
import { CommandRig } from './command_rig.mjs';
import { readQr } from './qr.mjs';
import { oauthError } from '../upstream/oauth_answers.mjs';

const code = /^ {2}code {2}(\S+)$/m;

function assertNoSecret(rig, text) {
    for (const secret of [...rig.login.secrets, rig.env.API_KEY]) {
        assert.ok(!text.includes(secret), text);
    }
}

describe('arguments', () => {
    let rig;
    before(async () => {
        rig = await CommandRig.start({ running: false });
    });
    after(() => rig.stop());

    test('--help names the commands and the variables', async () => {
        const { stdout } = await rig.run(['--help']).ends(0);
        for (const word of [
            'login [PROVIDER]',
            'accounts',
            'backup FILE',
            'restore FILE',
            'ADMIN_KEY',
            'LLM_GATE_SECRET',
            'qwen_creds_*.json',
            'QWEN_CLIENT_ID',
            'CHAT_DAILY_LIMIT',
            'CHAT_RPM_LIMIT',
            'SEARCH_DAILY_LIMIT',
            'SEARCH_RPM_LIMIT',
            'ALERT_WEBHOOK_URL',
            'ALERT_ENABLED',
            'ALERT_WEBHOOK_TYPE',
            'ALERT_WEBHOOK_SECRET',
            'ALERT_QUOTA_THRESHOLD_PERCENT',
            'AUDIT_SUCCESS_LOG',
            'AUDIT_RETENTION_DAYS',
            'LLM_GATE_MAX_ATTEMPTS',
            'LLM_GATE_FAILOVER_MS',
            'LLM_GATE_COUNTER_FLUSH_MS',
            'accounts.lua',
        ]) {
            assert.ok(stdout.includes(word), `${word} in:\n${stdout}`);
        }
        for (const line of stdout.split('\n')) {
            assert.ok(line.length <= 100, line);
        }
    });

    test('--help shows the options of a command', async () => {
        for (const [name, word] of [
            ['login', '--alias'],
            ['accounts', '--state'],
            ['backup', 'FILE'],
            ['restore', '--force'],
        ]) {
            const { stdout, stderr } = await rig.run([name, '--help']).ends(0);
            assert.ok(stdout.startsWith(`Usage: llm-gate ${name}`), stdout);
            assert.ok(stdout.includes(word), stdout);
            assert.equal(stderr, '');
        }
    });

    test('what is wrong with them is said, with exit status 2', async () => {
        for (const [args, word] of [
            [['login', '--nonsense'], '--nonsense'],
            [['login', 'qwen', 'more'], 'more'],
            [['login', '--alias'], '--alias'],
            [['accounts', 'what'], 'what'],
            [['backup'], 'FILE'],
            [['backup', 'a', 'b'], 'b'],
            [['backup', '--force', 'a'], '--force'],
            [['restore'], 'FILE'],
            [['restore', '--force'], 'FILE'],
        ]) {
            const { stdout, stderr } = await rig.run(args).ends(2);
            assert.ok(stderr.includes(word) && stderr.includes('Usage:'), stderr);
            assert.equal(stdout, '');
        }
        assert.ok(!readdirSync(rig.home).includes('data'));
    });
});

// The same must happen with a gateway and without one.
for (const running of [true, false]) {
    describe(running ? 'login, asking a gateway' : 'login, without a gateway', () => {
        let rig;
        before(async () => {
            rig = await CommandRig.start({ running });
        });
        after(() => rig.stop());

        test('a new account', async () => {
            const command = rig.run(['login', 'qwen', '--alias', 'work']);
            const [, userCode] = await command.says(code);
            assert.match(command.stdout, /^Sign in to qwen-oauth/);
            assert.equal(command.stdout.includes('for the gateway on http'), running);
            assert.ok(command.stdout.includes(`/authorize?user_code=${userCode}&client=qwen-code`));
            assert.match(command.stdout, /good for 15 minutes/);
            assert.doesNotMatch(command.stdout, /[\u2580-\u2588\u001b]/); // no terminal, no QR code
            await rig.login.called('poll', 2);
            assert.equal(command.code, undefined);
            rig.login.approve(userCode, 'alice');
            await command.ends(0);
            const [, id] = /^Signed in: account (qwen-oauth\/\S+)$/m.exec(command.stdout);
            assert.deepEqual(await rig.logins(), [
                { id, state: 'serving', chat: '0/2000', search: '0', name: 'work' },
            ]);
            assert.equal(command.stderr, '');
            assertNoSecret(rig, command.output);
        });

        test('the QR code is that of the address', async () => {
            const command = rig.run(['login', '--qr']);
            const [, userCode] = await command.says(code);
            await command.says(/Waiting/);
            const address = /^ {2}open {2}(\S+)$/m.exec(command.stdout)[1];
            assert.equal(readQr(command.stdout), address);
            rig.login.deny(userCode);
            await command.ends(1);
        });

        test('a login can renew an account, which keeps id, name and counters', async () => {
            const [old] = await rig.logins();
            const faults = rig.login.faults.length;
            rig.login.revokeRefresh('alice');
            for (const name of [old.id, 'work']) {
                const command = rig.run(['login', '--account', name]);
                const [, userCode] = await command.says(code);
                rig.login.approve(userCode, 'bob');
                await command.ends(0);
                assert.ok(command.stdout.includes(`Renewed account ${old.id}`), command.stdout);
            }
            assert.deepEqual(await rig.logins(), [old]);
            assert.equal(rig.login.faults.length, faults);
        });

        test('a login that is refused or expires', async () => {
            const before = await rig.logins();
            for (const [act, said] of [
                ['deny', /not signed in: denied: /],
                ['expire', /not signed in: expired: /],
            ]) {
                const command = rig.run(['login', 'qwen-oauth']);
                const [, userCode] = await command.says(code);
                rig.login[act](userCode);
                const { stderr } = await command.ends(1);
                assert.match(stderr, said);
            }
            assert.deepEqual(await rig.logins(), before);
        });

        test('a login that cannot begin', async () => {
            for (const [args, said] of [
                [['nobody'], /there is no provider "nobody"/],
                [['openai'], /openai has no device login/],
                [['--account', 'nobody'], /no account "nobody"/],
                [['qwen', '--account', 'echo/0'], /echo\/0 is not a login of qwen-oauth/],
                [['--account', 'work', '--alias', 'x'], /alias/],
            ]) {
                const { stderr, stdout } = await rig.run(['login', ...args]).ends(1);
                assert.match(stderr, said);
                assert.equal(stdout, '');
            }
        });

        for (const [signal, status] of [
            ['SIGINT', 130],
            ['SIGTERM', 143],
        ]) {
            test(`${signal} cancels`, async () => {
                const before = await rig.logins();
                const command = rig.run(['login']);
                await command.says(/^Waiting/m);
                const [, userCode] = await command.says(code);
                command.child.kill(signal);
                const { stderr } = await command.ends(status);
                assert.match(stderr, /cancelled/);
                if (running) {
                    const { logins } = await rig.admin('GET', '/logins');
                    const flow = logins.find(({ user_code: c }) => c === userCode);
                    assert.equal(flow.state, 'cancelled');
                }
                rig.login.approve(userCode, 'carol'); // too late
                assert.deepEqual(await rig.logins(), before);
            });
        }

        test('the account serves', async () => {
            if (!running) {
                await rig.startGateway();
            }
            assert.equal(await rig.chat(), 'Hello from bob.');
            const [account] = await rig.logins();
            assert.equal(account.chat, '1/2000');
            if (!running) {
                await rig.stopGateway();
                assert.deepEqual(await rig.logins(), [account]); // as storage has it
            }
        });
    });
}

describe('a running gateway', () => {
    let rig;
    before(async () => {
        rig = await CommandRig.start({ env: { ADMIN_KEY: 'admin-1c0f62be77aa9d03' } });
    });
    after(() => rig.stop());

    test('the key is ADMIN_KEY where there is one', async () => {
        await rig.accounts();
        for (const env of [{ ADMIN_KEY: 'admin-wrong-5d3c91' }, { ADMIN_KEY: undefined }]) {
            for (const args of [['accounts'], ['login'], ['backup', 'x']]) {
                const { stderr } = await rig.run(args, env).ends(1);
                assert.match(stderr, /refuses the key: .*ADMIN_KEY/);
                assert.ok(!stderr.includes('admin-'), stderr);
            }
        }
        assert.equal(rig.login.counts.device, 0);
    });

    test('a gateway that does not answer at that address', async () => {
        const env = { LLM_GATE_LISTEN: `127.0.0.1:${await closedPort()}` };
        for (const args of [['accounts'], ['login'], ['backup', 'x']]) {
            const { stderr } = await rig.run(args, env).ends(1);
            assert.match(stderr, /another llm-gate uses it.*LLM_GATE_LISTEN/);
        }
        await rig.run(['accounts'], { LLM_GATE_LISTEN: '127.0.0.1:0' }).ends(1);
    });

    test('a listener that is no gateway is not asked', async () => {
        const env = { LLM_GATE_LISTEN: rig.login.origin().replace('http://', '') };
        const { stderr } = await rig.run(['accounts'], env).ends(1);
        assert.match(stderr, /another llm-gate uses it/);
        for (const { request } of rig.login.of('other')) {
            assert.equal(request.header('authorization'), undefined);
        }
    });

    test('accounts: a filter, and a page behind the first', async () => {
        const names = Array.from({ length: 60 }, (_, i) => `key ${i}`);
        for (const alias of names) {
            await rig.admin('POST', '/accounts', {
                provider: 'openai',
                alias,
                api_key: `sk-${alias.replace(' ', '-')}-0123456789`,
            });
        }
        const all = (await rig.accounts()).filter(({ id }) => id.startsWith('openai/'));
        assert.deepEqual(new Set(all.map(({ name }) => name)), new Set(names));
        assert.equal(all.length, names.length);
        const { stdout } = await rig.run(['accounts', '--provider', 'echo']).ends(0);
        assert.equal(stdout.trimEnd().split('\n').length, 2);
        const { stdout: none } = await rig.run(['accounts', '--state', 'sign_in']).ends(0);
        assert.equal(none.trimEnd().split('\n').length, 1);
    });

    test('a gateway that is restarted forgets the login, and the command says so', async () => {
        const command = rig.run(['login']);
        await command.says(code);
        await rig.stopGateway();
        await rig.startGateway();
        const { stderr } = await command.ends(1);
        assert.match(stderr, /restarted and has forgotten this login/);
    });

    test('a gateway that ends meanwhile', async () => {
        const command = rig.run(['login']);
        await command.says(code);
        await rig.stopGateway();
        const { stderr } = await command.ends(1);
        assert.match(stderr, /does not answer/);
    });
});

// `script` gives the command a terminal.
test('on a terminal the QR code is dark on light, whatever its colours are', async () => {
    const rig = await CommandRig.start({ running: false });
    const onTerminal = async (columns, args) => {
        const line = `stty cols ${columns}; exec "${binary}" login ${args}`;
        const command = rig.run(['-qec', line, '/dev/null'], { SHELL: '/bin/sh' }, 'script');
        const [, userCode] = await command.says(/^ {2}code {2}(\S+)\r$/m);
        await command.says(/Ctrl-C cancels/);
        rig.login.deny(userCode);
        await command.ends(1);
        return command.stdout.replaceAll('\r', '');
    };
    try {
        const shown = await onTerminal(100, '');
        const row = /^\u001b\[40;97m([\u2580\u2584\u2588 ]+)\u001b\[0m$/gm;
        assert.ok([...shown.matchAll(row)].length > 10, shown);
        const address = /^ {2}open {2}(\S+)$/m.exec(shown)[1];
        assert.equal(readQr(shown.replace(row, '$1')), address);
        assert.match(await onTerminal(30, ''), /no room for a QR code/);
        assert.doesNotMatch(await onTerminal(100, '--no-qr'), /[\u2580-\u2588]|QR/);
    } finally {
        await rig.stop();
    }
});

test('what a login service says does not steer the terminal', async () => {
    const rig = await CommandRig.start({ running: false });
    const text = 'no\u001b]0;x\u0007\u009b2J';
    rig.login.device = () => oauthError(400, 'invalid_scope', text);
    try {
        const { output } = await rig.run(['login']).ends(1);
        assert.ok(output.includes('no ]0;x ??2J'), output);
    } finally {
        await rig.stop();
    }
});

test('a login service that is away', async () => {
    const rig = await CommandRig.start({ running: false });
    try {
        await rig.login.stop();
        const { stderr } = await rig.run(['login']).ends(1);
        assert.match(stderr, /The login at qwen-oauth did not begin/);
    } finally {
        await rig.stopGateway();
    }
});

test('without a gateway nothing is refreshed behind the back of whoever looks', async () => {
    const rig = await CommandRig.start({ running: false });
    try {
        rig.login.lifetime = 1;
        await rig.signIn('alice');
        const [token] = rig.login.access.values();
        await until(() => Date.now() > token.expiresAt, { timeout: 5000 });
        assert.equal((await rig.logins()).length, 1);
        assert.equal(rig.login.counts.refresh, 0);
    } finally {
        await rig.stop();
    }
});
