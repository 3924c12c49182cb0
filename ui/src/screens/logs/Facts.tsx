// What is known of the request as a whole.
import type { FullTrace } from '../../api/types';
import { t } from '../../i18n';
import { exact, num, took } from '../../i18n/format';
import { Outcome } from '../../parts/Outcome';

function tokens(trace: FullTrace): string {
    const { prompt_tokens: prompt, completion_tokens: completion, cached_tokens: cached } = trace;
    if (prompt + completion === 0) {
        return '–';
    }
    const text = t('req.tokens.text', { in: prompt, out: completion });
    const more = [
        cached > 0 && t('req.cached', { c: cached }),
        trace.usage_estimated && t('req.estimated'),
    ];
    return [text, ...more].filter(Boolean).join(t('join'));
}

function input({ input: given, stream }: FullTrace): string {
    const parts = [stream ? t('req.stream') : t('req.whole')];
    if (given) {
        parts.push(t('req.messages', { n: given.messages }));
        if (given.tools > 0) {
            parts.push(t('req.tools', { n: given.tools }));
        }
        if (given.has_images) {
            parts.push(t('req.images'));
        }
    }
    return parts.join(t('join'));
}

// Of an error, "the first token" is its message: that says nothing.
const first = (trace: FullTrace) =>
    trace.first_ms === undefined || trace.completion_tokens === 0 ? '–' : took(trace.first_ms);

const generation = (trace: FullTrace) =>
    trace.generation === null ? t('play.by.draft') : num(trace.generation);

function lines(trace: FullTrace): [string, string][] {
    const all: [string, string][] = [
        [t('log.time'), exact(trace.at)],
        [t('req.input'), input(trace)],
        [t('log.took'), took(trace.total_ms)],
        [t('req.first'), first(trace)],
        [t('log.tokens'), tokens(trace)],
        [t('req.bytes'), t('req.tokens.text', { in: trace.bytes_in, out: trace.bytes_out })],
        [t('req.generation'), `${generation(trace)} · ${trace.strategy}`],
        [t('req.status'), String(trace.status)],
        [t('req.key'), trace.key || '–'],
    ];
    return trace.reason ? [...all, [t('req.reason'), trace.reason]] : all;
}

export function Facts({ trace }: { trace: FullTrace }) {
    const target = trace.provider ? `${trace.provider}/${trace.upstream_model}` : trace.upstream_model;
    return (
        <>
            <p class="route-line">
                <code>{trace.model}</code> → <code>{target || '–'}</code>
            </p>
            <p>
                <Outcome outcome={trace.outcome} /> <small>{trace.id}</small>
            </p>
            <dl class="facts">
                {lines(trace).map(([name, value]) => (
                    <div key={name}>
                        <dt>{name}</dt>
                        <dd>{value}</dd>
                    </div>
                ))}
            </dl>
        </>
    );
}
