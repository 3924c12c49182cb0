// The requests that the gateway remembers, and those that come in.
import { useCallback } from 'preact/hooks';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { Empty } from '../../parts/Empty';
import { Icon } from '../../parts/Icon';
import { Panel } from '../../parts/Panel';
import { Skeleton } from '../../parts/Skeleton';
import { refine, route } from '../../router';
import { isFiltered, type LogFilter, readFilter } from './filter';
import { Filters } from './Filters';
import { RequestDrawer } from './RequestDrawer';
import { RequestTable } from './RequestTable';
import { useLog } from './useLog';

interface PauseProps {
    isPaused: boolean;
    waiting: number;
    onChange: (isPaused: boolean) => void;
}

function Pause({ isPaused, waiting, onChange }: PauseProps) {
    const text = waiting > 0 ? t('log.resume.n', { n: waiting }) : t('log.resume');
    return (
        <button aria-pressed={isPaused} onClick={() => onChange(!isPaused)}>
            <Icon name={isPaused ? 'play' : 'pause'} />
            {isPaused ? text : t('log.pause')}
        </button>
    );
}

export function Logs({ query }: { query: URLSearchParams }) {
    const filter = readFilter(query);
    const opened = query.get('id') ?? '';
    const { rows, next, failed, waiting, isPaused, setPaused, more } = useLog(filter);
    const setFilter = (wanted: LogFilter) => refine({ ...wanted });
    // The same function each time, so that rows which are drawn need not be drawn again.
    const open = useCallback((id: string) => refine({ ...readFilter(route.value.query), id }), []);
    return (
        <Panel
            title={t('nav.logs')}
            aside={
                <>
                    <Filters value={filter} rows={rows ?? []} onChange={setFilter} />
                    <Pause isPaused={isPaused} waiting={waiting} onChange={setPaused} />
                </>
            }
        >
            {failed ? (
                <p class="hint panel-note" role="alert">
                    {errorText(failed)}
                </p>
            ) : null}
            {rows === null && !failed && <Skeleton rows={6} />}
            {rows?.length === 0 && (
                <Empty text={t(isFiltered(filter) ? 'log.none' : 'recent.none')}>
                    {isFiltered(filter) && <button onClick={() => refine({})}>{t('acc.none.do')}</button>}
                </Empty>
            )}
            {rows && rows.length > 0 && <RequestTable rows={rows} onOpen={open} />}
            {next !== null && (
                <footer class="panel-foot">
                    <button onClick={more}>{t('log.older')}</button>
                </footer>
            )}
            {opened && <RequestDrawer key={opened} id={opened} onClose={() => setFilter(filter)} />}
        </Panel>
    );
}
