// What is sent beside the conversation, and the body that comes of it.
import { computed, signal } from '@preact/signals';
import type { ChatBody, ChatMessage } from '../../api/chat';

export interface Options {
    model: string; // empty: the first that is served, or none while it is typed
    isTyped: boolean;
    system: string;
    isStreamed: boolean;
    temperature: string;
    maxTokens: string;
    more: string; // other parameters, as JSON
    usesDraft: boolean;
}

export const options = signal<Options>({
    model: '',
    isTyped: false,
    system: '',
    isStreamed: true,
    temperature: '',
    maxTokens: '',
    more: '',
    usesDraft: false,
});

export function setOptions(some: Partial<Options>): void {
    options.value = { ...options.value, ...some };
}

// The other parameters; null: they are no object in JSON.
export const others = computed((): Record<string, unknown> | null => {
    const text = options.value.more.trim();
    if (text === '') {
        return {};
    }
    try {
        const value: unknown = JSON.parse(text);
        return typeof value === 'object' && value !== null && !Array.isArray(value)
            ? (value as Record<string, unknown>)
            : null;
    } catch {
        return null;
    }
});

const numberOf = (text: string) => (text.trim() === '' ? undefined : Number(text));

export function bodyOf(model: string, conversation: ChatMessage[]): ChatBody {
    const { system, isStreamed, temperature, maxTokens } = options.value;
    const first: ChatMessage[] = system.trim() === '' ? [] : [{ role: 'system', content: system }];
    return {
        ...others.value,
        model,
        messages: [...first, ...conversation],
        temperature: numberOf(temperature),
        max_tokens: numberOf(maxTokens),
        ...(isStreamed ? { stream: true, stream_options: { include_usage: true } } : { stream: false }),
    };
}
