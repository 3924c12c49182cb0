// The first start: the console leads from an empty gateway to the first request, with nothing but what
// is on the page. The snippets are run as they are copied.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { API_KEY, tempDir } from '../../tests/integration/helper.mjs';
import { Console, eventually } from './console.mjs';

let gate;
let tab;

before(async () => {
    gate = await Console.start({ env: { OPENAI_API_KEY: undefined, OPENAI_BASE_URL: undefined } });
    tab = await gate.open({
        hasSteps: true,
        more: { permissions: ['clipboard-read', 'clipboard-write'] },
    });
});

after(() => gate?.stop());

const step = (name) => tab.page.locator('.step', { hasText: name });
const isDone = (name) => tab.page.locator('.step.is-done', { hasText: name }).waitFor();

// { code, output } of a program.
async function run(command, args, env = {}) {
    const child = spawn(command, args, { env: { PATH: process.env.PATH, ...env } });
    let output = '';
    child.stdout.on('data', (text) => (output += text));
    child.stderr.on('data', (text) => (output += text));
    child.stdin.end();
    const [code] = await once(child, 'close');
    return { code, output };
}

async function copied(client) {
    await tab.page.locator('.steps .segments button', { hasText: client }).click();
    await tab.page.locator('.steps').getByLabel('Copy').click();
    await tab.page.locator('.steps [role=status]', { hasText: 'Copied' }).waitFor();
    // It may say so of the snippet before.
    return eventually(async () => {
        const text = await tab.page.evaluate(() => navigator.clipboard.readText());
        assert.equal(text, await tab.page.locator('#snippet-text').textContent());
        assert.ok(!text.includes(gate.rig.key), 'a key in the page');
        return text;
    });
}

function saved(name, text) {
    const path = join(tempDir('snippet'), name);
    writeFileSync(path, text);
    return path;
}

test('an empty gateway says what to do first', async () => {
    await step('Add an account').waitFor();
    await tab.page.getByText('Waiting for the first request').waitFor();
    assert.equal(await tab.page.locator('.step.is-done').count(), 0);
    await tab.assertAccessible('the first steps');
    await tab.shot('first-steps', { fullPage: true });
});

test('an account is added from there', async () => {
    await step('Add an account').getByText('Add account').click();
    await tab.page.locator('.ways button', { hasText: 'Sign in' }).click();
    await tab.dialog.getByLabel('Name').fill('first');
    await tab.submit();
    gate.rig.login.approve(await tab.code(), 'first');
    await tab.toast('first is signed in');
    await isDone('Add an account');
});

test('the snippets are what their programs take', async () => {
    const python = saved('snippet.py', await copied('Python'));
    const read = 'import ast, sys; ast.parse(open(sys.argv[1]).read())';
    assert.deepEqual(await run('python3', ['-c', read, python]), { code: 0, output: '' });
    const script = saved('snippet.mjs', await copied('JavaScript'));
    assert.deepEqual(await run(process.execPath, ['--check', script]), { code: 0, output: '' });
    const shell = saved('qwen.sh', await copied('Qwen Code'));
    assert.deepEqual(await run('sh', ['-n', shell]), { code: 0, output: '' });
    const { provider, model } = JSON.parse(await copied('opencode'));
    assert.equal(provider['llm-gate'].options.baseURL, `${gate.origin}/v1`);
    assert.ok(provider['llm-gate'].models[model.split('/').slice(1).join('/')]);
});

test('the curl snippet, run as it was copied, is the first request that arrives', async () => {
    const shell = saved('curl.sh', await copied('curl'));
    await tab.page.getByText('Waiting for the first request').waitFor();
    const { code, output } = await run('sh', [shell], { API_KEY: API_KEY });
    assert.equal(code, 0, output);
    assert.match(output, /data: \[DONE\]/);
    await isDone('See it arrive');
    await tab.page.locator('.steps .outcome.is-success').waitFor();
    await tab.page.locator('.requests tbody tr').first().waitFor();
    await tab.shot('first-steps-done', { fullPage: true });
    assert.deepEqual(tab.errors, []);
});

test('who has seen it can put it away for good', async () => {
    await tab.page.locator('.steps').getByText('Hide').click();
    await tab.page.locator('.steps').waitFor({ state: 'detached' });
    await tab.page.reload();
    await tab.page.locator('.requests tbody tr').first().waitFor();
    assert.equal(await tab.page.locator('.steps').count(), 0);
});
