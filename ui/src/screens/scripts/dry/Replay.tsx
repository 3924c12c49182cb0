// The draft, tried on requests that were recorded.
import { useEffect } from 'preact/hooks';
import { t } from '../../../i18n';
import { num } from '../../../i18n/format';
import { Empty } from '../../../parts/Empty';
import { Skeleton } from '../../../parts/Skeleton';
import { go } from '../../../router';
import { isDirty } from '../draft';
import { Refused } from './Refused';
import { Result } from './Result';
import { type Count, count, COUNTS, isOld, isRunning, run, tried } from './run';

function lead(): string {
    const result = tried.value?.result;
    return result ? t('dry.lead', { n: result.requests, c: num(result.changed) }) : t('dry.lead.none');
}

function choose(value: string): void {
    count.value = Number(value) as Count;
    void run();
}

function Head() {
    return (
        <header class="view-head">
            <p role="status">
                {isOld.value ? <span class="dry-old">{t('dry.old')}</span> : lead()}
            </p>
            <select
                aria-label={t('dry.count')}
                value={count.value}
                onChange={(event) => choose(event.currentTarget.value)}
            >
                {COUNTS.map((one) => (
                    <option key={one} value={one}>
                        {t('dry.count.n', { n: one })}
                    </option>
                ))}
            </select>
            <button disabled={isRunning.value} onClick={() => void run()}>
                {tried.value ? t('dry.again') : t('dry.run')}
            </button>
        </header>
    );
}

export function Replay() {
    useEffect(() => {
        if (isDirty.value && !tried.value) {
            void run();
        }
    }, []);
    if (!isDirty.value) {
        return (
            <Empty text={t('dry.none')}>
                <button onClick={() => go('#/scripts')}>{t('chg.none.do')}</button>
            </Empty>
        );
    }
    const { result, error } = tried.value ?? { result: null, error: null };
    return (
        <>
            <Head />
            <div class={isOld.value ? 'dry-result is-old' : 'dry-result'} aria-busy={isRunning.value}>
                {!tried.value && <Skeleton rows={5} />}
                {error ? <Refused error={error} /> : null}
                {result && <Result result={result} />}
            </div>
        </>
    );
}
