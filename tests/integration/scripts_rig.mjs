// A gateway with a pool of two accounts behind it whose scripts are changed while it runs: its own
// conf/, a caller of /admin/api/scripts, and a reader of /admin/api/events.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import http from 'node:http';
import { join } from 'node:path';
import { Upstream, instance, keyOf, lua, who } from './accounts.mjs';
import { API_KEY, confDir, slow, startGateway, stopAll, tempDir, until } from './helper.mjs';

// A routing.lua that rejects everything with this word: whoever asks sees which text decides.
export const saying = (word) =>
    `return function() return { reject = { status = 418, message = "${word}" } } end\n`;

// The live stream of one client.
export class Events {
    static async open(gateway, { key = API_KEY } = {}) {
        const stream = new Events();
        stream.request = http.get({
            host: '127.0.0.1',
            port: gateway.port,
            path: '/admin/api/events',
            agent: false,
            headers: { authorization: `Bearer ${key}` },
        });
        stream.request.on('error', () => {});
        const [response] = await once(stream.request, 'response');
        stream.response = response;
        stream.ended = false;
        response.setEncoding('utf8').on('data', (text) => stream.read(text));
        response.on('end', () => (stream.ended = true));
        response.on('error', () => {});
        return stream;
    }

    constructor() {
        this.text = '';
        this.list = []; // { type, data }
    }

    read(text) {
        this.text += text;
        for (let end = this.text.indexOf('\n\n'); end >= 0; end = this.text.indexOf('\n\n')) {
            const event = this.text.slice(0, end);
            this.text = this.text.slice(end + 2);
            const type = /^event: (.*)$/m.exec(event)?.[1];
            const data = /^data: (.*)$/m.exec(event)?.[1];
            if (data !== undefined) {
                this.list.push({ type, data: JSON.parse(data) });
            }
        }
    }

    // The events about scripts so far, or those of one name.
    scripts(name) {
        return this.list
            .filter(({ type, data }) => type === 'script' && (!name || data.event === name))
            .map(({ data }) => data);
    }

    async wait(find) {
        let found;
        await until(() => (found = this.list.find(find)), {
            timeout: 5000 * slow,
            what: () => `an event among ${JSON.stringify(this.list)}`,
        });
        return found.data;
    }

    // Waits for so many events of that name; returns the last of them.
    async script(name, count = 1) {
        await until(() => this.scripts(name).length >= count, {
            timeout: 5000 * slow,
            what: () => `${count} of ${name} among ${JSON.stringify(this.list)}`,
        });
        return this.scripts(name)[count - 1];
    }

    close() {
        this.request.destroy();
    }
}

export class ScriptsRig {
    // files: what conf/ has beside a gateway.lua with two accounts; env, workers, scriptDir, clock.
    static async start(options = {}) {
        const rig = new ScriptsRig();
        rig.upstream = options.upstream ?? (await Upstream.start());
        rig.stopUpstream = !options.upstream;
        rig.conf = confDir({ 'gateway.lua': rig.config(), ...options.files });
        rig.dataDir = options.dataDir ?? join(tempDir('scripts'), 'data');
        rig.key = options.env?.ADMIN_KEY ?? API_KEY;
        rig.options = {
            dataDir: rig.dataDir,
            env: {
                LLM_GATE_CONF_DIR: options.confDir?.(rig.conf) ?? rig.conf,
                LLM_GATE_WORKERS: options.workers ?? 2,
                KEY_OF_A: keyOf('a'),
                KEY_OF_B: keyOf('b'),
                KEY_OF_C: keyOf('c'),
                ...options.env,
            },
        };
        rig.streams = [];
        try {
            rig.gateway = await startGateway(rig.options);
        } catch (error) {
            await stopAll(rig.stopUpstream && rig.upstream);
            throw error;
        }
        return rig;
    }

    // The text of a gateway.lua whose instance "pool" is the upstream.
    config(more = {}, accounts = ['a', 'b'], poolMore = {}) {
        const pool = instance('pool', this.upstream.base, accounts, poolMore);
        pool.options.catch_all = true;
        return `return ${lua({ providers: [pool], ...more })}\n`;
    }

    async restart(change = () => {}) {
        this.closeEvents();
        await this.gateway.stop();
        await change();
        this.gateway = await startGateway(this.options);
    }

    closeEvents() {
        for (const stream of this.streams.splice(0)) {
            stream.close();
        }
    }

    stop() {
        this.closeEvents();
        return stopAll(this.gateway, this.stopUpstream && this.upstream);
    }

    async events(options) {
        const stream = await Events.open(this.gateway, { key: this.key, ...options });
        this.streams.push(stream);
        await stream.wait(({ type }) => type === 'snapshot');
        return stream;
    }

    // The whole answer of /admin/api/scripts..., in which there is never a secret.
    async call(method, path, body, more = {}) {
        const answer = await this.gateway.call({
            method,
            path: `/admin/api/scripts${path}`,
            key: this.key,
            body,
            ...more,
        });
        for (const secret of [this.key, API_KEY, ...['a', 'b', 'c'].map(keyOf)]) {
            assert.ok(!answer.text.includes(secret), `${method} ${path} shows a secret`);
        }
        return answer;
    }

    // The body of an answer with that status.
    async ask(method, path, body, status = 200) {
        const answer = await this.call(method, path, body);
        assert.equal(answer.status, status, `${method} ${path}: ${answer.text.slice(0, 1000)}`);
        assert.match(answer.headers['content-type'], /^application\/json/);
        assert.equal(answer.headers['cache-control'], 'no-store');
        return answer.json;
    }

    get(path = '') {
        return this.ask('GET', path);
    }

    // Publishes files; the answer with that status.
    publish(files, more = {}, status = 200) {
        return this.ask('POST', '/publish', { files, ...more }, status);
    }

    check(files, more = {}) {
        return this.ask('POST', '/check', { files, ...more });
    }

    async running() {
        return (await this.get()).generation;
    }

    // One chat request: who answered, or the status and the message of an error.
    async chat(model = 'm', more = {}, options = {}) {
        const answer = await this.gateway.chat(model, more, options);
        return answer.status === 200
            ? who(answer)
            : `${answer.status} ${answer.json.error.message}`;
    }

    // What saying() said, by as many requests as it takes for every worker to be asked.
    async says(word) {
        for (let i = 0; i < 4; i++) {
            assert.equal(await this.chat(), `418 ${word}`);
        }
    }

    // Waits until the running generation is that one.
    async until(number) {
        await until(async () => (await this.running()) === number, {
            timeout: 5000 * slow,
            what: () => `generation ${number}; ${this.gateway.tail}`,
        });
    }

    // conf/ as { name: text }.
    disk(dir = this.conf) {
        const files = {};
        for (const name of readdirSync(dir, { recursive: true }).sort()) {
            if (statSync(join(dir, name)).isFile()) {
                files[name] = readFileSync(join(dir, name), 'utf8');
            }
        }
        return files;
    }
}

// Runs body(rig) with a rig of its own.
export async function withRig(options, body) {
    const rig = await ScriptsRig.start(options);
    try {
        await body(rig);
    } finally {
        await rig.stop();
    }
}
