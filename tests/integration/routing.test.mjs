// Which upstream gets a request, under which model name, and with which bytes.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { capture } from '../upstream/recordings.mjs';
import { chatStream } from '../upstream/scenarios.mjs';
import { API_KEY, UPSTREAM_KEY, assertError, chatRequest } from './helper.mjs';
import { QWEN_KEY, startTwoUpstreams } from './two_upstreams.mjs';

const { openai, qwen, using, stop } = await startTwoUpstreams();
after(stop);

test('mapped names, instance/model, claims, and the one that takes every name', () =>
    using(
        {
            env: {
                MODEL_MAPPINGS:
                    '{"research":"qwen3-max","other":"openai/gpt-x","echo2":"echo/echo"}',
            },
        },
        async (gateway) => {
            const cases = [
                ['research', qwen, 'qwen3-max'],
                ['other', openai, 'gpt-x'],
                ['qwen/some-new-model', qwen, 'some-new-model'],
                ['openai/qwen3-max', openai, 'qwen3-max'],
                ['qwen3-coder-plus', qwen, 'qwen3-coder-plus'],
                ['gpt-anything', openai, 'gpt-anything'],
                ['vendor/with/slashes', openai, 'vendor/with/slashes'],
            ];
            for (const [name, mock, model] of cases) {
                const seen = [openai.requests.length, qwen.requests.length];
                const answer = await gateway.chat(name);
                assert.equal(answer.status, 200, `${name}: ${answer.text}`);
                assert.equal(mock.last.model, model, name);
                const now = [openai.requests.length, qwen.requests.length];
                assert.equal(now[0] + now[1], seen[0] + seen[1] + 1, name);
            }
            const echo = await gateway.chat('echo2');
            assert.equal(echo.json.choices[0].message.content, 'Say hello.');
            assert.equal(qwen.last.path, '/compatible-mode/v1/chat/completions');
            assert.equal(openai.last.path, '/v1/chat/completions');
        },
    ));

test('the default mapping', () =>
    using({ env: { DASHSCOPE_API_KEY: undefined } }, async (gateway) => {
        assert.equal((await gateway.chat('research-model-v1')).status, 200);
        assert.equal(openai.last.model, 'coder-model');
    }));

test("what the upstream gets: its own key, and nothing of the client's", () =>
    using({}, async (gateway) => {
        await gateway.chat(
            'gpt-x',
            {},
            {
                headers: {
                    cookie: 'session=1',
                    'x-forwarded-for': '10.0.0.1',
                    'x-api-key': API_KEY,
                    'proxy-authorization': 'Basic x',
                    origin: 'https://app.example',
                },
            },
        );
        await gateway.chat('qwen3-max');
        for (const [mock, key] of [
            [openai, UPSTREAM_KEY],
            [qwen, QWEN_KEY],
        ]) {
            const request = mock.last;
            assert.deepEqual(request.all('authorization'), [`Bearer ${key}`]);
            assert.deepEqual(request.all('host'), [`127.0.0.1:${mock.port}`]);
            assert.deepEqual(request.all('content-type'), ['application/json']);
            assert.deepEqual(request.all('content-length'), [String(request.body.length)]);
            assert.equal(request.header('transfer-encoding'), undefined);
            assert.equal(request.header('expect'), undefined);
            for (const name of [
                'cookie',
                'x-forwarded-for',
                'x-api-key',
                'proxy-authorization',
                'origin',
            ]) {
                assert.equal(request.header(name), undefined, name);
            }
            assert.ok(!request.rawHead.includes(API_KEY));
            const names = request.headers.map(([name]) => name.toLowerCase());
            assert.equal(new Set(names).size, names.length, names.join());
        }
    }));

const odd =
    '\n{ "messages" : [ {"role":"user","content":"a \\u00e9 \\/ \u{1f600}"} ] ,' +
    '\t"temperature":1.0e0,' +
    '"model" :  "NAME"  , "x":{"model":"inner"}, "y":[1, 2,{}],"z":0.10 }\n ';

test('an unchanged body arrives byte for byte', () =>
    using({}, async (gateway) => {
        const body = odd.replace('NAME', 'gpt-4.1');
        assert.equal((await gateway.call({ body })).status, 200);
        assert.equal(openai.last.body.toString(), body);
    }));

