// One answer, as it comes.
import { signal } from '@preact/signals';
import type { ChatDelta, ChatTrace, ChatUsage, ToolPart } from '../../api/chat';
import type { Problem } from '../../api/scripts';
import { Growing } from './growing';

// waiting: nothing has come; stopped: by the person who asked.
export type AnswerState = 'waiting' | 'coming' | 'done' | 'stopped' | 'failed';

export interface Failure {
    message: string;
    type: string;
    code: string;
    status: number; // 0: there was no answer
    problems: Problem[]; // of draft scripts
}

export interface ToolCall {
    index: number;
    id: string;
    name: string;
    input: Growing;
}

export class Answer {
    readonly text = new Growing();
    readonly reasoning = new Growing();
    readonly hasText = signal(false);
    readonly hasReasoning = signal(false);
    readonly calls = signal<ToolCall[]>([]);
    readonly state = signal<AnswerState>('waiting');
    readonly failure = signal<Failure | null>(null);
    readonly trace = signal<ChatTrace | null>(null);
    readonly isTraceWhole = signal(false); // not from the beginning of the answer
    readonly usage = signal<ChatUsage | null>(null);
    readonly finish = signal('');
    readonly firstMs = signal<number | null>(null);
    readonly totalMs = signal<number | null>(null);
    id = ''; // of the request
    private startedAt = 0;

    constructor(
        readonly model: string,
        readonly isDraft: boolean,
        readonly isStreamed: boolean,
    ) {}

    get isRunning(): boolean {
        return this.state.value === 'waiting' || this.state.value === 'coming';
    }

    begin(id: string): void {
        this.id = id;
        this.startedAt = performance.now();
    }

    add(delta: ChatDelta): void {
        const text = delta.content || delta.refusal;
        const reasoning = delta.reasoning_content || delta.reasoning;
        if (typeof reasoning === 'string' && reasoning !== '') {
            this.come();
            this.reasoning.add(reasoning);
            this.hasReasoning.value = true;
        }
        if (typeof text === 'string' && text !== '') {
            this.come();
            this.text.add(text);
            this.hasText.value = true;
        }
        for (const part of delta.tool_calls ?? []) {
            this.come();
            this.addCall(part);
        }
    }

    end(state: AnswerState, failure: Failure | null = null): void {
        this.totalMs.value = performance.now() - this.startedAt;
        this.failure.value = failure;
        this.state.value = state;
    }

    private come(): void {
        if (this.state.value === 'waiting') {
            this.firstMs.value = performance.now() - this.startedAt;
            this.state.value = 'coming';
        }
    }

    // A call is told by its index, and by its id where services leave the index at 0.
    private addCall({ index = 0, id = '', function: called }: ToolPart): void {
        let call = this.calls.value.findLast((one) => one.index === index);
        if (!call || (id !== '' && call.id !== '' && id !== call.id)) {
            call = { index, id, name: called?.name ?? '', input: new Growing() };
            this.calls.value = [...this.calls.value, call];
        } else if (!call.name && called?.name) {
            const named = { ...call, name: called.name };
            this.calls.value = this.calls.value.map((one) => (one === call ? named : one));
            call = named;
        }
        call.input.add(called?.arguments ?? '');
    }
}
