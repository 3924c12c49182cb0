// Five figures of the day.
import { t } from '../../i18n';
import { compact, num, percent, took } from '../../i18n/format';
import { stats } from '../../live/store';
import { useSeries } from './series';

const NONE = '–';
const AGAIN_MS = 15_000;

// p95: of the last 24 hours; the day's sums have no distribution.
function figures(p95: number | null | undefined): [string, string][] {
    const today = stats.value?.today;
    // A client that went away says nothing about the gateway's success.
    const judged = today ? today.requests - today.cancelled : 0;
    const tokens = today ? today.prompt_tokens + today.completion_tokens : 0;
    return [
        [t('fig.requests'), today ? num(today.requests) : NONE],
        [t('fig.success'), today && judged > 0 ? percent(today.success / judged) : NONE],
        [t('fig.p95'), typeof p95 === 'number' ? took(p95) : NONE],
        [t('fig.tokens'), today ? compact(tokens) : NONE],
        [t('fig.limited'), today ? num(today.limited) : NONE],
    ];
}

export function Figures() {
    const { series } = useSeries('24h', AGAIN_MS).value;
    return (
        <dl class="figures">
            {figures(series?.total.p95_ms).map(([name, value]) => (
                <div key={name}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                </div>
            ))}
        </dl>
    );
}
