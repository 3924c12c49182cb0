// What scripts decide of a target, as the service sees it: edits, tags, strategy, retries, clocks;
// and what they know when they decide: accounts, providers, notes, names of models.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clock, inOrder } from './accounts.mjs';
import { assertError } from './helper.mjs';
import { withRig } from './scripts_rig.mjs';

const route = (body) => ({ 'routing.lua': `return function(req) ${body} end` });
const target = (fields) => route(`return { model = "pool/x", ${fields} }`);
const sent = (rig) => rig.upstream.requests.at(-1);
const failing = { status: 500, body: '{"error":{"message":"down"}}' };

test('edits of headers and of the body reach the service, and nothing else changes', () =>
    withRig(
        {
            files: target(`
                headers = { ["x-tier"] = "gold", ["x-team"] = false },
                body = {
                    set = { temperature = 0, ["metadata"] = { a = { 1, 2 } }, note = "ü\\"" },
                    remove = { "user" },
                    append_system = "Be brief.",
                    max_tokens = 100,
                }`),
        },
        async (rig) => {
            const messages = [
                { role: 'system', content: 'You help.' },
                { role: 'user', content: 'Hi  there' },
            ];
            await rig.chat('m', { messages, user: 'u', temperature: 1, max_tokens: 500, seed: 7 });
            const { model, temperature, metadata, note, user, max_tokens: max, seed, ...rest } =
                sent(rig).json;
            assert.deepEqual(
                [model, temperature, metadata, note, user, max, seed],
                ['x', 0, { a: [1, 2] }, 'ü"', undefined, 100, 7],
            );
            assert.equal(rest.messages.length, 2);
            const system = rest.messages[0].content;
            assert.ok(system.startsWith('You help.') && system.endsWith('Be brief.'), system);
            assert.deepEqual(rest.messages[1], messages[1]);
            assert.equal(sent(rig).header('x-tier'), 'gold');
            assert.equal(sent(rig).header('authorization'), 'Bearer sk-account-a-0a1b2c3d4e');
            // Without a system text, without max_tokens, as a stream; a lower limit is left alone.
            await rig.chat('m', { stream: true });
            assert.deepEqual(sent(rig).json.messages[0].role, 'system');
            assert.match(sent(rig).json.messages[0].content, /Be brief\./);
            await rig.chat('m', { max_tokens: 50 });
            assert.equal(sent(rig).json.max_tokens, 50);
        },
    ));

test('edits are those of the target that is asked', () =>
    withRig(
        {
            files: {
                ...route(`return {
                    { model = "pool/one", headers = { ["x-n"] = "1" }, body = { set = { seed = 1 } } },
                    { model = "pool/two", body = { set = { seed = 2 } } },
                }`),
                'accounts.lua': inOrder('on_error = function() return "next_target" end'),
            },
        },
        async (rig) => {
            rig.upstream.next('a', failing);
            assert.match(await rig.chat(), /^[ab]$/);
            const [first, second] = rig.upstream.requests;
            assert.deepEqual([first.json.model, first.json.seed, first.header('x-n')], ['one', 1, '1']);
            assert.deepEqual(
                [second.json.model, second.json.seed, second.header('x-n')],
                ['two', 2, undefined],
            );
        },
    ));

test('tags, strategy and retries of a target', () =>
    withRig({ files: {} }, async (rig) => {
        await rig.publish({
            'gateway.lua': rig.config({}, ['a', { alias: 'b', tags: ['paid', 'eu'] }, 'c']),
        });
        await rig.publish(target('tags = { "paid", "eu" }'));
        assert.deepEqual([await rig.chat(), await rig.chat()], ['b', 'b']);
        await rig.publish(target('tags = { "paid", "us" }'));
        assert.match(await rig.chat(), /^(429|503) /);
        // A conversation stays where it is, though the file says otherwise.
        await rig.publish({
            ...target('strategy = "sticky"'),
            'accounts.lua': 'return { strategy = "round_robin" }',
        });
        const names = [];
        for (let i = 0; i < 6; i++) {
            names.push(await rig.chat());
        }
        assert.equal(new Set(names).size, 1, names.join());
        for (const [retries, asked] of [
            [0, 1],
            [1, 2],
            [2, 3],
        ]) {
            await rig.publish({
                ...target(`retries = ${retries}`),
                'accounts.lua': inOrder('on_error = function() return { cooldown_ms = 0 } end'),
            });
            for (const name of ['a', 'b', 'c']) {
                rig.upstream.next(name, failing);
            }
            rig.upstream.forget();
            assert.match(await rig.chat(), retries < 3 ? /^50\d / : /./);
            assert.equal(rig.upstream.asked.length, asked, `retries = ${retries}`);
            rig.upstream.coming.clear();
        }
    }));

test('clocks of a target', () =>
    withRig({ files: target('first_token_ms = 60, retries = 0') }, async (rig) => {
        const hold = rig.upstream.hold('a');
        assertError(await rig.gateway.chat('m'), 504, { message: /within 60 ms \(first_token_ms\)/ });
        hold.release();
    }));

test('reject: status, code, message, when to come again, and the reason', () =>
    withRig(
        {
            files: route(`if req.model == "plain" then return { reject = { status = 429 } } end
                return {
                    reject = {
                        status = 402, code = "no_money", message = "Pay first.",
                        retry_after_ms = 90000,
                    },
                    reason = "unpaid",
                }`),
        },
        async (rig) => {
            const answer = await rig.gateway.chat('m', { stream: true }, {
                headers: { 'x-request-id': 'rejected-1' },
            });
            assertError(answer, 402, { code: 'no_money', message: 'Pay first.' });
            assert.equal(answer.headers['retry-after'], '90');
            assertError(await rig.gateway.chat('plain'), 429, { code: 'rejected' });
            assert.equal(rig.upstream.asked.length, 0);
            const { request } = (
                await rig.gateway.call({ method: 'GET', path: '/admin/api/requests/rejected-1' })
            ).json;
            assert.deepEqual(
                [request.reason, request.outcome, request.generation, request.attempts],
                ['unpaid', 'rejected', 1, []],
            );
        },
    ));

