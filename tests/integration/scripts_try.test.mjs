// Trying scripts before they serve: POST /scripts/route, dry runs, policy tests; by the admin API
// and by the commands route, dry-run and check.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Clock, instance, lua } from './accounts.mjs';
import { assertError, binary, confDir, inParallel, run, sanitized } from './helper.mjs';
import { saying, withRig } from './scripts_rig.mjs';

// Runs a command beside the gateway of that rig, or in its place.
function command(rig, args, env = {}) {
    return run(args, {
        env: {
            ...rig.options.env,
            API_KEY: rig.key,
            LLM_GATE_DATA_DIR: rig.dataDir,
            LLM_GATE_LISTEN: `127.0.0.1:${rig.gateway.port}`,
            ...env,
        },
    });
}

const decide = async (rig, body) => (await rig.ask('POST', '/route', body)).decision;
const dryRun = async (rig, files, more = {}) =>
    (await rig.ask('POST', '/dry-run', { files, ...more })).dry_run;

// ---------------------------------------------------------------- route

// Goes by everything that a request may have, and says by what.
const BY_FACTS = `return function(req)
    local function to(model, why) return { model = "pool/" .. model, reason = why } end
    if req.stream then return to("s", "stream") end
    if req.has_images then return to("i", "images") end
    if req.tools > 2 then return to("t", "tools " .. req.tools) end
    if req.messages > 10 then return to("l", "messages") end
    if req.max_tokens > 100 then return to("x", "max_tokens") end
    if req.key == "lab" then return to("k", "key") end
    if req.path ~= "/v1/chat/completions" then return to("p", req.path) end
    if req.headers["x-team"] == "blue" then return to("h", "header") end
    if req.prompt_tokens >= 1000 then return to("b", "prompt " .. req.prompt_tokens) end
    if gate.time().year == 2031 then return to("y", "year") end
end`;

test('route: by every fact of a request, by API and command', () =>
    withRig({ files: { 'routing.lua': BY_FACTS } }, async (rig) => {
        await rig.publish({ 'gateway.lua': rig.config({ route_headers: ['x-team'] }) });
        const cases = [
            [{ stream: true }, ['--stream'], 's', 'stream'],
            [{ has_images: true }, ['--images'], 'i', 'images'],
            [{ tools: 3 }, ['--tools', '3'], 't', 'tools 3'],
            [{ messages: 11 }, ['--messages', '11'], 'l', 'messages'],
            [{ max_tokens: 101 }, ['--max-tokens', '101'], 'x', 'max_tokens'],
            [{ key: 'lab' }, ['--key', 'lab'], 'k', 'key'],
            [{ path: '/v1/other' }, ['--path', '/v1/other'], 'p', '/v1/other'],
            [{ headers: { 'X-Team': 'blue' } }, ['--header', 'X-Team=blue'], 'h', 'header'],
            [{ prompt_tokens: 1000 }, ['--tokens', '1000'], 'b', 'prompt 1000'],
            [{ body_bytes: 8000 }, null, 'b', 'prompt 2000'],
            [{ now: 1940000000000 }, ['--at', '1940000000000'], 'y', 'year'],
            [{}, [], 'm', undefined],
        ];
        for (const [body, args, model, reason] of cases) {
            const d = await decide(rig, { model: 'm', ...body });
            const where = JSON.stringify([body, d]);
            assert.deepEqual([d.outcome, d.provider, d.model, d.reason], ['routed', 'pool', model, reason], where);
            assert.deepEqual(d.accounts, ['pool/a', 'pool/b']);
            if (args) {
                const { code, stdout } = await command(rig, ['route', '--model', 'm', ...args]);
                assert.equal(code, 0, stdout);
                assert.match(stdout, /^outcome +routed$/m);
                assert.match(stdout, new RegExp(`^targets +1\\. pool/${model}$`, 'm'));
                assert.match(stdout, /^accounts +1\. pool\/a\n +2\. pool\/b$/m);
                assert.match(stdout, /^scripts +2$/m);
                assert.equal(/^reason +(.*)$/m.exec(stdout)?.[1], reason);
            }
        }
        // Nothing was sent.
        assert.equal(rig.upstream.asked.length, 0);
    }));

