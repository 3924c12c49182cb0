// The first minutes: started with nothing, started wrongly, asked about itself.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { existsSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import {
    API_KEY,
    Mock,
    UPSTREAM_KEY,
    confDir,
    project,
    run,
    startGateway,
    tempDir,
    textOf,
} from './helper.mjs';

const keyIn = (log) => /\b(gate-[A-Za-z0-9_-]{16,})/.exec(log)?.[1];

test('started with nothing', async (t) => {
    const dataDir = join(tempDir('first'), 'data');
    const first = await startGateway({ key: null, dataDir });
    const key = keyIn(first.log);
    const file = join(dataDir, 'api_key');

    await t.test('makes a key, prints it once and keeps it in a file for its owner', () => {
        assert.ok(key, first.log);
        assert.equal(readFileSync(file, 'utf8').trim(), key);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.equal(statSync(dataDir).mode & 0o077, 0);
        assert.deepEqual(readdirSync(dataDir).sort(), ['api_key', 'db', 'secret.key']);
        assert.equal(statSync(join(dataDir, 'secret.key')).mode & 0o777, 0o600);
        assert.match(first.log, new RegExp(`http://127\\.0\\.0\\.1:${first.port}/\\S*ui`));
    });

    await t.test('listens on loopback only', async () => {
        const hex = first.port.toString(16).toUpperCase().padStart(4, '0');
        const listening = [
            ...readFileSync('/proc/net/tcp', 'utf8').split('\n'),
            ...readFileSync('/proc/net/tcp6', 'utf8').split('\n'),
        ]
            .map((line) => line.trim().split(/\s+/))
            .filter((f) => f[3] === '0A' && f[1].endsWith(`:${hex}`));
        assert.ok(listening.length > 0);
        for (const [, address] of listening) {
            assert.equal(address, `0100007F:${hex}`);
        }
    });

    await t.test('the curl line that it prints works', async (sub) => {
        const command = /curl [^\n]*(?:\\\n[^\n]*)*/.exec(first.log)?.[0];
        assert.ok(command, first.log);
        const sh = promisify(execFile);
        try {
            await sh('sh', ['-c', 'command -v curl']);
        } catch {
            sub.skip('curl is not installed');
            return;
        }
        const { stdout } = await sh('sh', ['-c', `${command} --silent --show-error`]);
        const answer = stdout.includes('data:')
            ? textOf(stdout)
            : JSON.parse(stdout).choices[0].message.content;
        assert.ok(answer.length > 0, stdout);
    });

    await t.test('the model echo answers, whole and streamed', async () => {
        const body = {
            model: 'echo',
            messages: [{ role: 'user', content: 'Grüße, "world" 😀\n' }],
        };
        const whole = await first.call({ key, body });
        assert.equal(whole.json.choices[0].message.content, body.messages[0].content);
        const stream = await first.call({ key, body: { ...body, stream: true } });
        assert.equal(textOf(stream.text), body.messages[0].content);
        assert.match(stream.text, /data: \[DONE\]\n\n$/);
    });

    await t.test('GET /, /health and /v1/models', async () => {
        assert.equal((await first.call({ method: 'GET', path: '/', key: null })).status, 200);
        const health = await first.call({ method: 'GET', path: '/health', key: null });
        assert.equal(health.json.status, 'ok');
        const models = await first.call({ method: 'GET', path: '/v1/models', key });
        assert.equal(models.json.object, 'list');
        assert.ok(models.json.data.some((m) => m.id === 'echo' && m.object === 'model'));
        const head = await first.call({ method: 'HEAD', path: '/', key: null });
        assert.equal(head.status, 200);
        assert.equal(head.body.length, 0);
    });
    await first.stop();

    await t.test('the second start takes the same key and does not print it', async () => {
        const second = await startGateway({ key: null, dataDir });
        assert.ok(!second.log.includes(key), second.log);
        assert.equal((await second.call({ method: 'GET', path: '/v1/models', key })).status, 200);
        await second.stop();
        assert.ok(!second.log.includes(key));
    });

    await t.test('a key file that others could read is closed, or refused', async () => {
        execFile('chmod', ['644', file]);
        const again = await startGateway({ key: null, dataDir });
        await again.stop();
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.ok(!again.log.includes(key));
    });
});

test('a given key is not written anywhere', async () => {
    const dataDir = join(tempDir('given'), 'data');
    const gateway = await startGateway({ dataDir });
    await gateway.stop();
    assert.ok(!gateway.log.includes(API_KEY));
    assert.ok(!existsSync(join(dataDir, 'api_key')));
});

