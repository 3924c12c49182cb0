// Chats of the console: answers as they come, the way that they took, stopping, errors.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import { until } from '../../tests/upstream/mock.mjs';
import { apiError, completion } from '../../tests/upstream/oauth_answers.mjs';
import { chatBody, chatStream, chunkOf, streamOf } from '../../tests/upstream/scenarios.mjs';
import { Console, eventually } from './console.mjs';
import {
    answers,
    ask,
    chats,
    choose,
    ended,
    field,
    forget,
    Held,
    MODELS,
    playground,
    steps,
} from './playground_rig.mjs';

let gate;
let usual; // what the service says to what no test has in mind

before(async () => {
    gate = await Console.start({ conf: { 'models.lua': MODELS } });
    usual = gate.rig.mock.fallback;
});

after(() => gate?.stop());

beforeEach(() => forget(gate, usual));

// What is drawn comes with the frames after what has arrived.
const assertText = (shown, text) =>
    eventually(async () => assert.equal(await shown.innerText(), text));
const assertMatch = (shown, pattern) =>
    eventually(async () => assert.match(await shown.innerText(), pattern));
const isBlocked = (tab) =>
    tab.page.getByRole('button', { name: 'Send', disabled: true }).waitFor();

test('an answer is shown as it comes, with the way that it took', async () => {
    const held = new Held(gate, 'gpt-4o');
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await ask(tab, 'What is a quasar?');
    await steps(tab).getByText('Waiting for the first token').waitFor();
    await held.send({ role: 'assistant', content: '' }, { content: 'A quasar ' });
    await answers(tab).getByText('A quasar').waitFor();
    await steps(tab).getByText('fast → openai/gpt-4o').waitFor();
    await steps(tab).getByText('Scripts, generation').waitFor();
    await steps(tab).getByText('Account: openai/0').waitFor();
    assert.ok(!(await answers(tab).innerText()).includes('galaxy'));
    assert.equal(await tab.page.getByText('Done', { exact: true }).count(), 0);
    await tab.go('settings');
    await held.send({ content: 'is the core\n\n' });
    await tab.go('playground');
    await answers(tab).getByText('is the core').waitFor();
    await held.send({ content: 'of a 星系 galaxy.' });
    await held.end();
    await ended(tab);
    const text = tab.page.locator('.live-text');
    await assertText(text, 'A quasar is the core\n\nof a 星系 galaxy.');
    const figures = tab.page.locator('.play-figures');
    await assertMatch(figures, /9 in, 18 out[^]*tokens\/s[^]*first token[^]*total/);
    await tab.shot('play-done');
    await tab.page.getByText('In the logs').click();
    await tab.page.locator('.attempts').getByText('answered (200)').waitFor();
    await tab.page.locator('.facts').getByText('console').waitFor();
    await tab.page.keyboard.press('Escape');
    await tab.go('playground');
    await assertText(text, 'A quasar is the core\n\nof a 星系 galaxy.');
    assert.deepEqual(tab.errors, []);
});

test('stopping closes the connection to the service, and what came stays', async () => {
    const held = new Held(gate, 'gpt-4o');
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await ask(tab, 'Count to a million.');
    await held.send({ content: 'one, two' });
    await answers(tab).getByText('one, two').waitFor();
    await tab.page.getByRole('button', { name: 'Stop' }).click();
    await until(() => !held.connection.open, { what: () => 'the end of the connection' });
    await ended(tab, 'Stopped');
    // The way of a stopped request is known to the logs too.
    await steps(tab).getByText('Account: openai/0').waitFor();
    gate.rig.mock.when('gpt-4o', () => completion('three', chats(gate).at(-1).json));
    await ask(tab, 'Go on.');
    await answers(tab).nth(1).getByText('three').waitFor();
    const sent = chats(gate).at(-1).json.messages;
    assert.deepEqual(sent[1], { role: 'assistant', content: 'one, two' });
    assert.deepEqual(tab.errors, []);
});

test('a request that is stopped before anything came is explained all the same', async () => {
    const held = new Held(gate, 'gpt-4o');
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await ask(tab, 'Nothing comes.');
    await held.began;
    await tab.page.getByRole('button', { name: 'Stop' }).click();
    await until(() => !held.connection.open, { what: () => 'the end of the connection' });
    await steps(tab).getByText('fast → openai/gpt-4o').waitFor();
    await tab.page.getByText('is not sent again with the next one').waitFor();
    gate.rig.mock.when('gpt-4o', () => completion('Good.', chats(gate).at(-1).json));
    await ask(tab, 'Something else.');
    await answers(tab).nth(1).getByText('Good.').waitFor();
    assert.deepEqual(chats(gate).at(-1).json.messages, [{ role: 'user', content: 'Something else.' }]);
    assert.deepEqual(tab.errors, []);
});

