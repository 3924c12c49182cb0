// A gateway with an hour of work behind it, for pictures of the console. The hour passes in two
// minutes: Debian's faketime makes the gateway's wall clock run fast, while what it measures by the
// other clock, latencies above all, is as it is.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { apiError, completion, json } from '../../tests/upstream/oauth_answers.mjs';
import { Console } from './console.mjs';

const FAKETIME = '/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1';
const SPEED = 30;
const MINUTES = 58;
const LAST_MS = 40_000; // the last minute is like any other
const LAST_REQUESTS = 24;

const models = ['gpt-4.1', 'gpt-4o', 'gpt-4.1', 'gpt-4.1-mini', 'fast'];
const questions = [
    'Summarise the release notes in three lines.',
    'Why does this test fail only on Fridays?',
    'Write a haiku about back-pressure.',
    'Translate the error messages into Chinese.',
];
const HAIKU = 'A request waits its turn,\nthe stream slows down, and nobody\nhas to lose a word.';

const ROUTING = `-- Where a request goes.
local LONG = 20000 -- tokens

local function route(req)
    if req.prompt_tokens > LONG then
        return { model = "openai/gpt-4.1", reason = "long prompt" }
    end
    if req.model == "auto" then
        return { "qwen-oauth/coder-model", "openai/gpt-4.1-mini" }
    end
    return nil
end

return route
`;

// What somebody is about to change: an error first, then as it should be.
const HALF = `    -- Pictures go to those that see.
    if req.has_images
        return "openai/gpt-4o"
    end
`;
const CHEAPER = `    -- What is short needs no large model.
    if req.model == "gpt-4.1" and req.prompt_tokens < 2000 then
        return { model = "openai/gpt-4.1-mini", reason = "short prompt" }
    end
`;
const adding = (lines) => ROUTING.replace('    return nil\n', `${lines}    return nil\n`);
export const BROKEN = adding(HALF);
export const DRAFT = adding(CHEAPER).replace('20000', '30000');

const conf = {
    'models.lua': 'return {\n    fast = "openai/gpt-4.1-mini",\n}\n',
    'accounts.lua': 'return { strategy = "least_used" }\n',
    'routing.lua': 'return function(_req)\n    return nil\nend\n',
};

// Numbers that look random and are the same in every picture.
function chance(seed = 20260102) {
    let state = seed;
    return () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state / 2 ** 32;
    };
}

const random = chance();
const between = (low, high) => low + (high - low) * random();
const pause = (ms) => new Promise((done) => setTimeout(done, ms));

// Most are quick, some are not.
const latency = () => Math.round(between(280, 530) + 2600 * random() ** 6);

function answered({ json: body }) {
    if (body?.stream) {
        return completion(HAIKU, body);
    }
    const prompt = Math.round(between(180, 3400));
    const written = Math.round(between(40, 900));
    const message = { role: 'assistant', content: HAIKU };
    return json(200, {
        id: 'chatcmpl-1',
        object: 'chat.completion',
        created: 1767225600,
        model: body?.model,
        choices: [{ index: 0, message, finish_reason: 'stop' }],
        usage: {
            prompt_tokens: prompt,
            completion_tokens: written,
            total_tokens: prompt + written,
        },
    });
}

// A service that has a bad minute now and then.
const service = (scene) => async (request) => {
    if (request.method === 'GET') {
        const data = [...new Set(models)].map((id) => ({ id, object: 'model' }));
        return json(200, { object: 'list', data });
    }
    await pause(latency());
    return random() < scene.trouble
        ? apiError(503, 'overloaded', 'The model is overloaded. Try again later.')
        : answered(request);
};

const limits = (rpd) => ({ chat: { rpm: 15, rpd } });

async function addAccounts(gate) {
    const main = { alias: 'main', limits: limits(1000), tags: ['paid'] };
    await gate.rig.ask('PATCH', '/accounts/openai/0', main);
    // Lists go by the name in the id.
    const add = (name, alias, more) => gate.addKeyed(alias, { name, ...more });
    await add('research', 'research', { limits: limits(1000), tags: ['paid'] });
    await add('shared', '研究组共享', { limits: limits(500) });
    await add('ci', 'ci-runner', { limits: limits(200) });
    await add('spare', 'backup', { enabled: false, limits: limits(1000) });
    await gate.addLogin('lin-home', { lifetime: 86_400 });
    await gate.addDeadLogin('old-laptop');
}

const publish = (gate, files, author, note) =>
    gate.rig.ask('POST', '/scripts/publish', { files, author, note });

// What was changed in that hour, by the minute.
const changes = {
    4: async (gate) => {
        const { files } = await gate.rig.ask('GET', '/scripts');
        const settings = files['gateway.lua'].replace('return {', 'return {\n    echo = false,');
        await publish(gate, { 'gateway.lua': settings }, 'ada', 'no echo for clients');
    },
    21: (gate) => publish(gate, { 'routing.lua': ROUTING }, 'lin', 'long prompts, and auto'),
    47: (gate) => {
        const names = 'return {\n    fast = "openai/gpt-4.1-mini",\n    best = "openai/gpt-4.1",\n}\n';
        return publish(gate, { 'models.lua': names }, 'ada', 'a name for the best');
    },
};

// Requests per minute: a swell, and a peak that the limits do not take.
const load = (minute) => 24 + 11 * Math.sin(minute / 9) + (minute > 40 && minute < 46 ? 38 : 0);

function ask(gate) {
    const model = random() < 0.14 ? 'coder-model' : models[Math.floor(random() * models.length)];
    const text = questions[Math.floor(random() * questions.length)];
    return gate.chat(model, text);
}

// Begins so many requests, evenly in this time; what is pushed to `running` may go on behind it.
async function work(gate, running, count, ms) {
    const begin = performance.now();
    for (let i = 1; i <= count; i++) {
        running.push(ask(gate));
        await pause(Math.max(0, begin + (ms * i) / count - performance.now()));
    }
}

async function hour(gate, scene) {
    const running = [];
    for (let minute = 0; minute < MINUTES; minute++) {
        scene.trouble = minute >= 27 && minute < 30 ? 0.75 : 0.01;
        await changes[minute]?.(gate);
        const count = Math.round(load(minute) * between(0.85, 1.15));
        await work(gate, running, count, 60_000 / SPEED);
    }
    await Promise.all(running);
}

// The gateway after that hour, restarted with clocks like everybody's.
export async function startScene() {
    assert.ok(existsSync(FAKETIME), 'pictures need the Debian package faketime');
    const fast = {
        LD_PRELOAD: FAKETIME,
        FAKETIME: `-${MINUTES}m x${SPEED}`,
        DONT_FAKE_MONOTONIC: 1,
    };
    const gate = await Console.start({ env: { ...fast }, conf });
    const { env } = gate.rig.options;
    const scene = { trouble: 0 };
    gate.rig.mock.otherwise(service(scene));
    gate.rig.login.chat('lin-home', async (request) => {
        await pause(latency());
        return answered(request);
    });
    await addAccounts(gate);
    await hour(gate, scene);
    env.LLM_GATE_CONF_DIR = (await gate.rig.ask('GET', '/config')).conf_dir;
    for (const name of Object.keys(fast)) {
        delete env[name];
    }
    await gate.rig.restart();
    const running = [];
    await work(gate, running, LAST_REQUESTS, LAST_MS);
    await Promise.all(running);
    return gate;
}
