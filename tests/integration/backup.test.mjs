// llm-gate backup and restore.
import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import {
    chmodSync,
    copyFileSync,
    existsSync,
    mkdirSync,
    readFileSync,
    readdirSync,
    renameSync,
    rmSync,
    statSync,
    writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { tempDir } from './helper.mjs';
import { CommandRig } from './command_rig.mjs';

const HEADER = 'llm-gate backup 1\n';
const ASIDE = /^db\.before-restore-\d{8}-\d{6}/;

// The names in a data directory, without those that are always there.
const extras = (rig) =>
    readdirSync(rig.dataDir).filter((name) => !['db', 'secret.key'].includes(name));

describe('a backup of a gateway that serves', () => {
    let rig, file, atBackup, alice;
    before(async () => {
        rig = await CommandRig.start();
        file = join(rig.home, 'one.backup');
        alice = await rig.signIn('alice', ['--alias', 'first']);
        await rig.admin('POST', '/accounts', {
            provider: 'openai',
            alias: 'by key',
            api_key: 'sk-of-the-backup-0123456789',
        });
    });
    after(() => rig.stop());

    test('is made under load, and no request fails', async () => {
        let done = false;
        let count = 0;
        const load = Array.from({ length: 4 }, async () => {
            while (!done) {
                assert.equal(await rig.chat(), 'Hello from alice.');
                count++;
            }
        });
        await rig.admin('PATCH', `/accounts/${alice}`, { limits: { chat: { rpm: 0, rpd: 0 } } });
        const { stdout, stderr } = await rig.run(['backup', file]).ends(0);
        done = true;
        await Promise.all(load);
        assert.match(stdout, /one\.backup: \d+ records, \d+ bytes/);
        assert.match(stdout, /secret\.key/);
        assert.equal(stderr, '');
        assert.ok(count > 0);
        atBackup = await rig.logins();
        assert.equal(Number(atBackup[0].chat), count);
    });

    test('is a whole file that only its owner can read, and the only one', async () => {
        assert.equal(statSync(file).mode & 0o777, 0o600);
        const bytes = readFileSync(file);
        assert.equal(bytes.subarray(0, HEADER.length).toString(), HEADER);
        for (const secret of [...rig.login.secrets, 'sk-of-the-backup-0123456789']) {
            assert.ok(!bytes.includes(secret));
        }
        assert.deepEqual(extras(rig), []);
        assert.deepEqual(
            readdirSync(rig.home).filter((name) => name !== 'data'),
            ['one.backup'],
        );
    });

    test('does not overwrite a file', async () => {
        const bytes = readFileSync(file);
        const { stderr } = await rig.run(['backup', file]).ends(1);
        assert.match(stderr, /one\.backup.*not overwritten/);
        assert.deepEqual(readFileSync(file), bytes);
        assert.deepEqual(extras(rig), []);
    });

    test('needs a directory to go into', async () => {
        const { stderr } = await rig.run(['backup', join(rig.home, 'no/where')]).ends(1);
        assert.match(stderr, /no\/where.*No such file/);
        assert.deepEqual(extras(rig), []); // the gateway was not asked to make one
    });

    test('whose data directory is elsewhere: it says where the file lies', async () => {
        const env = { LLM_GATE_DATA_DIR: tempDir('elsewhere') };
        // As from outside a container: the name that the gateway knows means nothing here.
        const inside = join(rig.home, 'moved');
        await rig.stopGateway();
        renameSync(rig.dataDir, inside);
        await rig.startGateway({ LLM_GATE_DATA_DIR: './moved' });
        const { stderr } = await rig.run(['backup', 'two.backup'], env).ends(1);
        const [, name] = /lies in the gateway's data directory: \.\/moved\/(\S+)$/m.exec(stderr);
        assert.ok(existsSync(join(inside, name)), stderr);
        assert.ok(!existsSync(join(rig.home, 'two.backup')));
        rmSync(join(inside, name));
        await rig.stopGateway();
        renameSync(inside, rig.dataDir);
        await rig.startGateway();
    });

    test('cannot be restored under it', async () => {
        const { stderr } = await rig.run(['restore', file]).ends(1);
        assert.match(stderr, /db is in use: stop the gateway first/);
        const elsewhere = { LLM_GATE_LISTEN: '127.0.0.1:0' };
        await rig.run(['restore', '--force', file], elsewhere).ends(1);
        assert.deepEqual(extras(rig), []);
        assert.deepEqual((await rig.logins()).length, 1);
    });

    test('brings back accounts, counters and logins', async () => {
        const bob = await rig.signIn('bob');
        await rig.admin('DELETE', `/accounts/${alice}`);
        assert.equal(await rig.chat(), 'Hello from bob.');
        await rig.stopGateway();
        const { stdout } = await rig.run(['restore', file]).ends(0);
        const [, aside] = /What was there is in (\S+):/.exec(stdout);
        assert.deepEqual(extras(rig), [aside.split('/').pop()]);
        assert.match(extras(rig)[0], ASIDE);

        const accounts = await rig.accounts();
        const [restored, ...others] = accounts.filter(({ id }) => id.startsWith('qwen-oauth/'));
        assert.deepEqual(others, []);
        assert.equal(restored.id, alice);
        assert.equal(restored.name, 'first');
        assert.ok(Number(restored.chat) > 0 && Number(restored.chat) <= Number(atBackup[0].chat));
        assert.ok(accounts.some(({ name, id }) => name === 'by key' && id.startsWith('openai/')));

        await rig.startGateway();
        assert.equal(await rig.chat(), 'Hello from alice.');
        const [counted] = await rig.logins();
        assert.equal(Number(counted.chat), Number(restored.chat) + 1);
        await rig.stopGateway();

        // What was there before is a database as good as any.
        renameSync(join(rig.dataDir, 'db'), join(rig.home, 'restored'));
        renameSync(aside, join(rig.dataDir, 'db'));
        assert.equal((await rig.logins())[0].id, bob);
    });
});

describe('without a gateway', () => {
    let rig, file, accounts;
    const secret = 'a-secret-of-thirty-two-characters';
    before(async () => {
        rig = await CommandRig.start({ running: false, env: { LLM_GATE_SECRET: secret } });
        file = join(rig.home, 'one.backup');
        await rig.signIn('alice', ['--alias', 'first']);
        await rig.signIn('bob', ['--alias', 'second']);
        accounts = await rig.accounts();
    });
    after(() => rig.stop());
    beforeEach(() => {
        for (const name of readdirSync(rig.dataDir)) {
            assert.ok(name === 'db' || ASIDE.test(name), name);
        }
    });

    test('backup', async () => {
        const { stdout } = await rig.run(['backup', file]).ends(0);
        assert.match(stdout, /Keep LLM_GATE_SECRET/);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        await rig.run(['backup', file]).ends(1);
        assert.deepEqual(await rig.accounts(), accounts);
    });

    test('nothing to back up', async () => {
        const env = { LLM_GATE_DATA_DIR: join(rig.home, 'empty') };
        const { stderr } = await rig.run(['backup', 'x'], env).ends(1);
        assert.match(stderr, /nothing to back up/);
        assert.deepEqual(readdirSync(rig.home).sort(), ['data', 'one.backup']);
    });

    test('on a new machine', async () => {
        const env = { LLM_GATE_DATA_DIR: join(rig.home, 'new') };
        const { stdout } = await rig.run(['restore', file], env).ends(0);
        assert.doesNotMatch(stdout, /What was there/);
        assert.deepEqual(readdirSync(env.LLM_GATE_DATA_DIR), ['db']);
        assert.equal(statSync(env.LLM_GATE_DATA_DIR).mode & 0o777, 0o700);
        assert.equal(statSync(join(env.LLM_GATE_DATA_DIR, 'db')).mode & 0o777, 0o700);
        assert.deepEqual(await rig.accounts(env), accounts);
        rmSync(env.LLM_GATE_DATA_DIR, { recursive: true });
    });

    test('a file that is damaged changes nothing', async () => {
        const bytes = readFileSync(file);
        const bad = join(rig.home, 'bad.backup');
        const flip = (at) => {
            const copy = Buffer.from(bytes);
            copy[at] ^= 1;
            return copy;
        };
        const cases = [
            [Buffer.from('something else entirely'), /not a backup/],
            [Buffer.alloc(0), /not a backup/],
            [bytes.subarray(0, bytes.length - 1), /cut/],
            [bytes.subarray(0, bytes.length >> 1), /cut/],
            [Buffer.concat([bytes, Buffer.from('x')]), /damaged/],
            [Buffer.concat([Buffer.from('llm-gate backup 2\n'), bytes.subarray(18)]), /newer/],
            [flip(HEADER.length + 40), /damaged|cut/],
            [flip(bytes.length >> 1), /damaged|cut/],
            [flip(bytes.length - 1), /damaged/],
        ];
        for (const [content, said] of cases) {
            writeFileSync(bad, content);
            const { stderr } = await rig.run(['restore', '--force', bad]).ends(1);
            assert.match(stderr, said);
            assert.deepEqual(readdirSync(rig.dataDir), ['db']);
        }
        rmSync(bad);
        const { stderr } = await rig.run(['restore', bad]).ends(1);
        assert.match(stderr, /bad\.backup: No such file/);
        assert.deepEqual(await rig.accounts(), accounts);
    });

    test('another key: refused, or with --force restored for when the key is there', async () => {
        for (const env of [
            { LLM_GATE_SECRET: 'another-secret-of-the-same-length' },
            { LLM_GATE_SECRET: undefined },
        ]) {
            const { stderr } = await rig.run(['restore', file], env).ends(1);
            assert.match(stderr, /cannot be used: .*key.*LLM_GATE_SECRET.*--force/);
            assert.match(stderr, /Nothing was changed/);
            assert.deepEqual(readdirSync(rig.dataDir), ['db']);

            const forced = await rig.run(['restore', '--force', file], env).ends(0);
            assert.match(forced.stderr, /gateway will not start before LLM_GATE_SECRET/);
            const refused = await rig.run(['accounts'], env).ends(1);
            assert.match(refused.stderr, /encrypted with another key/);
            rmSync(join(rig.dataDir, 'secret.key'), { force: true });
            assert.deepEqual(await rig.accounts(), accounts);
            const [aside] = readdirSync(rig.dataDir).filter((name) => ASIDE.test(name));
            rmSync(join(rig.dataDir, aside), { recursive: true });
        }
    });

    test('a database that is damaged can be replaced', async () => {
        rmSync(join(rig.dataDir, 'db', 'CURRENT'));
        await rig.run(['accounts']).ends(1);
        await rig.run(['restore', file]).ends(0);
        assert.deepEqual(await rig.accounts(), accounts);
    });

    test('a restore that is killed leaves the old database or the new one', async () => {
        const clear = () => {
            for (const name of readdirSync(rig.dataDir).filter((n) => n !== 'db')) {
                assert.ok(name === 'db.new' || ASIDE.test(name), name);
                rmSync(join(rig.dataDir, name), { recursive: true });
            }
        };
        const old = join(rig.home, 'old.backup');
        clear();
        await rig.signIn('carol', ['--alias', 'third']);
        await rig.run(['backup', old]).ends(0);
        const more = await rig.accounts();
        const start = performance.now();
        await rig.run(['restore', old]).ends(0);
        const whole = performance.now() - start;
        // A leak check that is killed leaves an empty report: its helper process loses its subject.
        const unchecked = { ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:detect_leaks=0` };
        const seen = new Set();
        let leftover = 0;
        for (let i = 0; i < 24; i++) {
            const command = rig.run(['restore', file], unchecked);
            const timer = setTimeout(() => command.child.kill('SIGKILL'), (whole * 1.2 * i) / 24);
            await command.closed;
            clearTimeout(timer);
            leftover += existsSync(join(rig.dataDir, 'db.new')) ? 1 : 0;
            const now = await rig.accounts();
            assert.ok([accounts.length, more.length].includes(now.length));
            assert.deepEqual(now, now.length === more.length ? more : accounts);
            seen.add(now.length);
            await rig.run(['restore', old]).ends(0); // also over what a kill has left
            assert.ok(!existsSync(join(rig.dataDir, 'db.new')));
            clear();
        }
        assert.equal(seen.size, 2, `${[...seen]}`);
        assert.ok(leftover > 0);
    });
});

test('the key file belongs to a backup', async () => {
    const rig = await CommandRig.start({ running: false });
    const file = join(rig.home, 'one.backup');
    try {
        await rig.signIn('alice');
        const accounts = await rig.accounts();
        const { stdout } = await rig.run(['backup', file]).ends(0);
        assert.match(stdout, /Keep .*secret\.key as well/);
        const env = { LLM_GATE_DATA_DIR: join(rig.home, 'new') };
        const { stderr } = await rig.run(['restore', file], env).ends(1);
        assert.match(stderr, /there is no key/);
        mkdirSync(env.LLM_GATE_DATA_DIR, { recursive: true });
        copyFileSync(join(rig.dataDir, 'secret.key'), join(env.LLM_GATE_DATA_DIR, 'secret.key'));
        chmodSync(join(env.LLM_GATE_DATA_DIR, 'secret.key'), 0o600);
        await rig.run(['restore', file], env).ends(0);
        assert.deepEqual(await rig.accounts(env), accounts);
    } finally {
        await rig.stop();
    }
});
