// What tests of the playground have in common.
import { chunkOf } from '../../tests/upstream/scenarios.mjs';

export const USAGE = { prompt_tokens: 9, completion_tokens: 18, total_tokens: 27 };
export const MODELS =
    'return { fast = "openai/gpt-4o", nowhere = function() return "openai/gpt-4o" end }\n';

// A service that says what it says by itself again, whatever the test before had in mind.
export function forget({ rig: { mock } }, usual) {
    mock.byModel.clear();
    mock.otherwise(usual);
    mock.requests.length = 0;
}

// A stream that waits for the test between its pieces.
export class Held {
    constructor(gate, model) {
        this.steps = [];
        this.began = new Promise((done) => (this.begin = done));
        gate.rig.mock.when(model, async (request, reply) => {
            this.connection = reply.connection;
            await reply.head();
            this.begin(reply);
            await new Promise((done) => {
                this.finish = done;
                reply.closed.then(done);
            });
        });
    }

    async send(...deltas) {
        const reply = await this.began;
        for (const delta of deltas) {
            await reply.event(chunkOf(delta));
        }
    }

    async end() {
        const reply = await this.began;
        await reply.event(chunkOf({}, 'stop'));
        await reply.event({ ...chunkOf({}), choices: [], usage: USAGE });
        await reply.event('[DONE]');
        await reply.end();
        this.finish();
    }
}

export async function playground(gate, options) {
    const tab = await gate.open(options);
    await tab.go('playground');
    await tab.page.locator('#play-question').waitFor();
    return tab;
}

export const field = (tab) => tab.page.locator('#play-question');
export const answers = (tab) => tab.page.locator('.play-answer');
export const steps = (tab) => tab.page.locator('.play-steps');
// The chats that the service was asked.
export const chats = (gate) => gate.rig.mock.requests.filter((one) => one.method === 'POST');

export async function choose(tab, model) {
    const list = tab.page.locator('.play-composer select');
    const isListed = await list.locator('option', { hasText: model }).count();
    if (isListed > 0) {
        await list.selectOption(model);
    } else {
        await list.selectOption({ label: 'Another name…' });
        await tab.page.locator('.play-typed input').fill(model);
        await tab.page.locator('.play-typed button').click();
    }
}

export async function ask(tab, question) {
    await field(tab).fill(question);
    await field(tab).press('Enter');
}

// Until the answer is there, with all that the gateway knows of it.
export async function ended(tab, word = 'Done') {
    await steps(tab).getByText(word, { exact: true }).waitFor();
    await tab.page.locator('.play-figures').last().waitFor();
}
