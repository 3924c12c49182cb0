// How long an answer took and how many tokens it has.
import { t } from '../../i18n';
import { num, took } from '../../i18n/format';
import type { Answer } from './answer';

export interface TokenCount {
    prompt: number;
    completion: number;
    isEstimated: boolean;
}

// As the service says; where it says nothing, as the gateway estimates when the request has ended.
export function tokensOf({ usage, trace, state }: Answer): TokenCount | null {
    if (usage.value) {
        const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = usage.value;
        return { prompt, completion, isEstimated: false };
    }
    const { prompt_tokens: prompt = 0, completion_tokens: completion = 0 } = trace.value ?? {};
    return state.value !== 'failed' && prompt + completion > 0
        ? { prompt, completion, isEstimated: true }
        : null;
}

const SHORTEST_MS = 50; // a speed that is measured over less says nothing

// While the answer came; of an answer that came whole, over all its time.
export function speedOf(answer: Answer): string {
    const count = tokensOf(answer);
    const { value: total } = answer.totalMs;
    const first = answer.isStreamed ? (answer.firstMs.value ?? 0) : 0;
    if (!count || count.completion === 0 || total === null || total - first < SHORTEST_MS) {
        return '';
    }
    const speed = (count.completion * 1000) / (total - first);
    return t('play.speed', { v: speed < 10 ? speed.toFixed(1) : num(Math.round(speed)) });
}

export function tokensText(answer: Answer): string {
    const count = tokensOf(answer);
    if (!count) {
        return '';
    }
    const text = t('play.tokens', { in: count.prompt, out: count.completion });
    return count.isEstimated ? text + t('join') + t('req.estimated') : text;
}

export function Figures({ answer }: { answer: Answer }) {
    const { value: first } = answer.firstMs;
    const { value: total } = answer.totalMs;
    const parts = [
        tokensText(answer),
        speedOf(answer),
        answer.isStreamed && first !== null && t('play.first', { t: took(first) }),
        total !== null && t('play.total', { t: took(total) }),
    ];
    return (
        <ul class="play-figures">
            {parts.filter(Boolean).map((part, at) => (
                <li key={at}>{part}</li>
            ))}
        </ul>
    );
}
