// The admin API on much: 500 accounts, a million rows of counts and as many requests as are kept. Each
// GET is measured; then the chat path, in turns with nothing beside it and with those GETs and a
// listener of the live stream beside it: first as the gateway runs, then all of it on one core.
//
//     LLM_GATE_BIN=... node tests/scale/scale.mjs FILL [ACCOUNTS] [ROWS] [TURNS]
//
// FILL is the program of fill.c; the plugins lie beside the gateway's binary.
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Rig } from '../integration/admin_rig.mjs';
import { binary, tempDir } from '../integration/helper.mjs';

const [fill, accounts = '500', rows = '1000000', turns = '5'] = process.argv.slice(2);
const plugins = process.env.LLM_GATE_PLUGIN_DIR ?? join(dirname(binary), 'plugins');
const ROUNDS = 20;
const MOST_MS = 100; // that an answer may take
const TRIES = 3; // a busy machine is no fault of the gateway: the best of them counts
const MOST_RATIO = 1.5; // that GETs may make of the chat path's p99
const CHAT_MS = 6000;
const RATE = 1000; // chat requests a second
const PAUSE_MS = 330; // between two GETs

const run = promisify(execFile);
const [ONE, OTHER, ALL] = ['0', '1', '0,1']; // cores

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

// The load generator of the bench: a program that is quicker than what it measures.
const dir = tempDir('scale');
const load = join(dir, 'load');
const body = join(dir, 'body.json');

function prepareLoad() {
    const bench = join(dirname(fileURLToPath(import.meta.url)), '../bench');
    const sources = ['load.c', 'answer.c'].map((name) => join(bench, name));
    execFileSync('cc', ['-O2', '-std=gnu11', '-D_GNU_SOURCE', '-o', load, ...sources]);
    const messages = [{ role: 'user', content: 'x' }];
    writeFileSync(body, JSON.stringify({ model: 'echo', messages }));
}

// Chat requests to the echo provider at a steady rate: { p50, p99 } in us.
async function chat({ gateway, key }, cores) {
    const argv = ['-p', gateway.port, '-k', key, '-b', body, '-c', 16, '-w', 300, '-d', CHAT_MS, '-r', RATE];
    const { stdout } = await run('taskset', ['-c', cores, load, ...argv.map(String)]);
    return JSON.parse(stdout).whole_us;
}

// The GETs, in a process that gives way to everything: a browser's work is not the gateway's, and the
// load generator must not wait for it.
function ask({ gateway: { port }, key }, cores, list) {
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
    const argv = ['-c', cores, 'chrt', '-i', '0', process.execPath, '-e', code];
    return spawn('taskset', argv, { stdio: ['ignore', 'inherit', 'inherit'] });
}

async function asked(rig, cores, list) {
    const asking = ask(rig, cores, list);
    const found = await chat(rig, cores);
    asking.kill();
    await once(asking, 'close');
    return found;
}

const middle = (list) => at([...list].sort((a, b) => a - b), 0.5);
const say = (name, { p50, p99 }) => console.log(`${name} p50 ${ms(p50)} p99 ${ms(p99)} us`);

// What the GETs cost the chat path: turns of both, so that what else the machine does meets both. The
// ratio of two turns without them says how much that is. Returns the ratio of p99, in the middle.
async function compare(rig, cores, list) {
    const alone = [];
    const beside = [];
    for (let turn = 0; turn < Number(turns); turn++) {
        alone.push(await chat(rig, cores));
        say(`chat alone    ${turn}`, alone.at(-1));
        beside.push(await asked(rig, cores, list));
        say(`chat and GETs ${turn}`, beside.at(-1));
    }
    const result = {};
    for (const name of ['p50', 'p99']) {
        const ratios = alone.map((t, i) => beside[i][name] / t[name]);
        const noise = alone.slice(1).map((t, i) => t[name] / alone[i][name]);
        const spread = noise.map((ratio) => Math.max(ratio, 1 / ratio));
        const figures = `${middle(ratios).toFixed(2)} (${ratios.map((r) => r.toFixed(2)).join(' ')})`;
        const idle = spread.length > 0 ? middle(spread).toFixed(2) : '?';
        console.log(`${name} with GETs / alone: ${figures}; alone / alone: ${idle}`);
        result[name] = middle(ratios);
    }
    return result.p99;
}

// As it runs; then the gateway on one core and what asks it on the other, where a chat stands behind
// everything else that the gateway does.
async function compareBoth(rig, list) {
    await chat(rig, ALL); // the first of all is another
    const free = await compare(rig, ALL, list);
    console.log('all of the gateway on one core');
    execFileSync('taskset', ['-a', '-c', '-p', ONE, String(rig.gateway.pid)], { stdio: 'ignore' });
    return Math.max(free, await compare(rig, OTHER, list));
}

const dataDir = join(dir, 'data');
prepareLoad();
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
    const ratio = await compareBoth(rig, paths.map(filled));
    console.log(slow.length > 0 ? `over ${MOST_MS} ms: ${slow.join(' ')}` : `all below ${MOST_MS} ms`);
    console.log(`p99 of chats: ${ratio.toFixed(2)}x, ${ratio > MOST_RATIO ? 'more' : 'not more'} than ${MOST_RATIO}x`);
    process.exitCode = slow.length > 0 || ratio > MOST_RATIO ? 1 : 0;
} finally {
    await rig.stop();
}