test('route: rejections, unknown models, no account, errors, a draft', () =>
    withRig(
        {
            files: {
                'routing.lua': `return function(req)
                    if req.model == "no" then
                        return { reject = { status = 451, message = "not here" } }
                    end
                    if req.model == "bad" then local x = nil; return x.y end
                    return { { model = "pool/" .. req.model, tags = { "none" } }, "echo" }
                end`,
            },
        },
        async (rig) => {
            const rejected = await decide(rig, { model: 'no' });
            assert.deepEqual(
                [rejected.outcome, rejected.status, rejected.message],
                ['rejected', 451, 'not here'],
            );
            const error = await decide(rig, { model: 'bad' });
            assert.equal(error.outcome, 'error');
            assert.match(error.message, /^routing\.lua:5: /);
            assert.match(error.stack, /routing\.lua:5/);
            const second = await decide(rig, { model: 'm' });
            assert.deepEqual([second.provider, second.account], ['echo', 'echo/0']);
            assert.deepEqual(
                second.targets.map(({ provider, model }) => `${provider}/${model}`),
                ['pool/m', 'echo/echo'],
            );
            const draft = await rig.ask('POST', '/route', {
                model: 'm',
                files: { 'routing.lua': 'return function() return "nobody/x" end',
                    'gateway.lua': 'return { echo = false }' },
            });
            assert.deepEqual([draft.generation, draft.decision.outcome], [null, 'unknown_model']);
            assert.equal(await rig.running(), 1);
            await rig.gateway.call({ method: 'PATCH', path: '/admin/api/accounts/pool/a', body: { enabled: false } });
            await rig.gateway.call({ method: 'PATCH', path: '/admin/api/accounts/pool/b', body: { enabled: false } });
            const none = await decide(rig, { model: 'm', files: { 'routing.lua': null } });
            assert.equal(none.outcome, 'no_account');
            const refused = await rig.call('POST', '/route', {
                model: 'm',
                files: { 'routing.lua': 'return function(' },
            });
            assertError(refused, 422, { code: 'invalid_scripts', message: /routing\.lua:1/ });
            assert.equal(refused.json.problems[0].file, 'routing.lua');
        },
    ));

test('llm-gate route: with a directory, without a gateway, and wrongly called', () =>
    withRig({}, async (rig) => {
        const dir = confDir({ ...rig.disk(), 'routing.lua': saying('of DIR') });
        const beside = await command(rig, ['route', '--model', 'm', dir]);
        assert.equal(beside.code, 0, beside.output);
        assert.match(beside.stdout, /^outcome +rejected\nstatus +418\nmessage +of DIR$/m);
        const broken = confDir({ 'routing.lua': 'return function(\n' });
        const wrong = await command(rig, ['route', '--model', 'm', broken]);
        assert.equal(wrong.code, 1);
        assert.match(wrong.stderr, /routing\.lua:1/);
        for (const [args, code, message] of [
            [['route'], 2, /--model is missing/],
            [['route', '--model'], 2, /--model/],
            [['route', '--model', 'm', '--tokens', 'many'], 1,
                /--tokens: "many" is no whole number/],
            [['route', '--model', 'm', '--header', 'x'], 1, /NAME=TEXT/],
            [['route', '--model', 'm', '/nonexistent'], 1, /is not a directory/],
            [['route', '--colour'], 2, /--colour/],
            [['dry-run'], 2, /DIR is missing/],
            [['dry-run', '/nonexistent'], 1, /is not a directory/],
        ]) {
            const result = await command(rig, args);
            assert.equal(result.code, code, `${args}: ${result.output}`);
            assert.match(result.stderr, message);
        }
        for (const name of ['route', 'dry-run']) {
            const { code, stdout } = await command(rig, [name, '--help']);
            assert.equal(code, 0);
            assert.match(stdout, new RegExp(`^Usage: llm-gate ${name} `));
        }
        await rig.gateway.stop();
        const alone = await command(rig, ['route', '--model', 'm', '--json']);
        assert.equal(alone.code, 0, alone.output);
        const { decision, generation } = JSON.parse(alone.stdout);
        assert.deepEqual([decision.account, generation], ['pool/a', 1]);
        const withDir = await command(rig, ['route', '--model', 'm', dir]);
        assert.match(withDir.stdout, /message +of DIR/);
        const dry = await command(rig, ['dry-run', dir]);
        assert.equal(dry.code, 1);
        assert.match(dry.stderr, /no gateway runs/);
        rig.gateway.exit = { code: 0, signal: null };
    }));

// ---------------------------------------------------------------- dry runs