test('the whole conversation is sent, with what is set beside it', async () => {
    gate.rig.mock.when('gpt-4o', (request) => completion('Yes.', request.json));
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await tab.page.getByLabel('System prompt').fill('Be brief.');
    await tab.page.getByLabel('Temperature').fill('0.5');
    await tab.page.getByLabel('Max tokens').fill('64');
    await field(tab).fill('x');
    await tab.page.getByLabel('Other parameters').fill('[1]');
    await tab.page.getByText('This is no object in JSON').waitFor();
    await isBlocked(tab);
    await tab.page.getByLabel('Other parameters').fill('{"top_p": 0.9, "stream": "no"}');
    await tab.page.getByLabel('Show the answer as it comes').uncheck();
    await ask(tab, 'First');
    await ended(tab);
    await ask(tab, 'Second');
    await answers(tab).nth(1).locator('.play-figures').waitFor();
    assert.deepEqual(chats(gate).at(-1).json, {
        model: 'gpt-4o',
        messages: [
            { role: 'system', content: 'Be brief.' },
            { role: 'user', content: 'First' },
            { role: 'assistant', content: 'Yes.' },
            { role: 'user', content: 'Second' },
        ],
        temperature: 0.5,
        max_tokens: 64,
        top_p: 0.9,
        stream: false,
    });
    await steps(tab).getByText('5 in, 7 out').waitFor();
    await tab.page.getByRole('button', { name: 'curl' }).last().click();
    const command = await tab.page.locator('#play-curl').innerText();
    assert.match(command, /Bearer \$API_KEY[^]*"model": "fast"[^]*"content": "First"/);
    assert.ok(!command.includes(gate.rig.key), 'a key in the page');
    await tab.page.keyboard.press('Escape');
    await tab.page.getByRole('button', { name: 'Try again' }).click();
    await until(() => chats(gate).length === 3, { what: () => 'the third request' });
    assert.deepEqual(chats(gate).at(-1).json, chats(gate).at(-2).json);
    await tab.page.getByRole('button', { name: 'Clear' }).click();
    await tab.toast('The conversation was cleared');
    await answers(tab).first().waitFor({ state: 'detached' });
    await tab.page.locator('.toast button').click();
    await eventually(async () => assert.equal(await answers(tab).count(), 2));
    assert.deepEqual(tab.errors, []);
});

test('Enter sends, but not with Shift, and not the one that ends a composition', async () => {
    gate.rig.mock.when('gpt-4o', (request) => completion('Yes.', request.json));
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await field(tab).pressSequentially('one');
    await field(tab).press('Shift+Enter');
    await field(tab).pressSequentially('two');
    for (const how of [{ isComposing: true }, { keyCode: 229 }]) {
        await field(tab).evaluate((element, more) => {
            const init = { key: 'Enter', bubbles: true, cancelable: true, ...more };
            element.dispatchEvent(new KeyboardEvent('keydown', init));
        }, how);
    }
    assert.equal(await field(tab).inputValue(), 'one\ntwo');
    await field(tab).press('Enter');
    await answers(tab).getByText('Yes.').waitFor();
    assert.equal(chats(gate).length, 1);
    assert.equal(chats(gate)[0].json.messages[0].content, 'one\ntwo');
    assert.equal(await field(tab).inputValue(), '');
    assert.deepEqual(tab.errors, []);
});

test('errors are shown in words, with what the gateway calls them', async () => {
    const tab = await playground(gate);
    const failure = tab.page.locator('.play-failure');
    await choose(tab, 'fast');
    gate.rig.mock.when('gpt-4o', apiError(400, 'bad_thing', 'That was not understood.'));
    await ask(tab, 'x');
    await failure.getByText('That was not understood.').waitFor();
    for (const word of ['400', 'invalid_request_error', 'bad_thing']) {
        await failure.locator('code', { hasText: word }).waitFor();
    }
    await steps(tab).getByText('request not accepted (400)').waitFor();

    gate.rig.mock.when('gpt-4o', {
        body: streamOf(
            chunkOf({ content: 'Half an ans' }),
            { error: { message: 'The engine broke.', type: 'api_error', code: 'engine' } },
        ),
    });
    await ask(tab, 'y');
    await failure.nth(1).getByText('The engine broke.').waitFor();
    await answers(tab).nth(1).getByText('Half an ans').waitFor();
    await steps(tab).getByText('Failed', { exact: true }).waitFor();

    gate.rig.mock.when('gpt-4o', {
        body: streamOf(chunkOf({ content: 'Cut of' })),
        stopAfter: 190,
        end: 'close',
    });
    await ask(tab, 'z');
    await answers(tab).nth(2).locator('.play-failure').waitFor();
    await tab.shot('play-errors');
    await tab.assertAccessible('errors');
    assert.deepEqual(tab.errors, []);
});

