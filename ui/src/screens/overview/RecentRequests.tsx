// The last requests. All of them are in the logs.
import { t } from '../../i18n';
import { recent, stats } from '../../live/store';
import { Empty } from '../../parts/Empty';
import { Panel } from '../../parts/Panel';
import { Skeleton } from '../../parts/Skeleton';
import { address, go } from '../../router';
import { RequestTable } from '../logs/RequestTable';

const SHOWN = 8;

export function RecentRequests() {
    const rows = recent.value;
    // Rows are kept for fewer days than counts, and a busy gateway keeps the last ones only.
    const wasUsed = (stats.value?.today?.requests ?? 0) > 0;
    return (
        <Panel title={t('recent.title')} aside={<a href={address('logs')}>{t('recent.all')}</a>}>
            {rows === null && <Skeleton rows={3} />}
            {rows?.length === 0 && <Empty text={t(wasUsed ? 'recent.lost' : 'recent.none')} />}
            {rows && rows.length > 0 && (
                <RequestTable rows={rows.slice(0, SHOWN)} onOpen={(id) => go(address('logs', { id }))} />
            )}
        </Panel>
    );
}
