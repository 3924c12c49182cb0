// The admin API on much: 500 accounts, a million rows of counts and as many requests as are kept. Each
// GET is measured; then the chat path, in turns with nothing beside it and with those GETs and a
// listener of the live stream beside it.
//
//     LLM_GATE_BIN=... node tests/scale/scale.mjs FILL [ACCOUNTS] [ROWS] [TURNS]
//
// FILL is the program of fill.c; the plugins lie beside the gateway's binary.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import http from 'node:http';
import { dirname, join } from 'node:path';
import { Rig } from '../integration/admin_rig.mjs';
import { binary, tempDir } from '../integration/helper.mjs';

const [fill, accounts = '500', rows = '1000000', turns = '5'] = process.argv.slice(2);
const plugins = process.env.LLM_GATE_PLUGIN_DIR ?? join(dirname(binary), 'plugins');
const ROUNDS = 20;
const MOST_MS = 100; // that an answer may take
const TRIES = 3; // a busy machine is no fault of the gateway: the best of them counts
const CHAT_MS = 6000;
const RATE = 300; // chat requests a second
const PAUSE_MS = 30; // between two GETs

const paths = [
    '/accounts?limit=500',
    '/accounts?state=serving&q=a49',
    '/accounts/openai/a7',
    '/stats',
    '/audit',
    '/audit?limit=5000',
    '/audit?account=openai/a7',
    '/audit?group=hour',
    '/audit?group=hour&account=openai/a7&from=FROM30',
    '/audit?group=day&from=FROM30',
    '/audit?group=minute&outcome=nothing&from=FROM30',
    '/series',
    '/series?range=6h',
    '/series?range=24h',
    '/series?range=24h&account=openai/a7',
    '/series?range=30d',
    '/series?range=30d&account=openai/a7',
    '/requests',
    '/requests?limit=200',
    '/requests?limit=200&before=BEFORE',
    '/requests?account=openai/a7',
    '/requests?outcome=error&limit=200',
    '/requests?model=nothing',
    '/requests/OLDEST',
    '/alerts',
    '/providers',
    '/config',
    '/scripts',
    '/scripts/history',
    '/logins',
    '/sessions',
];

const at = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
const ms = (n) => n.toFixed(2).padStart(9);

// A page in the middle of the requests, and the oldest one.
async function places(rig) {
    let before = '';
    let middle = '';
    let oldest = '';
    for (let page = 0; before !== null; page++) {
        const answer = await rig.ask('GET', `/requests?limit=200&before=${encodeURIComponent(before)}`);
        oldest = answer.requests.at(-1).id;
        middle = page === 24 ? answer.next : middle || answer.next;
        before = answer.next;
    }
    return { BEFORE: encodeURIComponent(middle), OLDEST: oldest };
}

async function times(rig, path) {
    const list = [];
    let size = 0;
    for (let i = 0; i < ROUNDS; i++) {
        const begin = performance.now();
        const answer = await rig.call('GET', path);
        list.push(performance.now() - begin);
        size = answer.body.length;
        if (answer.status !== 200) {
            throw new Error(`${path}: ${answer.status} ${answer.text}`);
        }
    }
    return { first: list[0], sorted: list.sort((a, b) => a - b), size };
}

// The routes that were too slow each time.
async function measure(rig, fill) {
    const slow = [];
    console.log('   median     first   slowest     bytes');
    for (const path of paths) {
        let best;
        for (let i = 0; i < TRIES && !(best && at(best.sorted, 1) < MOST_MS); i++) {
            const found = await times(rig, fill(path));
            best = !best || at(found.sorted, 1) < at(best.sorted, 1) ? found : best;
        }
        const most = at(best.sorted, 1);
        const figures = [ms(at(best.sorted, 0.5)), ms(best.first), ms(most), String(best.size).padStart(9)];
        console.log(`${figures.join(' ')}  ${path}${most < MOST_MS ? '' : '  TOO SLOW'}`);
        if (most >= MOST_MS) {
            slow.push(path);
        }
    }
    return slow;
}