test('a port that is taken stops the start', async () => {
    const mock = await Mock.start();
    const result = await run([], {
        env: { API_KEY, LLM_GATE_LISTEN: `127.0.0.1:${mock.port}` },
    });
    assert.notEqual(result.code, 0);
    assert.match(result.output, new RegExp(`127\\.0\\.0\\.1:${mock.port}`));
    await mock.stop();
});

// Variable, value, and what else belongs in the environment for it to matter.
const malformed = [
    ['LLM_GATE_LISTEN', 'nonsense'],
    ['LLM_GATE_LISTEN', '127.0.0.1:70000'],
    ['LLM_GATE_LISTEN', 'host.invalid:80'],
    ['LLM_GATE_WORKERS', '0'],
    ['LLM_GATE_WORKERS', 'many'],
    ['LLM_GATE_WORKERS', '2x'],
    ['LLM_GATE_MAX_BODY', '-1'],
    ['LLM_GATE_DRAIN_MS', '1.5'],
    ['LLM_GATE_LOG_FORMAT', 'xml'],
    ['LLM_GATE_ALLOW_PRIVATE', 'yes'],
    ['LLM_GATE_CONF_DIR', '/does/not/exist'],
    ['LLM_GATE_PLUGIN_DIR', '/does/not/exist'],
    ['LOG_LEVEL', 'LOUD'],
    ['MODEL_MAPPINGS', '{"a":'],
    ['MODEL_MAPPINGS', '["a"]'],
    ['MODEL_MAPPINGS', '{"a":1}'],
    ['MODEL_MAPPINGS', '{"a":"b","a":"c"}'],
    ['API_KEY', 'has a space in it'],
    ['OPENAI_BASE_URL', 'not a url', { OPENAI_API_KEY: UPSTREAM_KEY }],
    ['OPENAI_BASE_URL', 'ftp://127.0.0.1/v1', { OPENAI_API_KEY: UPSTREAM_KEY }],
    ['OPENAI_BASE_URL', 'http://user:pass@127.0.0.1/v1', { OPENAI_API_KEY: UPSTREAM_KEY }],
    ['OPENAI_API_KEY', 'two words'],
    ['DASHSCOPE_API_KEY', 'line\nbreak'],
    ['DASHSCOPE_BASE_URL', '//nothing', { DASHSCOPE_API_KEY: UPSTREAM_KEY }],
    ['QWEN_CREDS_JSON', 'not json'],
    ['QWEN_CREDS_JSON', '{"refresh_token":"x"}'],
];

test('a malformed value stops the start and names the variable', async () => {
    for (const [name, value, more] of malformed) {
        const result = await run([], {
            env: { API_KEY, LLM_GATE_LISTEN: '127.0.0.1:0', ...more, [name]: value },
        });
        const what = `${name}=${JSON.stringify(value)}: ${JSON.stringify(result)}`;
        assert.equal(result.signal, null, what);
        assert.notEqual(result.code, 0, what);
        assert.ok(result.stderr.includes(name), what);
        assert.match(
            result.stderr,
            /expected|no access_token|mapped twice|not allowed|not a/,
            what,
        );
        assert.ok(!result.output.includes('pass@'), what);
        assert.ok(!/API_KEY$|CREDS/.test(name) || !result.output.includes(value), what);
    }
});

test('a short or well-known key is refused off loopback', async () => {
    for (const key of ['short', 'your-api-key-your-api-key']) {
        const result = await run([], { env: { API_KEY: key, LLM_GATE_LISTEN: '0.0.0.0:0' } });
        assert.notEqual(result.code, 0);
        assert.match(result.stderr, /API_KEY/);
        assert.ok(!result.output.includes(key));
    }
});

test('--help names every command and variable', async () => {
    const { code, stdout } = await run(['--help']);
    assert.equal(code, 0);
    for (const word of [
        'check',
        'plugins',
        '--version',
        'API_KEY',
        'LOG_LEVEL',
        'MODEL_MAPPINGS',
        'LLM_GATE_LISTEN',
        'LLM_GATE_DATA_DIR',
        'LLM_GATE_CONF_DIR',
        'LLM_GATE_PLUGIN_DIR',
        'LLM_GATE_WORKERS',
        'LLM_GATE_ALLOW_PRIVATE',
        'DASHSCOPE_API_KEY',
        'OPENAI_API_KEY',
        'OPENAI_BASE_URL',
        'QWEN_CREDS_JSON',
    ]) {
        assert.ok(stdout.includes(word), `${word} in:\n${stdout}`);
    }
});