test('answers of whatever stands between, and no answer at all', async () => {
    const tab = await playground(gate);
    await choose(tab, 'fast');
    const event = (delta, finish) => `data: ${JSON.stringify(chunkOf(delta, finish))}\n\n`;
    const stream = (body) => ({ contentType: 'text/event-stream', body });
    const cases = [
        [stream(event({ content: 'half' })), 'The stream ended before the answer was complete.'],
        [stream('data: {"choices\n\n'), 'The answer is not understood: {"choices'],
        [{ status: 502, contentType: 'text/html', body: '<h1>Bad</h1>' }, '502 Bad Gateway'],
        [{ contentType: 'text/html', body: '<h1>Sign in</h1>' }, 'The answer is not understood:'],
        [null, 'The gateway does not answer.'],
    ];
    let at = 0;
    await tab.page.route('**/admin/api/chat', (route) => {
        const [answer] = cases[at] ?? [stream(event({ content: 'whole' }, 'length'))];
        return answer ? route.fulfill(answer) : route.abort();
    });
    for (; at < cases.length; at++) {
        await ask(tab, 'x');
        await answers(tab).nth(at).locator('.play-failure').getByText(cases[at][1]).waitFor();
    }
    await ask(tab, 'x');
    await answers(tab).nth(at).getByText('Cut off: it reached the limit of tokens.').waitFor();
    await steps(tab).getByText('Done', { exact: true }).waitFor();
    assert.deepEqual(tab.errors, []);
});

test('reasoning stands apart and folds up, tool calls are readable', async () => {
    const held = new Held(gate, 'gpt-4o');
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await ask(tab, 'Weather?');
    const call = (index, more) => ({ tool_calls: [{ index, ...more }] });
    await held.send({ reasoning_content: 'They want ' }, { reasoning_content: 'the weather.' });
    const thoughts = tab.page.getByText('They want the weather.');
    await thoughts.waitFor();
    await held.send({ content: 'I look it up.' });
    await answers(tab).getByText('I look it up.').waitFor();
    await thoughts.waitFor({ state: 'hidden' });
    await tab.page.getByText('Reasoning').click();
    await thoughts.waitFor();
    await held.send(
        call(0, { id: 'call_1', type: 'function', function: { name: 'weather', arguments: '' } }),
        call(0, { function: { arguments: '{"city": "Par' } }),
        call(0, { function: { arguments: 'is"}' } }),
        call(1, { id: 'call_2', type: 'function', function: { name: 'clock', arguments: '{}' } }),
    );
    await tab.page.locator('.play-call').nth(1).getByText('clock').waitFor();
    await held.end();
    await ended(tab);
    const first = tab.page.locator('.play-call').first();
    await assertText(first.locator('.live-text'), '{\n  "city": "Paris"\n}');
    await first.getByText('call_1').waitFor();
    await tab.shot('play-tools');
    await tab.assertAccessible('tool calls');
    assert.deepEqual(tab.errors, []);
});

test('a failover is told: who failed, how, and who answered', async () => {
    await gate.addKeyed('off', { enabled: false });
    await gate.addKeyed('main');
    gate.rig.mock.when('gpt-4o', (request) =>
        request.header('authorization').includes('environment')
            ? apiError(429, 'rate_limit_exceeded', 'Too many requests.')
            : completion('Here.', request.json),
    );
    const tab = await playground(gate);
    await choose(tab, 'fast');
    for (let i = 0; i < 2 && (await steps(tab).getByText('rate limited (429)').count()) === 0; i++) {
        await ask(tab, 'x');
        await answers(tab).nth(i).locator('.play-figures').waitFor();
        await answers(tab).nth(i).getByText('Here.').waitFor();
        await steps(tab).getByText('answered (200)').waitFor(); // the rest of its way comes with it
    }
    await steps(tab).getByText('rate limited (429)').waitFor();
    await steps(tab).getByText('went to the next account').waitFor();
    await steps(tab).getByText('Account: main').waitFor();
    await steps(tab).getByText('answered (200)').waitFor();
    const passed = steps(tab).locator('.play-step', { hasText: 'passed by' });
    await assertMatch(passed, /1 account passed by\s+off disabled/);
    await tab.shot('play-failover');
    assert.deepEqual(tab.errors, []);
    await gate.rig.ask('POST', '/accounts/openai%2F0/clear');
});

