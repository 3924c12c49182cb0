// The console in a real browser, on a real gateway with the mock services of the other tests. Needs
// Chromium (CHROMIUM, default /usr/bin/chromium) and a gateway that has the console in it.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { chromium } from 'playwright-core';
import { Rig } from '../../tests/integration/admin_rig.mjs';
import { tempDir } from '../../tests/integration/helper.mjs';
import { apiError, completion, json } from '../../tests/upstream/oauth_answers.mjs';

export const WRONG_KEY = 'sk-wrong';

const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const axeSource = readFileSync(axePath, 'utf8');

// Pictures and rules of contrast want colours that stand still.
const still = { reducedMotion: 'reduce' };
const wide = { ...still, viewport: { width: 1440, height: 940 } };
const phone = {
    ...still,
    viewport: { width: 390, height: 844 },
    isMobile: true,
    hasTouch: true,
    deviceScaleFactor: 2,
};

export const LOOKS = {
    'light': { ...wide, colorScheme: 'light', locale: 'en' },
    'dark': { ...wide, colorScheme: 'dark', locale: 'en' },
    'zh': { ...wide, colorScheme: 'light', locale: 'zh-CN' },
    'phone': { ...phone, colorScheme: 'light', locale: 'en' },
    'phone-dark-zh': { ...phone, colorScheme: 'dark', locale: 'zh-CN' },
};

// SLOW=4: the browser has a fourth of the processor. Shows which tests look too early.
async function slow(page) {
    if (process.env.SLOW) {
        const session = await page.context().newCDPSession(page);
        await session.send('Emulation.setCPUThrottlingRate', { rate: Number(process.env.SLOW) });
    }
}

const PATIENCE_MS = 10_000;

// The check once it passes, or what it fails with for seconds: a page shows what it is told a moment
// later, and a test that looks only once depends on how fast the machine is.
export async function eventually(check) {
    const end = performance.now() + PATIENCE_MS;
    for (;;) {
        try {
            return await check();
        } catch (error) {
            if (performance.now() > end) {
                throw error;
            }
        }
        await new Promise((done) => setTimeout(done, 20));
    }
}

// What a page may complain of: answers that a test provokes are logged by the browser itself.
const isExpected = (text) => /Failed to load resource|ERR_/.test(text);

export class Tab {
    constructor(page, origin) {
        this.page = page;
        this.origin = origin;
        this.errors = [];
        page.on('pageerror', (error) => this.errors.push(error.message));
        page.on('console', (message) => {
            if (message.type() === 'error' && !isExpected(message.text())) {
                this.errors.push(message.text());
            }
        });
        page.setDefaultTimeout(20_000); // a machine may have much else to do
    }

    // Until the screen is there: others have rows and buttons of the same names.
    async go(screen) {
        await this.page.goto(`${this.origin}/ui/#/${screen}`);
        const entry = `.side nav [aria-current=page][href="#/${/^\w+/.exec(screen)[0]}"]`;
        await this.page.locator(`${entry}, main.over`).waitFor({ state: 'attached' });
    }

    row(text) {
        return this.page.locator('.accounts tbody tr', { hasText: text });
    }

    // Waits for a notice with these words.
    toast(text) {
        return this.page.locator('.toast', { hasText: text }).last().waitFor();
    }

    async menu(text, item) {
        await this.row(text).locator('[aria-haspopup=menu]').click();
        await this.page.locator(':popover-open [role=menuitem]', { hasText: item }).click();
    }

    async add(way) {
        await this.page.locator('.panel-head .primary').click();
        await this.page.locator('.ways button', { hasText: way }).click();
    }

    async submit() {
        await this.page.locator('dialog .primary').click();
    }

    get dialog() {
        return this.page.locator('dialog');
    }

    // Presses the key until what has the focus is that.
    async pressTo(key, selector) {
        for (let pressed = 0; pressed < 60; pressed++) {
            await this.page.keyboard.press(key);
            if (await this.page.evaluate((to) => document.activeElement.matches(to), selector)) {
                return;
            }
        }
        assert.fail(`${key} does not lead to ${selector}`);
    }

    // Is the focus there?
    async assertFocus(selector) {
        await this.page.locator(`${selector}:focus`).waitFor({ state: 'attached' });
    }

