// The conversation. It lives as long as the page, also while another screen is shown, and is kept
// nowhere else.
import { batch, computed, signal } from '@preact/signals';
import { ApiError, get } from '../../api/client';
import { chat, ChatError, type ChatHandlers, type ChatMessage, type ChatTrace } from '../../api/chat';
import type { Refusal } from '../../api/scripts';
import { errorText } from '../../errors';
import { onRequests } from '../../live/store';
import { isDirty } from '../scripts/draft';
import { Answer, type Failure } from './answer';
import { bodyOf, options, setOptions } from './options';
import { forgetStage, stageDraft } from './staging';

export interface Turn {
    key: number;
    question: string;
    answer: Answer;
}

export const turns = signal<Turn[]>([]);

// What is typed and not sent yet.
export const typed = signal('');

// The turn whose way is shown; null: the last one.
export const chosen = signal<number | null>(null);

export const shownTurn = computed(
    () => turns.value.find((one) => one.key === chosen.value) ?? turns.value.at(-1) ?? null,
);

export const isAnswering = computed(() => turns.value.at(-1)?.answer.isRunning ?? false);

let lastKey = 0;
let stopper: AbortController | null = null;

// The draft is used where it differs from what runs.
export const sendsDraft = computed(() => options.value.usesDraft && isDirty.value);

// 128 bits: the logs know the request by it, also if it is stopped before anything has come.
function newId(): string {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return `console-${Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')}`;
}

// A turn without an answer is not sent again: services refuse such conversations.
export function messagesOf(before: Turn[]): ChatMessage[] {
    return before
        .filter(({ answer }) => answer.text.length > 0)
        .flatMap(({ question, answer }): ChatMessage[] => [
            { role: 'user', content: question },
            { role: 'assistant', content: answer.text.toString() },
        ]);
}

// The conversation up to the question of this turn.
export function askedIn(turn: Turn): ChatMessage[] {
    const before = turns.value.slice(0, turns.value.indexOf(turn));
    return [...messagesOf(before), { role: 'user', content: turn.question }];
}

function handlersOf(answer: Answer): ChatHandlers {
    return {
        onId: (id) => (answer.id = id || answer.id),
        onTrace: (trace) => (answer.trace.value = trace),
        onDelta: (delta) => answer.add(delta),
        onUsage: (usage) => (answer.usage.value = usage),
        onFinish: (reason) => (answer.finish.value = reason),
    };
}

function failureOf(error: unknown): Failure {
    if (!(error instanceof ApiError)) {
        return { message: errorText(error), type: '', code: '', status: 0, problems: [] };
    }
    const refusal = error.body as Refusal;
    return {
        message: error.message,
        type: error instanceof ChatError ? error.type : '',
        code: error.code,
        status: error.status,
        problems: refusal.report?.problems ?? refusal.problems ?? [],
    };
}

const isStageGone = (error: unknown) => error instanceof ApiError && error.code === 'unknown_stage';

async function request(turn: Turn, signal: AbortSignal): Promise<void> {
    const { answer } = turn;
    const body = bodyOf(answer.model, askedIn(turn));
    const send = async () => {
        const stage = answer.isDraft ? await stageDraft() : null;
        signal.throwIfAborted();
        answer.begin(newId());
        await chat(body, { id: answer.id, stage, signal }, handlersOf(answer));
    };
    try {
        await send();
    } catch (error) {
        if (!isStageGone(error)) {
            throw error;
        }
        forgetStage();
        await send();
    }
}

async function run(turn: Turn): Promise<void> {
    const { answer } = turn;
    const stop = new AbortController();
    stopper = stop;
    answer.begin('');
    try {
        await request(turn, stop.signal);
        answer.end('done');
    } catch (error) {
        if (stop.signal.aborted) {
            answer.end('stopped');
        } else {
            answer.end('failed', failureOf(error));
        }
    }
}

export function ask(question: string, model: string): void {
    if (isAnswering.value) {
        return;
    }
    setOptions({ model }); // whatever is served from now on
    const answer = new Answer(model, sendsDraft.value, options.value.isStreamed);
    const turn = { key: ++lastKey, question, answer };
    turns.value = [...turns.value, turn];
    chosen.value = null;
    void run(turn);
}

export const stop = () => stopper?.abort();

// The last question again, with what is set now.
export function retry(model: string): void {
    const last = turns.value.at(-1);
    if (last && !isAnswering.value) {
        turns.value = turns.value.slice(0, -1);
        ask(last.question, model);
    }
}

export function clear(): void {
    stop();
    turns.value = [];
    chosen.value = null;
}

// When a request has ended, the gateway knows more of it than its answer could say.
async function complete(answer: Answer): Promise<void> {
    try {
        const path = `/requests/${encodeURIComponent(answer.id)}`;
        const { request } = await get<{ request: ChatTrace }>(path);
        batch(() => {
            answer.trace.value = request;
            answer.isTraceWhole.value = true;
        });
    } catch {
        // The gateway was started anew, or has forgotten it: what is known stays.
    }
}

onRequests((fresh) => {
    const ended = new Set(fresh.map(({ id }) => id));
    for (const { answer } of turns.value) {
        if (answer.id !== '' && ended.has(answer.id)) {
            void complete(answer);
        }
    }
});
