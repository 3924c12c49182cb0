// Chaos: many accounts of which up to 40 % fail in random ways, which change all the time. A client
// may see a failure only when its answer had begun, or when every account was down for the gateway:
// tried and failed for this request, or paused after failures.
//
//   node tests/chaos/chaos.mjs [--seconds 180] [--accounts 20] [--clients 40] [--seed N]
import { startGateway, API_KEY } from '../integration/helper.mjs';
import { agent, ask } from './client.mjs';
import { failures, Upstream } from './upstream.mjs';

const option = (name, fallback) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? fallback : Number(process.argv[at + 1]);
};

function randomOf(seed) {
    let state = seed >>> 0;
    return () => {
        state = (state + 0x6d2b79f5) >>> 0;
        let t = state;
        t = Math.imul(t ^ (t >>> 15), t | 1);
        t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
        return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
    };
}

export async function chaos({ seconds, accounts, clients, seed, report = () => {} }) {
    const random = randomOf(seed);
    const names = Array.from({ length: accounts }, (_, i) => `a${i}`);
    const upstream = await new Upstream(names.map((name) => `sk-${name}`)).start();
    const list = names.map((name, i) => `{ alias = "${name}", key_env = "KEY_${i}" }`).join(', ');
    const gateway = await startGateway({
        env: { ...Object.fromEntries(names.map((name, i) => [`KEY_${i}`, `sk-${name}`])),
            LLM_GATE_WORKERS: 2, AUDIT_SUCCESS_LOG: 0 },
        conf: {
            'gateway.lua': `return { providers = { { name = "pool", plugin = "openai",
                clocks = { first_token_ms = 400 },
                options = { base_url = "${upstream.base}", catch_all = true },
                accounts = { ${list} } } } }`,
        },
    });
    const total = { requests: 0, ok: 0, begun: 0, allDown: 0, wrong: 0, broken: 0, unexplained: 0 };
    const byKind = {};
    const samples = [];
    const change = () => {
        const most = Math.floor(accounts * 0.4);
        const failing = new Set();
        for (let i = Math.ceil(random() * most); i > 0; i--) {
            failing.add(Math.floor(random() * accounts));
        }
        [...upstream.accounts.values()].forEach((account, i) => {
            const kinds = Object.keys(failures);
            account.fails = failing.has(i) ? kinds[Math.floor(random() * kinds.length)] : null;
            if (account.fails) {
                byKind[account.fails] = (byKind[account.fails] ?? 0) + 1;
            }
        });
    };
    // Every account must be named with a reason: tried, or paused.
    const explained = (answer) => {
        const { message = '', code } = JSON.parse(answer.text).error ?? {};
        const named = /and (\d+) more/.exec(message);
        const count = (message.match(/(^|[ ;])a\d+: /g) ?? []).length + Number(named?.[1] ?? 0);
        return count === accounts && !/could serve;|not looked at/.test(message) &&
            ['accounts_failed', 'accounts_limited', 'no_account_available',
                'accounts_need_sign_in'].includes(code);
    };
    let id = 0, over = false;
    const client = async () => {
        while (!over) {
            const mine = ++id;
            total.requests += 1;
            try {
                const answer = await ask(gateway.port, API_KEY, mine, random() < 0.7);
                if (answer.ok) {
                    total.ok += 1;
                } else if (answer.wrong) {
                    total.wrong += 1;
                    samples.push(answer);
                } else if (answer.begun) {
                    total.begun += 1;
                } else if (answer.status !== 200 && explained(answer)) {
                    total.allDown += 1;
                    await new Promise((r) => setTimeout(r, 50));
                } else {
                    total.unexplained += 1;
                    samples.push(answer);
                }
            } catch (broken) {
                total.broken += 1;
                samples.push({ broken: String(broken) });
            }
        }
    };
    const timer = setInterval(change, 1000);
    const running = Array.from({ length: clients }, client);
    const began = Date.now();
    while (Date.now() - began < seconds * 1000) {
        await new Promise((r) => setTimeout(r, Math.min(10000, seconds * 1000)));
        report(`${Math.round((Date.now() - began) / 1000)} s: ${JSON.stringify(total)}`);
    }
    over = true;
    await Promise.all(running);
    clearInterval(timer);
    agent.destroy();
    await gateway.stop();
    upstream.stop();
    return { ...total, byKind, samples: samples.slice(0, 5), log: gateway.tail };
}

if (process.argv[1].endsWith('chaos.mjs')) {
    const seed = option('seed', Date.now() % 1000000);
    const result = await chaos({
        seconds: option('seconds', 180), accounts: option('accounts', 20),
        clients: option('clients', 40), seed, report: console.log,
    });
    const { samples, log, byKind, ...total } = result;
    console.log(`seed ${seed}`);
    console.log(`failures given to accounts: ${JSON.stringify(byKind)}`);
    console.log(`requests ${total.requests}: answered ${total.ok}, broken off after output had ` +
        `begun ${total.begun}, every account down ${total.allDown}`);
    console.log(`wrong answers ${total.wrong}, broken connections ${total.broken}, failures ` +
        `without reason ${total.unexplained}`);
    if (total.wrong + total.broken + total.unexplained > 0) {
        console.log(JSON.stringify(samples, null, 1).slice(0, 6000));
        console.log(log);
        process.exitCode = 1;
    }
}