test('--version', async () => {
    const { code, stdout } = await run(['--version']);
    assert.equal(code, 0);
    assert.match(stdout, /^llm-gate \d+\.\d+\.\d+/);
});

test('an unknown argument is refused', async () => {
    for (const args of [['--nonsense'], ['serve-it'], ['check', 'what']]) {
        const { code, stderr } = await run(args);
        assert.notEqual(code, 0, args.join(' '));
        assert.ok(stderr.includes(args[args.length - 1]), stderr);
    }
});

test('plugins lists what is loaded, with kind and version', async () => {
    const { code, stdout } = await run(['plugins']);
    assert.equal(code, 0);
    const kinds = {
        provider: ['echo', 'openai', 'qwen'],
        dialect: ['openai_chat'],
        filter: ['sse_dedup'],
    };
    for (const [kind, names] of Object.entries(kinds)) {
        for (const name of names) {
            const line = stdout.split('\n').find((l) => l.includes(kind) && l.includes(name));
            assert.match(line ?? '', /\d+\.\d+/, `${kind} ${name} in:\n${stdout}`);
        }
    }
});

test('check: good configurations pass', async () => {
    const env = { API_KEY, LLM_GATE_DATA_DIR: tempDir('check') };
    const without = await run(['check'], { env });
    assert.equal(without.code, 0, without.output);
    const shipped = await run(['check'], {
        env: { ...env, LLM_GATE_CONF_DIR: join(project, 'conf') },
    });
    assert.equal(shipped.code, 0, shipped.output);
});

test('check writes nothing', async () => {
    const cwd = tempDir('check');
    const result = await run(['check'], { cwd });
    assert.equal(result.code, 0, result.output);
    assert.deepEqual(readdirSync(cwd), []);
});

test('check and start name file and line of a broken script', async () => {
    const broken = {
        'routing.lua': ['return {\n  route = function(req)\n    return "x" ..\n  end\n}\n', /routing\.lua:[34]:/],
        'models.lua': ['local t = {}\nt.a = nil .. "x"\nreturn t\n', /models\.lua:2:/],
        'gateway.lua': ['return {\n  log_level = \n}\n', /gateway\.lua:[23]:/],
    };
    for (const [file, [text, place]] of Object.entries(broken)) {
        const env = {
            API_KEY,
            LLM_GATE_LISTEN: '127.0.0.1:0',
            LLM_GATE_CONF_DIR: confDir({ [file]: text }),
        };
        for (const args of [['check'], []]) {
            const result = await run(args, { env });
            assert.notEqual(result.code, 0, `${file} ${args}: ${result.output}`);
            assert.match(result.output, place);
        }
    }
});

test('check names the key of gateway.lua that is wrong', async () => {
    const wrong = {
        'return { no_such_setting = 1 }': 'no_such_setting',
        'return { clocks = { first_token_ms = "soon" } }': 'first_token_ms',
        'return { clocks = { no_such_clock = 1 } }': 'no_such_clock',
        'return { workers = -3 }': 'workers',
        'return 5': 'gateway.lua',
    };
    for (const [text, name] of Object.entries(wrong)) {
        const result = await run(['check'], {
            env: { API_KEY, LLM_GATE_CONF_DIR: confDir({ 'gateway.lua': text }) },
        });
        assert.notEqual(result.code, 0, text);
        assert.ok(result.output.includes(name), `${text}: ${result.output}`);
    }
});

test('a file that is no plugin stops the start and is named', async () => {
    const dir = tempDir('plugins');
    writeFileSync(join(dir, 'provider_broken.so'), 'this is not a shared object\n');
    const result = await run(['check'], { env: { API_KEY, LLM_GATE_PLUGIN_DIR: dir } });
    assert.notEqual(result.code, 0);
    assert.match(result.output, /provider_broken\.so/);
});

test('no secret stays in the environment of the process', async () => {
    const gateway = await startGateway({ env: { OPENAI_API_KEY: UPSTREAM_KEY } });
    const environ = readFileSync(`/proc/${gateway.pid}/environ`, 'latin1');
    assert.ok(!environ.includes(API_KEY));
    assert.ok(!environ.includes(UPSTREAM_KEY));
    await gateway.stop();
});

test('several workers share one port', async () => {
    const gateway = await startGateway({ env: { LLM_GATE_WORKERS: 3 } });
    const answers = await Promise.all(Array.from({ length: 60 }, () => gateway.chat('echo')));
    assert.ok(answers.every((answer) => answer.status === 200));
    await gateway.stop();
});
