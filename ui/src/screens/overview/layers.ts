// What of a series is drawn: requests by outcome, latency, or tokens.
import type { Point, Range, Series } from '../../api/types';
import { t } from '../../i18n';
import { clock, day, hourMinute, moment } from '../../i18n/format';
import type { ChartProps, Layer } from '../../parts/Chart';

export const VIEWS = ['requests', 'latency', 'tokens'] as const;
export type View = (typeof VIEWS)[number];

const pick = (points: Point[], read: (point: Point) => number) => points.map(read);

function requests(points: Point[]): Layer[] {
    return [
        { label: t('out.success'), color: '--chart-ok', values: pick(points, (p) => p.success) },
        { label: t('out.cancelled'), color: '--chart-gone', values: pick(points, (p) => p.cancelled) },
        { label: t('fig.limited'), color: '--warn-fill', values: pick(points, (p) => p.limited) },
        { label: t('out.error'), color: '--err-fill', values: pick(points, (p) => p.error) },
    ];
}

// Stacked too: from the median up to what all but one in twenty stay below.
function latency(points: Point[]): Layer[] {
    const p50 = pick(points, (p) => p.p50_ms ?? 0);
    const p95 = pick(points, (p) => Math.max(0, (p.p95_ms ?? 0) - (p.p50_ms ?? 0)));
    const shown = pick(points, (p) => p.p95_ms ?? 0);
    return [
        { label: t('chart.p95'), color: '--chart-gone', values: p95, shown },
        { label: t('chart.p50'), color: '--chart-ok', values: p50 },
    ];
}

function tokens(points: Point[]): Layer[] {
    return [
        {
            label: t('chart.out'),
            color: '--chart-gone',
            values: pick(points, (p) => p.completion_tokens),
        },
        { label: t('chart.in'), color: '--chart-ok', values: pick(points, (p) => p.prompt_tokens) },
    ];
}

const LAYERS = { requests, latency, tokens };

export function chartOf(series: Series, view: View, range: Range): ChartProps {
    return {
        timeLabel: t('log.time'),
        times: pick(series.points, (p) => p.at),
        step: series.step_ms,
        layers: LAYERS[view](series.points),
        writeTime: range === '1h' ? clock : moment,
        writeTick: range === '30d' ? day : hourMinute,
    };
}

export function summary(series: Series): string {
    const sum = (read: (point: Point) => number) => series.points.reduce((all, p) => all + read(p), 0);
    return t('chart.summary', {
        ok: sum((p) => p.success),
        limited: sum((p) => p.limited),
        errors: sum((p) => p.error),
    });
}
