// What the bench measures. Each measure runs its legs in rounds, in an order that changes, and adds
// rows { name, unit, values: { leg: [one number a round] }, bar }. A bar is { ratio } to nginx,
// { limit } for the gateway alone, or none.
import { hold, load, startGateway, startNginx, spawnGateway, gatewayAnswers } from './legs.mjs';
import { memory, openFilesLimit, sleep, stop } from './processes.mjs';

const SETTLE = 100; // ms between two runs, for closed connections to be cleared away
const CONNECTIONS = 32;
const STEADY = 3; // times as long for streams: what a long one costs, not its beginning

// Every order of a list in turn: who comes behind whom matters by several percent, as a process that
// runs behind itself finds its memory in the caches.
function inOrder(list, round) {
    const rotated = list.map((_, i) => list[(i + round) % list.length]);
    return Math.floor(round / list.length) % 2 === 0 ? rotated : rotated.reverse();
}

// Runs work(leg) for each leg in each round; collects what it returns: { key: number }. Returns
// { key: { leg: [numbers] } }.
async function rounds(legs, count, work) {
    const out = {};
    for (let round = 0; round < count; round++) {
        for (const leg of inOrder(legs, round)) {
            for (const [key, value] of Object.entries(await work(leg))) {
                ((out[key] ??= {})[leg.name] ??= []).push(value);
            }
            await sleep(SETTLE);
        }
    }
    return out;
}

const proxies = (bench) => bench.legs.filter((leg) => leg.name !== 'direct');

async function request(bench, name, body, bar, { connections = CONNECTIONS, secure = false } = {}) {
    const { warm, measured } = bench.times;
    const out = await rounds(proxies(bench), bench.rounds, async (leg) => {
        const r = await load(leg, { body, secure, connections, warm, measured });
        return { cpu: r.cpu_us / r.requests };
    });
    return [{ name, unit: 'us CPU', values: out.cpu, bar }];
}

async function small(bench) {
    const { warm, measured } = bench.times;
    const out = await rounds(bench.legs, bench.rounds, async (leg) => {
        const r = await load(leg, { body: bench.bodies.small, connections: CONNECTIONS, warm,
            measured });
        const seen = { rate: r.requests / r.seconds, p50: r.whole_us.p50, p99: r.whole_us.p99 };
        return leg.pids.length ? { cpu: r.cpu_us / r.requests, ...seen } : seen;
    });
    return [
        { name: '1 KB request', unit: 'us CPU', values: out.cpu, bar: { ratio: 1.15 } },
        { name: `  at ${CONNECTIONS} connections`, unit: 'requests/s', values: out.rate },
        { name: '  latency p50', unit: 'us', values: out.p50 },
        { name: '  latency p99', unit: 'us', values: out.p99 },
    ];
}

// The TLS gateway is a process of its own, because the environment gives it its one base URL.
async function tls(bench) {
    const secure = bench.withGateway && await startGateway(bench.upstream, { secure: true });
    const legs = bench.legs.map((leg) => (leg.name === 'gateway' ? secure : leg));
    try {
        return await request({ ...bench, legs }, '1 KB request, TLS upstream', bench.bodies.small,
            { ratio: 1.15 }, { secure: true });
    } finally {
        if (secure) {
            await stop(secure.child);
        }
    }
}

async function captured(bench) {
    const { bodies } = bench;
    const connections = CONNECTIONS / 2;
    return [
        ...await request(bench, bodies.capturedSource, bodies.captured, { ratio: 1.35 },
            { connections }),
        ...await request(bench, '  the same, not streamed', bodies.capturedPlain, undefined,
            { connections }),
    ];
}

// Endless streams, all open before the measured time begins: the cost of events and nothing else.
// Both proxies carry theirs at the same time, on the same core, so that what disturbs the machine hits
// both alike: in turn, rounds differ by 20 %, more than what is measured.
async function eventsTogether(bench, streams) {
    const { warm, measured } = bench.times;
    const legs = proxies(bench);
    const cpu = {};
    for (let round = 0; round < bench.rounds; round++) {
        const order = inOrder(legs, round);
        const results = await Promise.all(order.map((leg) => load(leg, {
            body: bench.bodies.events, connections: streams, warm: warm * STEADY,
            measured: measured * STEADY })));
        order.forEach((leg, i) =>
            (cpu[leg.name] ??= []).push(results[i].cpu_us / results[i].events));
        await sleep(SETTLE);
    }
    return cpu;
}

// The same streams, one leg behind the other: how long an event is on its way.
async function eventsInTurn(bench, streams) {
    const { warm, measured } = bench.times;
    return rounds(bench.legs, bench.rounds, async (leg) => {
        const r = await load(leg, { body: bench.bodies.events, connections: streams,
            warm: warm * 2, measured });
        const seen = { p50: r.delay_us.p50, p99: r.delay_us.p99 };
        return leg.pids.length ? { cpu: r.cpu_us / r.events, ...seen } : seen;
    });
}