test('dry run: which requests would change what', () =>
    withRig({}, async (rig) => {
        const models = ['to-model', 'to-provider', 'to-nowhere', 'fails', 'stays', 'stays'];
        for (const model of models) {
            assert.match(await rig.chat(model), /^[ab]$/);
        }
        rig.upstream.forget();
        const draft = {
            'routing.lua': `local to = { ["to-model"] = "pool/other", ["to-provider"] = "echo" }
            return function(req)
                if req.model == "to-nowhere" then return { reject = { status = 403, message = "no" } } end
                if req.model == "fails" then error("not this one") end
                return to[req.model]
            end`,
        };
        const d = await dryRun(rig, draft);
        assert.equal(d.requests, 6);
        assert.deepEqual(d.changes, {
            none: 2, account: 0, model: 1, provider: 1, rejected: 1, served: 0, error: 1,
        });
        assert.equal(d.changed, 4);
        assert.ok(d.decision_us.median > 0 && d.decision_us.p99 <= d.decision_us.max);
        const rows = Object.fromEntries(d.rows.map((row) => [row.change, row]));
        assert.equal(d.rows[0].change, 'error');
        assert.equal(rows.model.model, 'to-model');
        assert.deepEqual([rows.model.before.model, rows.model.after.model], ['to-model', 'other']);
        assert.deepEqual([rows.provider.before.provider, rows.provider.after.provider], ['pool', 'echo']);
        assert.deepEqual([rows.rejected.after.status, rows.rejected.after.message], [403, 'no']);
        assert.match(rows.error.after.message, /routing\.lua:4: not this one/);
        assert.equal(rows.model.key, 'default');
        assert.ok(rows.model.at > Date.now() - 60000 && rows.model.id.startsWith('req_'));
        // What runs, and what decides the same in other words.
        for (const files of [{}, { 'routing.lua': 'return function(req) return req.model end' }]) {
            const same = await dryRun(rig, files);
            assert.deepEqual([same.requests, same.changed, same.rows], [6, 0, []]);
        }
        const fewer = await dryRun(rig, draft, { requests: 2 });
        assert.deepEqual([fewer.requests, fewer.changed], [2, 0]);
        // The command says the same.
        const dir = confDir({ ...rig.disk(), ...draft });
        const { code, stdout } = await command(rig, ['dry-run', dir]);
        assert.equal(code, 0);
        assert.match(stdout, /^6 requests, 4 would change /);
        assert.match(stdout, /^ {2}error +1$/m);
        assert.match(stdout, /before +pool\/to-model, account pool\/[ab]\n +after +pool\/other, account/);
        assert.match(stdout, /after +rejected: no$/m);
        const json = await command(rig, ['dry-run', '--json', '--requests', '3', dir]);
        assert.equal(JSON.parse(json.stdout).dry_run.requests, 3);
        const broken = await command(rig, ['dry-run', confDir({ 'routing.lua': 'return (' })]);
        assert.equal(broken.code, 1);
        assert.match(broken.stderr, /routing\.lua:1/);
        // None of this asked anybody, or changed what runs.
        assert.equal(rig.upstream.asked.length, 0);
        assert.equal(await rig.running(), 1);
        assert.equal((await rig.get('/history')).generations.length, 1);
    }));

test('dry run: other accounts, providers that are new, and what was not served', () =>
    withRig({ workers: 1, files: {
        'routing.lua': `return function(req)
            if req.model == "closed" then return { reject = { status = 403 } } end
        end`,
    } }, async (rig) => {
        for (const model of ['m', 'm', 'm', 'm', 'closed']) {
            await rig.chat(model);
        }
        const last = 'return { select = function(accounts) return "pool/b" end }';
        const d = await dryRun(rig, { 'accounts.lua': last, 'routing.lua': null });
        assert.deepEqual([d.changes.account, d.changes.served, d.changes.none], [2, 1, 2]);
        const account = d.rows.find(({ change }) => change === 'account');
        assert.deepEqual([account.before.account, account.after.account], ['pool/a', 'pool/b']);
        assert.equal(account.after.strategy, 'select');
        const other = `return { providers = { ${lua(instance('new', rig.upstream.base, ['c']))} } }`
            .replace('"base_url"]', '"catch_all"] = true, ["base_url"]');
        const moved = await dryRun(rig, { 'gateway.lua': other });
        assert.equal(moved.changes.provider, 4);
        assert.deepEqual([moved.rows[0].after.provider, moved.rows[0].after.model], ['new', 'm']);
        assert.match(moved.rows[0].after.message, /accounts of new are not known yet/);
    }));

test('dry run: scripts see the time at which each request came', () => {
    const clock = new Clock(Date.parse('2026-05-05T08:00:00Z'));
    return withRig({ env: { LLM_GATE_CLOCK_FILE: clock.path } }, async (rig) => {
        await rig.chat('early');
        clock.at(6 * 3600 * 1000);
        await rig.chat('late');
        clock.at(12 * 3600 * 1000);
        const d = await dryRun(rig, {
            'routing.lua': 'return function() if gate.time("UTC").hour >= 12 then return "echo" end end',
        });
        assert.deepEqual(d.rows.map(({ model }) => model), ['late']);
    });
});