test('on_response: what it is told, and the rest that it gives', () => {
    const clock = new Clock();
    return withRig(
        {
            workers: 1,
            env: { LLM_GATE_CLOCK_FILE: clock.path },
            files: {
                'accounts.lua': `return { on_response = function(r, attempt, req)
                    gate.log("info", table.concat({ "told", r.status, tostring(r.stream),
                        r.prompt_tokens, r.completion_tokens, tostring(r.estimated),
                        tostring(r.total_ms >= 0), tostring(r.headers["x-ratelimit-remaining-requests"]),
                        attempt.account, attempt.model, req.model }, "|"))
                    if r.headers["x-ratelimit-remaining-requests"] == "0" then
                        return { cooldown_ms = 60000 }
                    end
                end }`,
            },
        },
        async (rig) => {
            clock.at(0);
            rig.upstream.next('a', {
                headers: { 'X-RateLimit-Remaining-Requests': '0', 'Content-Type': 'application/json' },
                body: JSON.stringify({
                    choices: [{ index: 0, message: { role: 'assistant', content: 'x' } }],
                    usage: { prompt_tokens: 3, completion_tokens: 4, total_tokens: 7 },
                }),
            });
            assert.equal(await rig.chat(), 'x');
            await rig.gateway.waitLog('told|200|false|3|4|false|true|0|pool/a|m|m');
            assert.deepEqual([await rig.chat(), await rig.chat(), await rig.chat()], ['b', 'b', 'b']);
            clock.at(61000);
            assert.ok([await rig.chat(), await rig.chat()].includes('a'));
        },
    );
});

test('gate.accounts and gate.provider: an account that cools is seen by the next request', () => {
    const clock = new Clock();
    const files = route(`
        local states = {}
        for _, a in ipairs(gate.accounts("pool")) do
            states[#states + 1] = a.alias .. "=" .. a.state .. (a.until_ms and "+" or "")
        end
        local p = gate.provider("pool")
        return { model = "pool/x", reason = table.concat(states, " ") ..
            (" %d/%d %d"):format(p.serving, p.accounts, p.requests_day) }`);
    return withRig({ files, workers: 1, env: { LLM_GATE_CLOCK_FILE: clock.path } }, async (rig) => {
        const reason = async () => {
            const answer = await rig.gateway.chat('m', {}, { headers: { 'x-gate-explain': '1' } });
            return JSON.parse(answer.headers['x-gate-explain']).reason;
        };
        clock.at(0);
        assert.equal(await reason(), 'a=serving b=serving 2/2 0');
        rig.upstream.next('b', { status: 429, headers: { 'Retry-After': '60' }, body: '' });
        assert.equal(await reason(), 'a=serving b=serving 2/2 1');
        assert.equal(await reason(), 'a=serving b=limited+ 1/2 2');
        clock.at(61000);
        assert.match(await reason(), /^a=serving b=serving 2\/2 /);
    });
});

test('gate.kv, gate.counter: kept over generations; gate.hash: a canary by percent', () =>
    withRig({ files: {}, workers: 1 }, async (rig) => {
        await rig.publish(route('gate.kv.set("last", req.model, 60000)'));
        await rig.chat('first');
        const say = 'return { reject = { status = 418, message = tostring(gate.kv.get("last")) } }';
        await rig.publish(route(say));
        assert.equal(await rig.chat('second'), '418 first');
        await rig.publish(
            route('return gate.hash(req.model) % 100 < 20 and "pool/canary" or "pool/stable"'),
        );
        let canary = 0;
        for (let i = 0; i < 100; i++) {
            await rig.chat(`conversation-${i}`);
            canary += sent(rig).json.model === 'canary';
        }
        assert.ok(canary >= 8 && canary <= 35, `${canary}`);
    }));

test('models: by exact name, by pattern, by function; aliases are listed', () =>
    withRig(
        {
            files: {
                'models.lua': `return {
                    ["gpt-4o"] = "pool/exact",
                    ["gpt-*"] = "pool/star-*",
                    ["gpt-4-?"] = "pool/one",
                    ["by-function"] = function(name) return "pool/of-" .. name end,
                    function(name)
                        if name:find("^team%-") then return "pool/" .. name:sub(6) end
                    end,
                }`,
            },
        },
        async (rig) => {
            const asked = async (model) => {
                await rig.chat(model);
                return sent(rig).json.model;
            };
            assert.equal(await asked('gpt-4o'), 'exact');
            assert.equal(await asked('gpt-5-mini'), 'star-5-mini');
            assert.equal(await asked('gpt-4-x'), 'one');
            assert.equal(await asked('by-function'), 'of-by-function');
            assert.equal(await asked('team-blue'), 'blue');
            assert.equal(await asked('other'), 'other');
            const list = async () => {
                const { data } = (await rig.gateway.call({ method: 'GET', path: '/v1/models' })).json;
                return data.map(({ id }) => id);
            };
            const names = await list();
            assert.ok(names.includes('gpt-4o') && names.includes('by-function'), names.join());
            assert.ok(!(await list()).some((id) => id.includes('*') || id.includes('?')));
            await rig.publish({ 'models.lua': 'return { ["later"] = "pool/x" }' });
            assert.ok((await list()).includes('later') && !(await list()).includes('gpt-4o'));
        },
    ));