async function events(bench) {
    const rows = [];
    for (const streams of [100, 300]) {
        const together = await eventsTogether(bench, streams);
        const out = await eventsInTurn(bench, streams);
        rows.push(
            { name: `SSE event, ${streams} streams`, unit: 'us CPU', values: together,
                bar: { ratio: 1.05 } },
            { name: '  each proxy in turn', unit: 'us CPU', values: out.cpu },
            { name: '  delay p50', unit: 'us', values: out.p50 },
            { name: '  delay p99', unit: 'us', values: out.p99 });
    }
    return rows;
}

async function ttfb(bench) {
    const { warm, measured } = bench.times;
    const out = await rounds(bench.legs, bench.rounds, async (leg) => {
        const r = await load(leg, { body: bench.bodies.short, connections: CONNECTIONS, warm,
            measured, rate: 500 });
        return { p50: r.first_us.p50, p99: r.first_us.p99 };
    });
    return [
        { name: 'first event p50, 500 streams/s', unit: 'us', values: out.p50 },
        { name: 'first event p99, 500 streams/s', unit: 'us', values: out.p99 },
    ];
}

// A fresh process of each kind, more and more streams held open.
async function heldMemory(bench) {
    const counts = [1000, 5000, 9000].filter((n) =>
        (!bench.quick || n <= 5000) && 2 * n + 200 <= openFilesLimit());
    const values = Object.fromEntries(counts.map((n) => [n, {}]));
    for (const { name } of proxies(bench)) {
        const leg = name === 'nginx' ? await startNginx(bench.upstream)
            : await startGateway(bench.upstream);
        const holds = [];
        await load(leg, { body: bench.bodies.small, connections: 1, warm: 50, measured: 50 });
        const before = memory(leg.pids[0]).own;
        let held = 0;
        for (const n of counts) {
            holds.push(await hold(leg, bench.bodies.hold, n - held));
            held = n;
            values[n][name] = [(memory(leg.pids[0]).own - before) / n];
        }
        await Promise.all(holds.map((h) => h.release()));
        await stop(leg.child);
    }
    return counts.map((n) => ({ name: `held stream, ${n}`, unit: 'KB each', values: values[n],
        bar: { limit: 15 } }));
}

// The same process without and with many silent streams.
async function held(bench) {
    const { warm, measured } = bench.times;
    const count = 5000;
    if (2 * count + 200 > openFilesLimit()) {
        throw new Error(`the limit of open files is ${openFilesLimit()}; ${2 * count + 200} ` +
            'are needed');
    }
    const small = { body: bench.bodies.small, connections: CONNECTIONS, warm, measured };
    const out = await rounds(proxies(bench), bench.rounds, async (leg) => {
        const alone = await load(leg, small);
        const streams = await hold(leg, bench.bodies.hold, count);
        const among = await load(leg, small);
        await streams.release();
        await sleep(SETTLE);
        const cpu = among.cpu_us / among.requests;
        return { cpu, ratio: cpu / (alone.cpu_us / alone.requests) };
    });
    return [
        { name: `1 KB request, ${count} held`, unit: 'us CPU', values: out.cpu },
        { name: '  ratio to without', unit: 'x', values: out.ratio, bar: { limit: 1.1 } },
    ];
}

// From before the process is made to a good answer of the echo model; memory a second later.
async function startUp(bench) {
    const ms = [];
    const rss = [];
    for (let i = 0; bench.withGateway && i < bench.rounds; i++) {
        const leg = await spawnGateway(bench.upstream);
        await gatewayAnswers(leg);
        ms.push(performance.now() - leg.since);
        if (i === bench.rounds - 1) {
            await sleep(1000);
            rss.push(memory(leg.pids[0]).rss / 1024);
        }
        await stop(leg.child);
    }
    const nginx = bench.legs.find((leg) => leg.name === 'nginx');
    const idle = [nginx.child.pid, ...nginx.pids].map((pid) => memory(pid).rss / 1024);
    return [
        { name: 'start to first answer', unit: 'ms', values: { gateway: ms }, bar: { limit: 150 } },
        { name: 'memory at rest', unit: 'MB RSS', bar: { limit: 20 },
            values: { nginx: [idle.reduce((a, b) => a + b)], gateway: rss } },
    ];
}

export const measures = {
    start: startUp,
    '1k': small,
    tls,
    '100k': (bench) => request(bench, '100 KB request, plain text', bench.bodies.large,
        { ratio: 1.15 }, { connections: CONNECTIONS / 2 }),
    captured,
    sse: events,
    ttfb,
    memory: heldMemory,
    held,
};
