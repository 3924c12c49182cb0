// POST /chat: a chat completion by the gateway, as a client's request would go, and explained.
import { ApiError, call, sessionOver } from './client';
import { SseReader } from './sse';
import type { ErrorBody, FullTrace } from './types';

const address = new URL('../admin/api/chat', location.href).pathname;
const EXPLAIN = 'x-gate-explain';

export interface ChatMessage {
    role: 'system' | 'user' | 'assistant';
    content: string;
}

export type ChatBody = Record<string, unknown> & { model: string; messages: ChatMessage[] };

export interface ChatUsage {
    prompt_tokens: number;
    completion_tokens: number;
}

// A part of a tool call: the first of its index has id and name, all have pieces of the arguments.
export interface ToolPart {
    index?: number;
    id?: string;
    function?: { name?: string; arguments?: string };
}

// A piece of an answer, or all of it.
export interface ChatDelta {
    content?: string | null;
    refusal?: string | null;
    reasoning_content?: string | null;
    reasoning?: string | null;
    tool_calls?: ToolPart[] | null;
}

// What is known of the request when its answer begins. Of a decision that is too long for a header,
// only id and generation are there.
export type ChatTrace = Partial<FullTrace> & Pick<FullTrace, 'id' | 'generation'>;

export interface ChatHandlers {
    onId: (id: string) => void;
    onTrace: (trace: ChatTrace) => void;
    onDelta: (delta: ChatDelta) => void;
    onUsage: (usage: ChatUsage) => void;
    onFinish: (reason: string) => void;
}

export interface ChatOptions {
    id: string; // of the request, for the logs
    stage: string | null;
    signal: AbortSignal;
}

// `code` is also one of these, which no answer of the gateway has: unreachable, broken_off (the
// connection was lost), cut_short (the stream ended before the answer did), not_understood.
export class ChatError extends ApiError {
    constructor(
        status: number,
        readonly type: string,
        code: string,
        message: string,
    ) {
        super(status, code, message);
    }
}

interface Chunk {
    choices?: {
        index?: number;
        delta?: ChatDelta;
        message?: ChatDelta;
        finish_reason?: string | null;
    }[];
    usage?: ChatUsage | null;
    error?: ErrorBody | string | null;
}

function parse<T>(text: string): T | null {
    try {
        return JSON.parse(text) as T;
    } catch {
        return null;
    }
}

function errorOf(status: number, error: ErrorBody | string | null | undefined, other: string): ChatError {
    if (typeof error === 'string' || !error) {
        return new ChatError(status, '', '', error || other);
    }
    return new ChatError(status, error.type ?? '', String(error.code ?? ''), error.message || other);
}

function takeTrace(text: string | null, handlers: ChatHandlers): void {
    const trace = text ? parse<ChatTrace>(text) : null;
    if (trace) {
        handlers.onTrace(trace);
    }
}

function takeChunk(status: number, text: string, handlers: ChatHandlers): void {
    const chunk = parse<Chunk>(text);
    if (chunk === null || typeof chunk !== 'object') {
        throw new ChatError(status, '', 'not_understood', text.slice(0, 200));
    }
    if (chunk.error) {
        throw errorOf(status, chunk.error, text.slice(0, 200));
    }
    const choice = chunk.choices?.find(({ index = 0 }) => index === 0);
    const delta = choice?.delta ?? choice?.message;
    if (delta) {
        handlers.onDelta(delta);
    }
    if (choice?.finish_reason) {
        handlers.onFinish(choice.finish_reason);
    }
    if (chunk.usage) {
        handlers.onUsage(chunk.usage);
    }
}

const SLICE_MS = 12;

// Pieces that are there already are read without a break: the page must come to its turn too. A timer
// would wait for seconds in a hidden tab.
function pause(): Promise<void> {
    return new Promise((done) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
            port1.close();
            done();
        };
        port2.postMessage(null);
    });
}

async function readStream(answer: Response, handlers: ChatHandlers): Promise<void> {
    let isOver = false; // [DONE]: nothing more is looked at
    let isWhole = false;
    const watched: ChatHandlers = {
        ...handlers,
        onFinish: (reason) => {
            isWhole = true;
            handlers.onFinish(reason);
        },
    };
    const events = new SseReader({
        onComment: (text) => {
            if (text.startsWith(`${EXPLAIN} `)) {
                takeTrace(text.slice(EXPLAIN.length + 1), handlers);
            }
        },
        onData: (data) => {
            isOver ||= data === '[DONE]';
            if (!isOver) {
                takeChunk(answer.status, data, watched);
            }
        },
    });
    const body = answer.body?.getReader();
    let pausedAt = performance.now();
    try {
        for (let part = await body?.read(); part && !part.done; part = await body?.read()) {
            events.push(part.value);
            if (performance.now() - pausedAt > SLICE_MS) {
                await pause();
                pausedAt = performance.now();
            }
        }
    } finally {
        void body?.cancel().catch(() => undefined);
    }
    if (!isOver && !isWhole) {
        throw new ChatError(answer.status, '', 'cut_short', '');
    }
}

async function readAnswer(answer: Response, handlers: ChatHandlers): Promise<void> {
    handlers.onId(answer.headers.get('x-request-id') ?? '');
    takeTrace(answer.headers.get(EXPLAIN), handlers);
    if (answer.ok && answer.headers.get('content-type')?.startsWith('text/event-stream')) {
        await readStream(answer, handlers);
        return;
    }
    const text = await answer.text();
    if (answer.ok) {
        takeChunk(answer.status, text, handlers);
        return;
    }
    const error = parse<{ error?: ErrorBody }>(text)?.error;
    const failure = errorOf(answer.status, error, `${answer.status} ${answer.statusText}`);
    if (answer.status === 401 && failure.code === 'session_expired') {
        sessionOver.value = true;
    }
    throw failure;
}

// Returns when the answer is complete. Throws a ChatError; what was received until then stays. When
// `signal` is aborted the connection is closed, and with it the gateway's own to the service.
export async function chat(body: ChatBody, options: ChatOptions, handlers: ChatHandlers): Promise<void> {
    const { id, stage, signal } = options;
    const headers: Record<string, string> = {
        'Content-Type': 'application/json',
        'X-Gate-UI': '1',
        'X-Request-Id': id,
    };
    if (stage !== null) {
        headers['X-Gate-Stage'] = stage;
    }
    let hasBegun = false;
    try {
        const sent = JSON.stringify(body);
        const answer = await fetch(address, {
            method: 'POST',
            headers,
            body: sent,
            signal,
            credentials: 'same-origin',
            cache: 'no-store',
        });
        hasBegun = true;
        await readAnswer(answer, handlers);
    } catch (error) {
        // Whatever else fetch throws says no more than that.
        throw signal.aborted || error instanceof ChatError
            ? error
            : new ChatError(0, '', hasBegun ? 'broken_off' : 'unreachable', '');
    }
}

export interface Stage {
    id: string;
    expires_at: number;
}

// Builds draft scripts beside those that run.
export const stageScripts = (files: Record<string, string | null>) =>
    call<{ stage: Stage }>('POST', '/scripts/stage', { files });
