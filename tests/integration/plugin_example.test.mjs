// A third party's plugin: built out of tree against an installed gateway, loaded, and answering.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { API_KEY, binary, project, run, startGateway, tempDir, textOf } from './helper.mjs';

const sh = promisify(execFile);
const source = join(project, 'tests/plugin_example');

async function hasCmake() {
    try {
        await sh('cmake', ['--version']);
        return true;
    } catch {
        return false;
    }
}

test('a plugin built out of tree answers', async (t) => {
    if (!(await hasCmake())) {
        t.skip('cmake is not installed');
        return;
    }
    const dir = tempDir('plugin');
    const prefix = join(dir, 'prefix');
    const build = join(dir, 'build');
    await sh('cmake', ['--install', dirname(binary), '--prefix', prefix]);
    const installed = join(prefix, 'bin/llm-gate');
    const plugins = join(prefix, 'lib/llm-gate/plugins');
    assert.ok(existsSync(join(prefix, 'include/gate/plugin.h')));

    await t.test('the installed gateway finds its own parts', async () => {
        const env = { PATH: process.env.PATH, HOME: dir, API_KEY };
        const { stdout } = await sh(installed, ['plugins'], { cwd: dir, env });
        assert.match(stdout, /echo/);
        await sh(installed, ['check'], { cwd: dir, env });
    });

    await sh('cmake', ['-S', source, '-B', build, `-DCMAKE_PREFIX_PATH=${prefix}`]);
    await sh('cmake', ['--build', build]);
    const made = readdirSync(build).filter((file) => file.endsWith('.so'));
    assert.equal(made.length, 1, made.join());

    const both = join(dir, 'plugins');
    mkdirSync(both);
    for (const file of readdirSync(plugins)) {
        copyFileSync(join(plugins, file), join(both, file));
    }
    copyFileSync(join(build, made[0]), join(both, made[0]));
    const env = { API_KEY, LLM_GATE_PLUGIN_DIR: both };
    const listed = await run(['plugins'], { env });
    assert.equal(listed.code, 0, listed.output);
    assert.match(listed.stdout, /provider +minimal +1\.0/);

    const gateway = await startGateway({
        env: { LLM_GATE_PLUGIN_DIR: both },
        conf: {
            'gateway.lua': 'return { providers = { { name = "mine", plugin = "minimal" } } }',
        },
    });
    const models = await gateway.call({ method: 'GET', path: '/v1/models' });
    const model = 'minimal';
    assert.ok(
        models.json.data.some(({ id }) => id === model),
        models.text,
    );
    const answer = await gateway.chat(model);
    assert.equal(answer.status, 200, answer.text);
    assert.ok(answer.json.choices[0].message.content.length > 0);
    const stream = await gateway.chat(model, { stream: true });
    assert.equal(stream.status, 200);
    assert.ok(textOf(stream.text).length > 0);
    await gateway.stop();
});
