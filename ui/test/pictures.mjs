// The pictures of the documentation: the console of a gateway with an hour of work behind it.
//
//     LLM_GATE_BIN=build/llm-gate node ui/test/pictures.mjs [DIRECTORY] [NAME...]
//
// DIRECTORY: docs/images if not given. The hour takes two minutes. Wants the Debian packages chromium,
// fonts-dejavu-core, fonts-noto-cjk, faketime and pngquant.
import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { project } from '../../tests/integration/helper.mjs';
import { BROKEN, DRAFT, startScene } from './scene.mjs';

const MAX_BYTES = 200 * 1024;

const [directory = join(project, 'docs/images'), ...wanted] = process.argv.slice(2);
const out = resolve(directory);

async function overview(tab) {
    await tab.go('overview');
    await tab.page.locator('.chart canvas').waitFor();
    await tab.page.locator('.requests tbody tr').first().waitFor();
}

async function accounts(tab) {
    await tab.go('accounts');
    await tab.page.locator('.accounts tbody tr').first().waitFor();
}

async function addAccount(tab) {
    await accounts(tab);
    await tab.add('Sign in');
    await tab.submit();
    await tab.page.locator('#user-code').waitFor();
}

async function logs(tab) {
    await tab.go('logs');
    await tab.page.locator('.requests tbody tr').nth(15).waitFor();
    await tab.page.locator('.requests tbody tr').nth(2).click();
    await tab.page.locator('.attempts li').first().waitFor();
}

// routing.lua of the draft becomes this text.
async function write(tab, text) {
    await tab.go('scripts?file=routing.lua');
    const editor = tab.page.locator('.code-editor .cm-content[aria-label*="routing.lua"]');
    await editor.click();
    await tab.page.keyboard.press('Control+a');
    await tab.page.keyboard.insertText(text);
}

async function scripts(tab) {
    await write(tab, BROKEN);
    await tab.page.locator('.check', { hasText: 'error' }).waitFor();
    await tab.page.locator('.cm-lint-marker-error').waitFor();
}

async function changed(tab, view, sign) {
    await write(tab, DRAFT);
    await tab.page.locator('.check', { hasText: 'Valid' }).waitFor();
    await tab.go(`scripts/${view}`);
    await tab.page.locator(sign).first().waitFor();
}

async function history(tab) {
    await tab.go('scripts/history');
    await tab.page.locator('.history li').first().waitFor();
}

async function playground(tab) {
    await tab.go('playground');
    await tab.page.locator('#play-question').fill('Write a haiku about back-pressure.');
    await tab.page.locator('#play-question').press('Enter');
    await tab.page.locator('.play-steps').getByText('Done', { exact: true }).waitFor();
}

async function settings(tab) {
    await tab.go('settings');
    await tab.page.locator('.settings').waitFor();
}

// name -> [look, what leads there]
const pictures = {
    'console': ['light', overview],
    'console-dark': ['dark', overview],
    'console-phone': ['phone', overview],
    'console-zh': ['zh', overview],
    'accounts': ['light', accounts],
    'add-account': ['light', addAccount],
    'logs': ['light', logs],
    'scripts': ['light', scripts],
    'changes': ['light', (tab) => changed(tab, 'changes', '.compared')],
    'dry-run': ['light', (tab) => changed(tab, 'dry-run', '.dry-rows tbody tr')],
    'history': ['light', history],
    'playground': ['light', playground],
    'settings': ['light', settings],
};

// Nothing is on its way any more, and the pointer lies on nothing.
async function settled(tab) {
    await tab.page.mouse.move(0, 0);
    await tab.page.waitForFunction(() => !document.querySelector('.skeleton'));
    await tab.page.evaluate(() => document.fonts.ready);
}

// A palette of 256 colours is enough for an interface, and a third of the bytes.
function shrink(file) {
    execFileSync('pngquant', ['--force', '--speed', '1', '--strip', '--output', file, file]);
    return statSync(file).size;
}

async function picture(gate, name) {
    const [look, lead] = pictures[name];
    const tab = await gate.open({ look });
    const file = join(out, `${name}.png`);
    try {
        await lead(tab);
        await settled(tab);
        await tab.page.screenshot({ path: file });
        const size = shrink(file);
        console.log(`${file} ${size}`);
        return size <= MAX_BYTES;
    } catch (error) {
        console.error(`${name}: ${error.message}`);
        return false;
    } finally {
        await tab.page.context().close();
    }
}

const names = wanted.length > 0 ? wanted : Object.keys(pictures);
mkdirSync(out, { recursive: true });
const gate = await startScene();
try {
    for (const name of names) {
        if (!(await picture(gate, name))) {
            console.error(`${name}: no picture, or a large one`);
            process.exitCode = 1;
        }
    }
} finally {
    await gate.stop();
}
