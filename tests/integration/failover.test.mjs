// A list of targets: when the next one is tried, and when not.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { broken, chatStream, inStream, pages, refusals } from '../upstream/scenarios.mjs';
import { assertError, closedPort, noCooldown, textOf } from './helper.mjs';
import { startTwoUpstreams } from './two_upstreams.mjs';

const { openai, qwen, using, stop } = await startTwoUpstreams();
after(stop);

test("a list of targets falls to the next on failures that are not the client's", () =>
    using(
        {
            conf: {
                ...noCooldown,
                'routing.lua': 'return function() return { "qwen/a", "openai/b" } end',
            },
        },
        async (gateway) => {
            const failures = {
                'invalid-token': refusals['invalid-token'],
                'free-quota': refusals['free-quota'],
                'rate-limit-empty': refusals['rate-limit-empty'],
                'server-error': refusals['server-error'],
                'html-200': pages['html-200'],
                'captcha-json': pages['captcha-json'],
                'reset-at-once': broken['reset-at-once'],
                'close-before-body': broken['close-before-body'],
                'event-error': inStream['event-error'],
            };
            for (const [name, scenario] of Object.entries(failures)) {
                qwen.otherwise(scenario); // also for the second try on a new connection
                openai.push({ body: chatStream('second') });
                const answer = await gateway.chat('m', { stream: true });
                assert.equal(answer.status, 200, `${name}: ${answer.text}`);
                assert.equal(answer.text, chatStream('second').toString(), name);
            }
            qwen.push(refusals['input-length']);
            const seen = openai.requests.length;
            assertError(await gateway.chat('m'), 400);
            assert.equal(
                openai.requests.length,
                seen,
                'a request that is wrong is not tried elsewhere',
            );
        },
    ));

test('a list of targets falls to the next when the first cannot be reached', async () => {
    const port = await closedPort();
    await using(
        {
            conf: { 'routing.lua': 'return function() return { "qwen/a", "openai/b" } end' },
            env: { DASHSCOPE_BASE_URL: `http://127.0.0.1:${port}/v1` },
        },
        async (gateway) => {
            for (const stream of [false, true]) {
                openai.push({ body: stream ? chatStream('from b') : '{"choices":[],"who":"b"}' });
                const answer = await gateway.chat('m', { stream });
                assert.equal(answer.status, 200, answer.text);
                assert.equal(openai.last.model, 'b');
                if (stream) {
                    assert.equal(textOf(answer.text), 'from b');
                }
            }
        },
    );
});

test('no other target once the answer has begun', () =>
    using(
        {
            conf: { 'routing.lua': 'return function() return { "qwen/a", "openai/b" } end' },
        },
        async (gateway) => {
            qwen.push(broken['reset-in-body']);
            const answer = await gateway.chat('m', { stream: true });
            assert.equal(answer.status, 200);
            assert.match(answer.text, /"error"/);
            assert.equal(openai.requests.length, 0);
        },
    ));

test('when every target fails the client is told what each of them said', () =>
    using(
        {
            conf: { 'routing.lua': 'return function() return { "qwen/a", "openai/b" } end' },
        },
        async (gateway) => {
            qwen.push(refusals['server-error']);
            openai.push(refusals['rate-limit']);
            assertError(await gateway.chat('m'), 502, {
                type: 'upstream_error',
                code: 'accounts_failed',
                message: /qwen\/0: overloaded \(.*openai\/0: rate_limited \(Too many requests\)/,
            });
        },
    ));

test('targets that do not exist are skipped; when none exists it is a 404', () =>
    using(
        {
            conf: {
                'routing.lua': `return function(req)
            if req.model == "some" then return { "nowhere", "echo" } end
            return "nowhere"
        end`,
            },
            env: { OPENAI_API_KEY: undefined, OPENAI_BASE_URL: undefined },
        },
        async (gateway) => {
            const answer = await gateway.chat('some');
            assert.equal(answer.json.choices[0].message.content, 'Say hello.');
            assertError(await gateway.chat('none'), 404, {
                code: 'model_not_found',
                message: /nowhere/,
            });
        },
    ));

test('clocks of one target', () =>
    using(
        {
            conf: {
                'routing.lua': `return function()
            return { { model = "qwen/a", first_token_ms = 200 }, "openai/b" }
        end`,
            },
        },
        async (gateway) => {
            qwen.push({ raw: '', end: 'stall' });
            const answer = await gateway.chat('m');
            assert.equal(answer.status, 200, answer.text);
            assert.equal(openai.last.model, 'b');
        },
    ));