// Chat requests to the echo provider at a steady rate; the sorted times. Each counts from when it was
// due, so that one that stands in the way of others is seen.
async function chat(port, key, forMs) {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 16 });
    const body = JSON.stringify({ model: 'echo', messages: [{ role: 'user', content: 'x' }] });
    const options = {
        host: '127.0.0.1',
        port,
        path: '/v1/chat/completions',
        method: 'POST',
        agent,
        headers: {
            authorization: `Bearer ${key}`,
            'content-type': 'application/json',
            'content-length': body.length,
        },
    };
    const times = [];
    const one = (due) =>
        new Promise((done, fail) => {
            const request = http.request(options, (response) => {
                response.resume().on('end', () => done(times.push(performance.now() - due)));
            });
            request.on('error', fail);
            request.end(body);
        });
    const begin = performance.now();
    const running = [];
    for (let i = 0; i < (forMs / 1000) * RATE; ) {
        for (; begin + (i * 1000) / RATE <= performance.now(); i++) {
            running.push(one(begin + (i * 1000) / RATE));
        }
        await new Promise((done) => setTimeout(done, 1));
    }
    await Promise.all(running);
    agent.destroy();
    return times.sort((a, b) => a - b);
}

// The GETs in a process of their own, as the one that measures must not be slowed by reading them; and
// in one that gives way, as a browser's work is not the gateway's.
function ask(port, key, list) {
    const code = `
        const http = require('node:http');
        const paths = ${JSON.stringify(list)};
        const headers = { authorization: 'Bearer ${key}' };
        const events = { host: '127.0.0.1', port: ${port}, path: '/admin/api/events', headers };
        http.get(events, (response) => response.resume());
        let count = 0;
        const next = () => {
            const path = '/admin/api' + paths[count++ % paths.length];
            http.get({ host: '127.0.0.1', port: ${port}, path, headers }, (response) =>
                response.resume().on('end', () => setTimeout(next, ${PAUSE_MS})));
        };
        next();
        process.on('SIGTERM', () => { console.log('  (' + count + ' GETs)'); process.exit(); });`;
    const argv = ['-n', '19', process.execPath, '-e', code];
    return spawn('nice', argv, { stdio: ['ignore', 'inherit', 'inherit'] });
}

const shares = [0.5, 0.99, 0.999];
const say = (name, t) =>
    console.log(`${name} ${shares.map((share) => `p${100 * share} ${ms(at(t, share))}`).join(' ')} ms`);
const middle = (list) => at([...list].sort((a, b) => a - b), 0.5);

async function asked(rig, list) {
    const asking = ask(rig.gateway.port, rig.key, list);
    const found = await chat(rig.gateway.port, rig.key, CHAT_MS);
    asking.kill();
    await once(asking, 'close');
    return found;
}

// What the GETs cost the chat path: turns of both, so that what else the machine does meets both. The
// ratio of two turns without them says how much that is.
async function compare(rig, list) {
    const alone = [];
    const beside = [];
    await chat(rig.gateway.port, rig.key, 2000);
    for (let turn = 0; turn < Number(turns); turn++) {
        alone.push(await chat(rig.gateway.port, rig.key, CHAT_MS));
        say(`chat alone    ${turn}`, alone.at(-1));
        beside.push(await asked(rig, list));
        say(`chat and GETs ${turn}`, beside.at(-1));
    }
    for (const share of shares) {
        const ratios = alone.map((t, i) => at(beside[i], share) / at(t, share));
        const noise = alone.slice(1).map((t, i) => at(t, share) / at(alone[i], share));
        const spread = noise.map((ratio) => Math.max(ratio, 1 / ratio));
        const figures = `${middle(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(' ')})`;
        const idle = spread.length > 0 ? middle(spread).toFixed(2) : '?';
        console.log(`p${100 * share} with GETs / alone: ${figures}; alone / alone: ${idle}`);
    }
}

const dataDir = join(tempDir('scale'), 'data');
const rig = await Rig.start({ dataDir });
try {
    for (let i = 0; i < Number(accounts); i++) {
        await rig.add({ provider: 'openai', name: `a${i}`, api_key: `sk-scale-${i}`, tags: [`t${i % 7}`] });
    }
    await rig.gateway.stop();
    process.stdout.write(execFileSync(fill, [plugins, join(dataDir, 'db'), accounts, rows]));
    await rig.restart();
    const values = { ...(await places(rig)), FROM30: String(Date.now() - 30 * 86400000) };
    const filled = (path) => path.replace(/[A-Z]{4,}\d*/g, (name) => values[name] ?? name);
    const slow = await measure(rig, filled);
    await compare(rig, paths.map(filled));
    console.log(slow.length > 0 ? `over ${MOST_MS} ms: ${slow.join(' ')}` : `all below ${MOST_MS} ms`);
    process.exitCode = slow.length > 0 ? 1 : 0;
} finally {
    await rig.stop();
}
