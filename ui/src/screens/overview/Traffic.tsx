// The chart: requests, latency or tokens over the last hour, six hours, day or month.
import { useMemo, useState } from 'preact/hooks';
import { type Range, RANGES } from '../../api/types';
import { errorText } from '../../errors';
import { type Key, lang, t } from '../../i18n';
import { lazy } from '../../parts/lazy';
import { Segments } from '../../parts/Segments';
import { chartOf, summary, type View, VIEWS } from './layers';
import { useSeries } from './series';

const Space = <div class="chart" />;
const LazyChart = lazy(async () => (await import('../../parts/Chart')).Chart, Space);

export function Traffic() {
    const [range, setRange] = useState<Range>('1h');
    const [view, setView] = useState<View>('requests');
    const { series, failed } = useSeries(range).value;
    const chart = useMemo(() => series && chartOf(series, view, range), [series, view, lang.value]);
    return (
        <>
            <div class="chart-head">
                <h2>
                    {view === 'requests' ? t(`chart.per.${range}` as Key) : t(`chart.${view}` as Key)}
                </h2>
                <Segments
                    label={t('chart.view')}
                    values={VIEWS}
                    value={view}
                    name={(one) => t(`view.${one}` as Key)}
                    onChange={setView}
                />
                <Segments
                    label={t('chart.range')}
                    values={RANGES}
                    value={range}
                    name={(one) => t(`range.${one}` as Key)}
                    onChange={setRange}
                />
            </div>
            {chart ? <LazyChart {...chart} /> : Space}
            {series && <p class="unseen">{summary(series)}</p>}
            {failed && !series ? <p class="hint chart-failed">{errorText(failed)}</p> : null}
        </>
    );
}