test('what a service sends is text, never markup', async () => {
    const evil = '<img src=x onerror="document.title=\'gone\'"><b>bold</b>';
    gate.rig.mock.otherwise((request) => {
        const body = {
            body: streamOf(
                chunkOf({ reasoning_content: evil }),
                chunkOf({ content: evil }),
                chunkOf({ tool_calls: [{ index: 0, id: evil, function: { name: evil, arguments: evil } }] }),
                { error: { message: evil, type: evil, code: evil } },
            ),
        };
        return request.method === 'GET' ? completion(evil, {}) : body;
    });
    const tab = await playground(gate);
    await choose(tab, evil);
    await ask(tab, evil);
    await tab.page.locator('.play-failure').getByText(evil).first().waitFor();
    assert.equal(await tab.page.locator('.play img, .play-answer .live-text b').count(), 0);
    assert.equal(await tab.page.locator('.play-question').innerText(), `You asked:\n${evil}`);
    assert.match(await tab.page.title(), /Playground/);
    assert.deepEqual(tab.errors, []);
});

const phrase = 'All work and no play makes a gateway dull, 而且没有意思。 ';
const LONG = {
    'in lines': `${phrase.repeat(12)}\n`.repeat(350),
    'in one line': `${phrase.repeat(3000)}${'没有🚪'.repeat(12_000)}`,
};
const LONGEST_TASK_MS = 500; // a tenth of that is usual

for (const [how, text] of Object.entries(LONG)) {
    test(`200 KB ${how} come fast and leave the page usable`, async () => {
        gate.rig.mock.when('gpt-4o', { body: chatStream(text), cut: { size: 700 } });
        const tab = await playground(gate);
        await choose(tab, 'fast');
        await tab.page.evaluate(() => {
            window.longest = 0;
            new PerformanceObserver((list) => {
                for (const { duration } of list.getEntries()) {
                    window.longest = Math.max(window.longest, duration);
                }
            }).observe({ entryTypes: ['longtask'] });
        });
        await ask(tab, 'Write.');
        await field(tab).fill('typed meanwhile');
        await ended(tab);
        const longest = await tab.page.evaluate(() => window.longest);
        assert.ok(longest < LONGEST_TASK_MS, `a task of ${longest} ms`);
        const isBroken = how === 'in one line'; // for the browser's sake, every 16,000 characters
        await eventually(async () => {
            const shown = await tab.page.locator('.live-text').innerText();
            const whole = isBroken ? shown.replaceAll('\n', '') : shown.trimEnd();
            assert.ok(whole === text.trimEnd(), `${whole.length} of ${text.trimEnd().length} letters`);
            const toEnd = await tab.page
                .locator('.play-talk')
                .evaluate((box) => box.scrollHeight - box.scrollTop - box.clientHeight);
            assert.ok(toEnd < 2, `${toEnd} pixels from the end`);
        });
        assert.deepEqual(tab.errors, []);
    });
}

test('streams may be cut anywhere', async () => {
    const text = '一 two\nthree 🚪 four';
    const stream = chatStream(text).toString().replaceAll('\n', '\r\n');
    gate.rig.mock.when('gpt-4o', { body: `: hello\r\n\r\n${stream}`, cut: 'bytes' });
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await ask(tab, 'x');
    await ended(tab);
    await assertText(tab.page.locator('.live-text'), text);
    assert.deepEqual(tab.errors, []);
});

test('what is served is offered: names of models.lua, and what services list', async () => {
    gate.rig.mock.otherwise((request) =>
        request.method === 'GET'
            ? { body: JSON.stringify({ data: [{ id: 'gpt-4o' }, { id: 'gpt-4.1-mini' }] }) }
            : { body: chatBody('Hello.') },
    );
    const tab = await playground(gate);
    const list = tab.page.locator('.play-composer select');
    await list.locator('option', { hasText: 'gpt-4.1-mini' }).waitFor({ state: 'attached' });
    for (const one of ['fast', 'gpt-4o', 'echo']) {
        await list.locator(`option:text-is("${one}")`).first().waitFor({ state: 'attached' });
    }
    const all = await list.locator('option').allInnerTexts();
    assert.ok(!all.includes('nowhere'), 'what a function decides cannot be known');
    assert.deepEqual(tab.errors, []);
});

test('a session that ends in the middle says so', async () => {
    const held = new Held(gate, 'gpt-4o');
    const tab = await playground(gate);
    await choose(tab, 'fast');
    await ask(tab, 'x');
    await held.send({ content: 'one' });
    await answers(tab).getByText('one').waitFor();
    await gate.rig.ask('DELETE', '/sessions');
    await tab.page.getByText('This session is over').waitFor();
    await held.end().catch(() => {});
});