test('a mapped body differs in the model only', () =>
    using(
        {
            env: { MODEL_MAPPINGS: '{"short":"a-much-longer-model-name","a-longer-name":"b"}' },
        },
        async (gateway) => {
            for (const [name, model] of [
                ['short', 'a-much-longer-model-name'],
                ['a-longer-name', 'b'],
                ['openai/gpt-x', 'gpt-x'],
                ['sho\\u0072t', 'a-much-longer-model-name'],
            ]) {
                await gateway.call({ body: odd.replace('NAME', name) });
                assert.equal(openai.last.body.toString(), odd.replace('NAME', model), name);
            }
        },
    ));

test('captured requests of real clients arrive byte for byte', (t) =>
    using({}, async (gateway) => {
        const names = [
            'qwen-01.json',
            'qwen-agent-06.json',
            'opencode-agent-07.json',
            'opencode-long-26.json',
        ];
        let ran = 0;
        for (const name of names) {
            const body = capture(name);
            if (!body) {
                continue;
            }
            const { model, stream } = JSON.parse(body);
            for (const mock of [openai, qwen]) {
                mock.otherwise(stream ? { body: chatStream('ok') } : { body: '{"choices":[]}' });
            }
            const seen = openai.requests.length + qwen.requests.length;
            const answer = await gateway.call({ body });
            assert.equal(answer.status, 200, `${name}: ${answer.text}`);
            const got = [openai, qwen].find((mock) => mock.last?.body.equals(body));
            assert.ok(got, `${name} (${model}) was changed`);
            assert.equal(openai.requests.length + qwen.requests.length, seen + 1);
            ran++;
        }
        t.diagnostic(`captured requests: ${ran}`);
    }));

test('GET /v1/models: mappings and the models of all providers, none twice', () =>
    using(
        {
            env: { MODEL_MAPPINGS: '{"research":"qwen3-max"}' },
        },
        async (gateway) => {
            const answer = await gateway.call({ method: 'GET', path: '/v1/models' });
            assert.equal(answer.status, 200);
            assert.equal(answer.json.object, 'list');
            const ids = answer.json.data.map((model) => model.id);
            for (const id of ['research', 'echo', 'qwen3-max', 'qwen3-coder-plus']) {
                assert.ok(ids.includes(id), `${id} in ${ids}`);
            }
            assert.equal(new Set(ids).size, ids.length);
            for (const model of answer.json.data) {
                assert.equal(model.object, 'model');
                assert.equal(typeof model.owned_by, 'string');
                assert.equal(typeof model.created, 'number');
            }
        },
    ));

test('models.lua maps names; MODEL_MAPPINGS wins', () =>
    using(
        {
            conf: {
                'models.lua': 'return { fast = "openai/from-file", slow = "openai/slow-file" }',
            },
            env: { MODEL_MAPPINGS: '{"fast":"openai/from-env"}' },
        },
        async (gateway) => {
            await gateway.chat('fast');
            assert.equal(openai.last.model, 'from-env');
            await gateway.chat('slow');
            assert.equal(openai.last.model, 'slow-file');
        },
    ));

const image = {
    messages: [
        {
            role: 'user',
            content: [
                { type: 'text', text: 'what?' },
                { type: 'image_url', image_url: { url: 'data:image/png;base64,AAAA' } },
            ],
        },
    ],
};

test('route(req) sees what it is promised', () =>
    using(
        {
            conf: {
                'gateway.lua': 'return { route_headers = { "X-Team" } }',
                'routing.lua': `
            return function(req)
                local function s(v) return tostring(v) end
                return "openai/" .. table.concat({ req.model, s(req.stream), s(req.messages),
                    s(req.tools), s(req.has_tools), s(req.has_images), s(req.body_bytes),
                    s(req.max_tokens), s(req.path), s(req.headers["x-team"]),
                    s(req.headers["x-other"]) }, ",")
            end`,
            },
        },
        async (gateway) => {
            const tool = { type: 'function', function: { name: 'f', parameters: {} } };
            const requests = [
                [{ model: 'm', messages: [] }, {}, 'false', 0, 0, 'false', 'false', 'nil'],
                [
                    { ...chatRequest('m'), stream: true },
                    { 'x-team': 'red', 'x-other': '1' },
                    'true',
                    1,
                    0,
                    'false',
                    'false',
                    'red',
                ],
                [
                    { ...chatRequest('m'), tools: [tool, tool] },
                    { 'X-TEAM': 'blue' },
                    'false',
                    1,
                    2,
                    'true',
                    'false',
                    'blue',
                ],
                [{ model: 'm', ...image }, {}, 'false', 1, 0, 'false', 'true', 'nil'],
            ];
            for (const [
                body,
                headers,
                stream,
                messages,
                tools,
                hasTools,
                hasImages,
                team,
            ] of requests) {
                const bytes = Buffer.byteLength(JSON.stringify(body));
                const answer = await gateway.call({ body, headers });
                assert.equal(answer.status, 200, answer.text);
                const got = openai.last.model.split(',');
                assert.deepEqual(
                    [...got.slice(0, 7), ...got.slice(8)],
                    [
                        'm',
                        stream,
                        String(messages),
                        String(tools),
                        hasTools,
                        hasImages,
                        String(bytes),
                        '/v1/chat/completions',
                        team,
                        'nil',
                    ],
                );
            }
        },
    ));

