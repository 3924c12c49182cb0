// The mock upstream as a program, for work by hand:
//
//     node tests/upstream/serve.mjs [--port N] [--tls-cert FILE --tls-key FILE] [--list]
//
// The model of a request chooses the answer: a name of scenarios.mjs ("stall-silent"), or
// "replay:NAME" for a recording or one of tests/streams. Options follow after semicolons:
// "replay:plain;cut=bytes;framing=close;gap=5". Any other model gets a greeting. --list prints the
// names.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Mock } from './mock.mjs';
import { ownStreams, recording, recordings } from './recordings.mjs';
import { all, chatBody, chatStream } from './scenarios.mjs';

const { values: options } = parseArgs({
    options: {
        port: { type: 'string', default: '8081' },
        'tls-cert': { type: 'string' },
        'tls-key': { type: 'string' },
        list: { type: 'boolean', default: false },
    },
});

if (options.list) {
    const replays = [...ownStreams(), ...recordings('chat-stream')];
    const names = [...Object.keys(all), ...replays.map(({ name }) => `replay:${name}`)];
    process.stdout.write(`${names.join('\n')}\n`);
    process.exit(0);
}

// "name;cut=bytes;gap=5" -> the scenario of that name with these members set.
function named(model) {
    const [name, ...settings] = model.split(';');
    const replay = name.startsWith('replay:') ? name.slice('replay:'.length) : undefined;
    const found = replay
        ? (ownStreams().find((s) => s.name === replay) ?? recording(replay))
        : all[name];
    if (!found) {
        return undefined;
    }
    const scenario = { ...found };
    for (const setting of settings) {
        const [key, value] = setting.split('=');
        scenario[key] = /^\d+$/.test(value) ? Number(value) : value;
    }
    return scenario;
}

function answer(request) {
    const now = new Date().toISOString();
    process.stderr.write(
        `${now} ${request.method} ${request.path} model=${request.model ?? '-'} ` +
            `bytes=${request.body.length} connection=${request.connectionId}\n`,
    );
    if (request.method === 'GET') {
        const data = Object.keys(all).map((id) => ({ id, object: 'model', owned_by: 'mock' }));
        return { body: JSON.stringify({ object: 'list', data }) };
    }
    const greeting = 'Hello from the mock upstream.';
    return (
        named(request.model ?? '') ?? {
            body: request.json?.stream ? chatStream(greeting) : chatBody(greeting),
        }
    );
}

const certificate = options['tls-cert'] && {
    cert: readFileSync(options['tls-cert']),
    key: readFileSync(options['tls-key']),
};
const mock = await Mock.start({ port: Number(options.port), tls: certificate || undefined });
mock.otherwise(answer);
process.stdout.write(`listening on ${mock.base}\n`);
for (const signal of ['SIGINT', 'SIGTERM']) {
    process.on(signal, () => {
        mock.stop().finally(() => process.exit(0));
    });
}
