// All generations that are kept, a page at a time.
import { errorText } from '../../../errors';
import { t } from '../../../i18n';
import { Skeleton } from '../../../parts/Skeleton';
import { running } from '../draft';
import { EntryRow } from './EntryRow';
import { useHistory } from './useHistory';

export function List() {
    const { entries, hasMore, failed, more } = useHistory();
    const now = running.value?.generation;
    return (
        <>
            {failed ? (
                <p class="form-problem panel-note" role="alert">
                    {errorText(failed)}
                </p>
            ) : null}
            {!entries && !failed && <Skeleton rows={6} />}
            {entries && (
                <ol class="history">
                    {entries.map((entry, at) => (
                        <EntryRow
                            key={entry.generation}
                            entry={entry}
                            previous={entries[at + 1]?.generation ?? null}
                            isRunning={entry.generation === now}
                        />
                    ))}
                </ol>
            )}
            {hasMore && (
                <footer class="panel-foot">
                    <button onClick={more}>{t('log.older')}</button>
                </footer>
            )}
        </>
    );
}
