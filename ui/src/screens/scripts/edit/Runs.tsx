// What runs: the generation, who published it, and what each worker makes of it.
import type { Running, WorkerScripts } from '../../../api/scripts';
import { t } from '../../../i18n';
import { moment } from '../../../i18n/format';
import { running } from '../draft';
import { kilobytes, publisher } from './words';

function Worker({ at, worker, current }: { at: number; worker: WorkerScripts; current: number }) {
    return (
        <li>
            <span>{t('scr.worker', { w: String(at + 1) })}</span>
            <b class={worker.generation === current ? '' : 'is-behind'}>
                {t('scr.gen', { g: String(worker.generation) })}
            </b>
            <span>{t('scr.running', { n: worker.requests })}</span>
            <span class="memory">{kilobytes(worker.memory_bytes)}</span>
            {worker.older > 0 && <small class="older">{t('scr.older', { n: worker.older })}</small>}
        </li>
    );
}

function Published({ now }: { now: Running }) {
    const entry = now.published;
    if (!entry) {
        return null;
    }
    return (
        <>
            <small>
                {publisher(entry)}
                {t('join')}
                <time dateTime={new Date(entry.at).toISOString()}>{moment(entry.at)}</time>
            </small>
            {entry.note && <p class="note">{entry.note}</p>}
        </>
    );
}

export function Runs() {
    const now = running.value;
    if (!now) {
        return null;
    }
    return (
        <section class="runs" aria-label={t('scr.runs')}>
            <h2>{t('scr.runs.gen', { g: String(now.generation) })}</h2>
            <Published now={now} />
            <ol>
                {now.workers.map((worker, at) => (
                    <Worker key={at} at={at} worker={worker} current={now.generation} />
                ))}
            </ol>
            {now.needs_restart.length > 0 && (
                <p class="restart">
                    {t('scr.restart')} <code>{now.needs_restart.join(', ')}</code>
                </p>
            )}
        </section>
    );
}