test('dry run: 1,000 requests', { timeout: 120000 }, (t) =>
    withRig({ workers: 4, env: { AUDIT_SUCCESS_LOG: 0 } }, async (rig) => {
        // Each worker remembers 512: connections are spread over them, not evenly.
        const sent = Array.from({ length: 2400 }, (_, i) => `m${i % 7}`);
        await inParallel(sent, 16, (model) => rig.gateway.chat(model));
        const files = {
            'routing.lua': `return function(req)
                if req.model == "m3" then return { { model = "pool/x" }, "echo" } end
                if gate.hash(req.model) % 2 == 0 then return "pool/" .. req.model end
            end`,
            'accounts.lua': `return { select = function(accounts)
                local best
                for _, a in ipairs(accounts) do
                    if not best or a.requests_day < best.requests_day then best = a end
                end
                return best
            end }`,
        };
        const d = await dryRun(rig, files, { requests: 1000 });
        assert.equal(d.requests, 1000);
        assert.ok(d.changes.model > 100);
        assert.ok(d.rows.length <= 200);
        t.diagnostic(`1,000 requests: ${d.took_ms} ms, median ${d.decision_us.median} us, ` +
            `p99 ${d.decision_us.p99} us`);
        // Only an optimised build is held to it.
        if (/\/build\/llm-gate$/.test(binary) && !sanitized) {
            assert.ok(d.took_ms < 200, `${d.took_ms} ms`);
        }
    }));

// ---------------------------------------------------------------- policy tests

const good = {
    'models.lua': 'return { fast = "pool/quick" }',
    'routing.lua': `return function(req)
        if req.model == "no" then return { reject = { status = 403, message = "not for you" } } end
        if req.stream then return { model = "pool/streams", reason = "a stream" } end
    end`,
    'accounts.lua': `return {
        accounts = { ["pool/b"] = { tags = { "paid" } } },
        select = function(accounts)
            for _, a in ipairs(accounts) do if a:has_tag("paid") then return a end end
        end,
        on_error = function(f) if f.kind == "overloaded" then return { cooldown_ms = 5000 } end end,
    }`,
};
const cases = (expected) => `local accounts = { { id = "pool/a" }, { id = "pool/b" } }
return {
    { name = "a name", map = "fast", expect = { target = "pool/${expected}" } },
    { name = "a rejection", request = { model = "no" }, expect = { rejected = 403 } },
    {
        name = "a stream goes to the paid one",
        request = { model = "m", stream = true },
        accounts = accounts,
        expect = { model = "streams", reason = "a stream", account = "pool/b" },
    },
    {
        name = "an overload",
        failure = { kind = "overloaded", status = 503 },
        expect = { cooldown_ms = 5000 },
    },
}`;

test('policy tests: run before each publish, by check and by llm-gate check', () =>
    withRig({}, async (rig) => {
        const fine = { ...good, 'tests/main.lua': cases('quick') };
        const bad = { ...good, 'tests/main.lua': cases('slow') };
        const checked = await rig.check(fine);
        assert.deepEqual(checked.tests, { files: 1, cases: 4, failed: 0 });
        assert.equal(checked.ok, true, JSON.stringify(checked.problems));
        const { report } = await rig.publish(bad, {}, 422);
        assert.deepEqual(report.tests, { files: 1, cases: 4, failed: 1 });
        const [problem] = report.problems;
        assert.deepEqual(
            [problem.file, problem.line, problem.severity, problem.code],
            ['tests/main.lua', 3, 'error', 'test'],
        );
        assert.match(problem.message, /"a name": target: expected "pool\/slow", came "pool\/quick"/);
        assert.equal(await rig.running(), 1);
        await rig.publish(fine);
        // A change elsewhere that breaks a test is held up by it.
        const held = await rig.publish({ 'models.lua': 'return { fast = "pool/slow" }' }, {}, 422);
        assert.equal(held.report.problems[0].line, 3);
        const dir = (files) => ({ LLM_GATE_CONF_DIR: confDir({ 'gateway.lua': rig.config(), ...files }) });
        const ok = await command(rig, ['check'], dir(fine));
        assert.equal(ok.code, 0, ok.output);
        assert.match(ok.stdout, /^ok {4}policy tests: 4 of 4 cases passed, 1 file$/m);
        const failed = await command(rig, ['check'], dir(bad));
        assert.equal(failed.code, 1);
        assert.match(failed.stdout, /^FAIL {2}tests\/main\.lua:3: case 1 "a name": target: /m);
        assert.match(failed.stdout, /^FAIL {2}policy tests: 3 of 4 cases passed, 1 file$/m);
        const several = await command(rig, ['check'], dir({ ...good,
            'models.lua': 'return {\n    ["a"] = \n', 'routing.lua': 'retrun nil',
            'accounts.lua': 'return { x = accs }' }));
        assert.equal(several.code, 1);
        assert.match(several.stdout, /^FAIL {2}models\.lua:\d+:\d+: .*/m);
        assert.match(several.stdout, /^FAIL {2}routing\.lua:1:\d+: .*'return'/m);
    }));