test('routes by header, size and images', () =>
    using(
        {
            conf: {
                'gateway.lua': 'return { route_headers = { "x-team" } }',
                'routing.lua': `
            return {
                route = function(req)
                    if req.headers["x-team"] == "research" then return "qwen/qwen3-max" end
                    if req.has_images then return { model = "openai/vision" } end
                    if req.body_bytes > 2000 then return { "openai/large" } end
                    return nil
                end,
            }`,
            },
        },
        async (gateway) => {
            await gateway.chat('gpt-x', {}, { headers: { 'x-team': 'research' } });
            assert.equal(qwen.last?.model, 'qwen3-max');
            await gateway.chat('gpt-x', image);
            assert.equal(openai.last.model, 'vision');
            await gateway.chat('gpt-x', { user: 'x'.repeat(3000) });
            assert.equal(openai.last.model, 'large');
            await gateway.chat('gpt-x');
            assert.equal(openai.last.model, 'gpt-x');
        },
    ));

test('a script error: 500 with a code, file:line in the log, and the worker lives on', () =>
    using(
        {
            conf: {
                'routing.lua': `return function(req)
            if req.model == "nil" then
                return req.nothing.at_all
            elseif req.model == "type" then
                return 5
            elseif req.model == "loop" then
                while true do end
            elseif req.model == "memory" then
                local t = {}
                for i = 1, 1e9 do t[i] = ("x"):rep(1000) .. i end
            elseif req.model == "deep" then
                local function f() return 1 + f() end
                f()
            elseif req.model == "write" then
                req.model = "other"
            elseif req.model == "swallow" then
                while true do pcall(function() while true do end end) end
            elseif req.model == "reach" then
                return tostring(os or io or debug or load or require "os")
            end
            return nil
        end`,
            },
        },
        async (gateway) => {
            for (const model of [
                'nil',
                'type',
                'loop',
                'memory',
                'deep',
                'write',
                'swallow',
                'reach',
            ]) {
                const id = `script-${model}`;
                const answer = await gateway.chat(model, {}, { headers: { 'x-request-id': id } });
                const error = assertError(
                    answer,
                    500,
                    { type: 'server_error', code: 'script_error' },
                    model,
                );
                assert.ok(!/routing\.lua/.test(error.message), error.message);
                await gateway.waitLog(new RegExp(`${id}.*routing\\.lua(:\\d+)?`));
                const said = gateway.log
                    .split('\n')
                    .find((l) => l.includes(id) && l.includes('routing.lua'));
                assert.match(said, model === 'type' ? /routing\.lua/ : /routing\.lua:\d+/);
                assert.equal((await gateway.chat('gpt-x')).status, 200);
            }
            assert.equal(openai.requests.length, 8);
        },
    ));

test('the shipped configuration changes nothing by itself', () =>
    using({ conf: 'shipped' }, async (gateway) => {
        await gateway.chat('gpt-x');
        assert.equal(openai.last.model, 'gpt-x');
        await gateway.chat('qwen3-max');
        assert.equal(qwen.last.model, 'qwen3-max');
        assert.equal((await gateway.chat('echo')).status, 200);
    }));

test('a model with control characters is refused before any script sees it', () =>
    using({ conf: { 'routing.lua': 'return function() error("seen") end' } }, async (gateway) => {
        for (const model of ['a\nb', '\u0001', 'a\u007f']) {
            const answer = await gateway.chat(model);
            assertError(answer, 400, { param: 'model', message: /control characters/ });
        }
    }));
