// `./dev bench`: runs the measures, prints the table, exits 1 when a bar is missed. See README.md.
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { makeBodies } from './bodies.mjs';
import { nginxWarnings, prepare, startGateway, startNginx, startUpstream } from './legs.mjs';
import { measures } from './measures.mjs';
import { LOAD, Missing, PROXY, cpuTicks, root, sleep, stop } from './processes.mjs';

const usage = `Usage: ./dev bench [--only NAME,...] [--rounds N] [--quick] [--no-gateway] [--json FILE]

  --only NAME,...  some of: ${Object.keys(measures).join(', ')}
  --rounds N       rounds of each measure (12); medians are reported
  --quick          5 rounds, shorter, to see the tendency
  --no-gateway     direct and nginx only: what the machine gives
  --json FILE      write the numbers of all rounds too
`;

function readOptions() {
    const { values } = parseArgs({ options: {
        only: { type: 'string' }, rounds: { type: 'string' }, quick: { type: 'boolean' },
        'no-gateway': { type: 'boolean' }, json: { type: 'string' }, help: { type: 'boolean' },
    } });
    if (values.help) {
        process.stdout.write(usage);
        process.exit(0);
    }
    const names = values.only?.split(',') ?? Object.keys(measures);
    const unknown = names.filter((name) => !Object.hasOwn(measures, name));
    if (unknown.length) {
        throw new Error(`--only: unknown measure ${unknown.join(', ')}`);
    }
    const rounds = Number(values.rounds ?? (values.quick ? 5 : 12));
    if (!Number.isInteger(rounds) || rounds < 1 || rounds > 1000) {
        throw new Error('--rounds: a number from 1 to 1000 is expected');
    }
    return { names, rounds, quick: Boolean(values.quick), withGateway: !values['no-gateway'],
        json: values.json };
}

function median(list) {
    const s = [...list].sort((a, b) => a - b);
    const middle = Math.floor(s.length / 2);
    return s.length % 2 ? s[middle] : (s[middle - 1] + s[middle]) / 2;
}

// Ratios are taken inside each round, where both legs saw the same machine, and then the median.
function judge(row, withGateway) {
    const { nginx = [], gateway = [] } = row.values;
    const paired = nginx.length === gateway.length;
    const ratio = nginx.length && gateway.length
        ? paired ? median(gateway.map((g, i) => g / nginx[i])) : median(gateway) / median(nginx)
        : undefined;
    const value = row.bar?.ratio ? ratio : gateway.length ? median(gateway) : undefined;
    const verdict = !row.bar || !withGateway ? ''
        : value <= (row.bar.ratio ?? row.bar.limit) ? 'ok' : 'MISS';
    return { ...row, ratio, verdict };
}

function show(number) {
    return number === undefined ? '-'
        : number >= 1000 ? number.toFixed(0) : number >= 100 ? number.toFixed(1)
            : number.toFixed(2);
}

const columns = [34, -10, -10, -10, -7, -16, 5];

function line(cells) {
    return cells.map((c, i) => (columns[i] < 0 ? c.padStart(-columns[i]) : c.padEnd(columns[i])))
        .join(' ').trimEnd();
}

function print(row) {
    if (row.failed) {
        console.log(`${line([row.name, '', '', '', '', '', ' FAIL'])}\n    ${row.failed}`);
        return;
    }
    const leg = (name) => show(row.values[name]?.length ? median(row.values[name]) : undefined);
    const bar = !row.bar ? row.unit : row.bar.ratio ? `${row.unit} <= ${row.bar.ratio}x`
        : `${row.unit} <= ${row.bar.limit}`;
    console.log(line([row.name, leg('direct'), leg('nginx'), leg('gateway'), show(row.ratio), bar,
        ` ${row.verdict}`]));
}

function version(command, argv) {
    return execFileSync('sh', ['-c', `${command} ${argv} 2>&1`]).toString().split('\n', 1)[0];
}

// What share of the machine is in use before the bench begins: other work spoils the figures.
async function busyShare() {
    const before = cpuTicks();
    await sleep(500);
    const after = cpuTicks();
    return 1 - (after.idle - before.idle) / (after.all - before.all);
}

async function run(options) {
    const began = Date.now();
    prepare(options.withGateway);
    const busy = await busyShare();
    const ticks = cpuTicks();
    const upstream = await startUpstream();
    const legs = [upstream, await startNginx(upstream)];
    if (options.withGateway) {
        legs.push(await startGateway(upstream));
    }
    const bench = { ...options, upstream, legs, bodies: makeBodies(),
        times: options.quick ? { warm: 150, measured: 300 } : { warm: 200, measured: 600 } };
    const machine = { cpu: cpus()[0].model, cores: cpus().length, kernel: release(),
        nginx: version('nginx', '-v'), busy_before: busy, gateway: options.withGateway
            ? version(join(root, 'build', 'llm-gate'), '--version') : null };
    console.log(`${machine.cpu}, ${machine.cores} cores, Linux ${machine.kernel}; proxy on core ` +
        `${PROXY}, load and upstream on core ${LOAD}; ${options.rounds} rounds, medians`);
    if (busy > 0.1) {
        console.log(`note: ${(busy * 100).toFixed(0)} % of the machine was busy before the start`);
    }
    console.log(`\n${line(['', 'direct', 'nginx', 'gateway', 'ratio', 'unit and bar', ''])}`);
    const rows = [];
    for (const name of options.names) {
        let some;
        try {
            some = (await measures[name](bench)).map((row) => judge(row, options.withGateway));
        } catch (e) {
            some = [{ name, failed: e.message.trim(), verdict: 'FAIL' }];
        }
        some.forEach(print);
        rows.push(...some);
    }
    const warnings = nginxWarnings(legs[1]);
    if (warnings) {
        console.log(`note: nginx complained:\n${warnings}`);
    }
    for (const leg of legs.reverse()) {
        await stop(leg.child);
    }
    const after = cpuTicks();
    machine.steal = (after.steal - ticks.steal) / (after.all - ticks.all);
    machine.seconds = (Date.now() - began) / 1000;
    return { machine, rows };
}

async function main() {
    let options;
    try {
        options = readOptions();
    } catch (e) {
        process.stderr.write(`bench: ${e.message}\n${usage}`);
        return 2;
    }
    const result = await run(options);
    const missed = result.rows.filter((r) => r.verdict === 'MISS' || r.verdict === 'FAIL').length;
    const { steal, seconds } = result.machine;
    console.log(`\n${seconds.toFixed(0)} s; ${(steal * 100).toFixed(1)} % of the CPU time went to ` +
        `other guests of the host; ${missed ? `${missed} missed` : 'nothing missed'}`);
    if (options.json) {
        writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
    }
    return missed ? 1 : 0;
}

main().then((code) => process.exit(code), (e) => {
    process.stderr.write(`bench: ${e instanceof Missing ? e.message : e.stack}\n`);
    process.exit(e instanceof Missing ? 2 : 1);
});
