// Scripts are published again and again while requests run. Every generation carries its number in
// all four files: gateway.lua in the address of the provider, models.lua and routing.lua in the name
// of the model, routing.lua in a header, accounts.lua in a tag that routing.lua asks for. The service
// answers with what it sees, so an answer that two generations had a hand in shows.
//
//   node tests/chaos/publish.mjs [--publishes 1000] [--seconds 120] [--clients 16]
import http from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { API_KEY, startGateway } from '../integration/helper.mjs';

const option = (name, fallback) => {
    const at = process.argv.indexOf(`--${name}`);
    return at < 0 ? fallback : Number(process.argv[at + 1]);
};

const KEYS = ['sk-publish-0', 'sk-publish-1'];

// Answers with the numbers in the path, the model and the header.
function service() {
    const server = http.createServer((request, response) => {
        let text = '';
        request.setEncoding('utf8').on('data', (part) => (text += part));
        request.on('end', () => {
            const { model, stream } = JSON.parse(text);
            const seen = [request.url.split('/')[1], model, request.headers['x-generation']].join(' ');
            if (!stream) {
                response.setHeader('content-type', 'application/json');
                response.end(JSON.stringify({ choices: [{ message: { content: seen } }] }));
                return;
            }
            // Slow enough that publishes fall into it.
            response.setHeader('content-type', 'text/event-stream');
            const words = seen.split(' ');
            const next = () => {
                if (words.length === 0) {
                    response.end('data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}' +
                        '\n\ndata: [DONE]\n\n');
                    return;
                }
                const content = `${words.shift()}${words.length > 0 ? ' ' : ''}`;
                response.write(`data: ${JSON.stringify({
                    choices: [{ index: 0, delta: { content } }] })}\n\n`);
                setTimeout(next, 30);
            };
            next();
        });
    });
    return new Promise((resolve) => {
        server.listen(0, '127.0.0.1', () => resolve({ server, port: server.address().port }));
    });
}

function files(n, port) {
    return {
        'gateway.lua': `return { echo = false, providers = { { name = "pool", plugin = "openai",
            accounts = { { alias = "a", key_env = "K0" }, { alias = "b", key_env = "K1" } },
            options = { base_url = "http://127.0.0.1:${port}/g${n}", catch_all = true } } } }`,
        'models.lua': `return { ["mapped-${n}"] = "pool/m${n}" }`,
        'routing.lua': `return function(req)
            return { model = "mapped-${n}", tags = { "t${n}" }, headers = { ["x-generation"] = "${n}" } }
        end`,
        'accounts.lua': `return { accounts = {
            ["pool/a"] = { tags = { "t${n}" } }, ["pool/b"] = { tags = { "t${n}" } } } }`,
    };
}

function call(agent, port, path, body) {
    const text = JSON.stringify(body);
    return new Promise((resolve, reject) => {
        const request = http.request({
            agent, port, path, host: '127.0.0.1', method: 'POST', headers: {
                authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json',
                'content-length': Buffer.byteLength(text),
            },
        }, (response) => {
            let answer = '';
            response.setEncoding('utf8').on('data', (part) => (answer += part));
            response.on('error', reject);
            response.on('end', () => resolve({ status: response.statusCode, text: answer }));
        });
        request.on('error', reject);
        request.end(text);
    });
}

function textOf(stream, answer) {
    if (!stream) {
        return JSON.parse(answer).choices[0].message.content;
    }
    return answer.split('\n\n').filter((e) => e.startsWith('data: {'))
        .map((e) => JSON.parse(e.slice(6)).choices[0].delta.content ?? '').join('');
}

const rank = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];

export async function publish({ publishes, seconds, clients, report = () => {} }) {
    const { server, port } = await service();
    const gateway = await startGateway({
        conf: files(1, port),
        env: { K0: KEYS[0], K1: KEYS[1], LLM_GATE_WORKERS: 2, LLM_GATE_ALLOW_PRIVATE: 1,
            AUDIT_SUCCESS_LOG: 0 },
    });
    const agent = new http.Agent({ keepAlive: true });
    const result = { publishes: 0, requests: 0, mixed: 0, failed: 0, stale: 0, problems: [] };
    const took = [];
    let newest = 1, begun = 1, over = false;
    const problem = (text) => {
        if (result.problems.length < 20) {
            result.problems.push(text);
        }
    };
    const client = async (n) => {
        for (let i = 0; !over; i++) {
            const stream = n % 4 === 0, oldest = newest;
            const body = { model: 'm', stream, messages: [{ role: 'user', content: `${n} ${i}` }] };
            const answer = await call(agent, gateway.port, '/v1/chat/completions', body)
                .catch((error) => ({ status: 0, text: String(error) }));
            result.requests++;
            if (answer.status !== 200) {
                result.failed++;
                problem(`${answer.status} ${answer.text.slice(0, 300)}`);
                continue;
            }
            const numbers = /^g(\d+) m(\d+) (\d+)$/.exec(textOf(stream, answer.text));
            const [, a, b, c] = (numbers ?? []).map(Number);
            if (!numbers || a !== b || b !== c) {
                result.mixed++;
                problem(`mixed: ${textOf(stream, answer.text)}`);
            } else if (a < oldest || a > begun) {
                result.stale++; // older than what was published before the request was sent
                problem(`${a} served, ${oldest} to ${begun} could`);
            }
        }
    };
    const running = Array.from({ length: clients }, (_, n) => client(n));
    const start = performance.now();
    for (let n = 2; n <= publishes + 1; n++) {
        begun = n;
        const answer = await call(agent, gateway.port, '/admin/api/scripts/publish',
            { files: files(n, port), base: n - 1, note: `number ${n}`, author: 'publish.mjs' });
        if (answer.status !== 200) {
            result.failed++;
            problem(`publish ${n}: ${answer.status} ${answer.text.slice(0, 500)}`);
            break;
        }
        const { generation, took_us: us } = JSON.parse(answer.text);
        if (generation !== n) {
            problem(`generation ${generation} instead of ${n}`);
        }
        newest = n;
        took.push(us / 1000);
        result.publishes++;
        if (n % 100 === 0) {
            report(`${n} publishes, ${result.requests} requests`);
        }
        const due = start + (n - 1) * seconds * 1000 / publishes;
        await delay(Math.max(0, due - performance.now()));
    }
    over = true;
    await Promise.all(running);
    agent.destroy();
    await gateway.stop();
    server.close();
    server.closeAllConnections?.();
    took.sort((x, y) => x - y);
    return { ...result, median_ms: rank(took, 0.5), p99_ms: rank(took, 0.99), max_ms: took.at(-1) };
}

if (process.argv[1].endsWith('publish.mjs')) {
    const result = await publish({
        publishes: option('publishes', 1000), seconds: option('seconds', 120),
        clients: option('clients', 16), report: console.log,
    });
    console.log(JSON.stringify(result, null, 1));
    process.exitCode = result.mixed + result.failed + result.stale > 0 ? 1 : 0;
}