    // As if the person had gone to another tab, or come back.
    hide(isHidden) {
        return this.page.evaluate((hidden) => {
            Object.defineProperty(document, 'hidden', { value: hidden, configurable: true });
            document.dispatchEvent(new Event('visibilitychange'));
        }, isHidden);
    }

    // The page's clock, which must be installed, goes on only where the test moves it.
    async pause() {
        await this.page.clock.pauseAt(await this.page.evaluate(() => Date.now() + 5000));
    }

    // The code of a login that waits, another one than before.
    async code(before = '') {
        const shown = this.page.locator('#user-code');
        await shown.and(this.page.locator(`:not(:text-is("${before}"))`)).waitFor();
        return shown.innerText();
    }

    // Every violation that axe-core finds, in a line each.
    async violations() {
        const found = await this.page.evaluate(async (source) => {
            const axe = new Function(`${source}; return window.axe`)();
            return (await axe.run(document, { resultTypes: ['violations'] })).violations;
        }, axeSource);
        return found.flatMap(({ id, nodes }) => nodes.map((node) => `${id}: ${node.target}`));
    }

    async assertAccessible(what) {
        assert.deepEqual(await this.violations(), [], what);
    }

    // Into the directory SHOTS, where it is set.
    async shot(name, options) {
        if (process.env.SHOTS) {
            await this.page.screenshot({
                path: join(process.env.SHOTS, `${name}.png`),
                ...options,
            });
        }
    }
}

// What the service behind "openai" says; it takes every key but one.
function answer(request) {
    if (request.header('authorization') === `Bearer ${WRONG_KEY}`) {
        return apiError(401, 'invalid_api_key', 'This key is not known.');
    }
    return request.method === 'GET'
        ? json(200, { object: 'list', data: [{ id: 'gpt-4o', object: 'model' }] })
        : completion('Hello.', request.json ?? {});
}

export class Console {
    static async start(options) {
        const one = new Console();
        one.rig = await Rig.start({ dataDir: tempDir('console'), ...options });
        one.rig.options.listen = `127.0.0.1:${one.rig.gateway.port}`; // also after a restart
        one.rig.mock.otherwise(answer);
        one.browser = await chromium.launch({
            executablePath: process.env.CHROMIUM || '/usr/bin/chromium',
            args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking'],
        });
        return one;
    }

    async stop() {
        await this.browser?.close();
        await this.rig.stop();
    }

    get origin() {
        return `http://127.0.0.1:${this.rig.gateway.port}`;
    }

    // A tab that has entered by the key. Without `context`: a browser of its own, with `more` of
    // Playwright's options.
    async open({ look = 'light', context, hasSteps = false, more = {} } = {}) {
        const own = context ?? (await this.browser.newContext({ ...LOOKS[look], ...more }));
        if (!hasSteps) {
            await own.addInitScript(() => localStorage.setItem('gate.steps', 'done'));
        }
        const tab = new Tab(await own.newPage(), this.origin);
        await slow(tab.page);
        await tab.page.goto(`${this.origin}/${this.rig.key}/ui`);
        await tab.page.locator('.panel').first().waitFor();
        // The title is set when the page hears keys too.
        await eventually(async () => assert.match(await tab.page.title(), / – llm-gate$/));
        return tab;
    }

    chat(model, text = 'Hello') {
        const body = { model, messages: [{ role: 'user', content: text }] };
        return this.rig.gateway.call({ path: '/v1/chat/completions', body });
    }

    // An account by key.
    addKeyed(alias, more = {}) {
        const key = `sk-${Buffer.from(alias).toString('hex')}`;
        return this.rig.add({ provider: 'openai', alias, api_key: key, ...more });
    }

    // An account by a login.
    addLogin(alias, more) {
        return this.rig.add({
            provider: 'qwen-oauth',
            alias,
            oauth: this.rig.login.issue(alias, more),
        });
    }

    // A login that the service does not take any more; the gateway knows by the end of this.
    async addDeadLogin(alias) {
        const oauth = {
            ...this.rig.login.issue(alias),
            access_token: 'dead',
            refresh_token: 'dead',
        };
        const { id } = await this.rig.add({ provider: 'qwen-oauth', alias, oauth });
        await this.rig.call('POST', `/accounts/${id}/refresh`);
        return id;
    }
}
