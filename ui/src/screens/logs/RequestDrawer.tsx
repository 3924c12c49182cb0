// One request explained: where it went, who was asked, who was passed by, and why.
import { useEffect, useState } from 'preact/hooks';
import { get } from '../../api/client';
import type { FullTrace } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { Dialog } from '../../parts/Dialog';
import { Skeleton } from '../../parts/Skeleton';
import { Attempts } from './Attempts';
import { Facts } from './Facts';
import { PassedBy } from './PassedBy';

export function RequestDrawer({ id, onClose }: { id: string; onClose: () => void }) {
    const [trace, setTrace] = useState<FullTrace | null>(null);
    const [failed, setFailed] = useState<unknown>(null);
    useEffect(() => {
        const stop = new AbortController();
        get<{ request: FullTrace }>(`/requests/${encodeURIComponent(id)}`, stop.signal).then(
            ({ request }) => setTrace(request),
            (error: unknown) => !stop.signal.aborted && setFailed(error),
        );
        return () => stop.abort();
    }, [id]);
    return (
        <Dialog title={t('req.title')} kind="drawer" onClose={onClose}>
            <div class="drawer-body">
                {!trace && !failed && <Skeleton rows={4} />}
                {failed ? (
                    <p class="form-problem" role="alert">
                        {errorText(failed)}
                    </p>
                ) : null}
                {trace && (
                    <>
                        <Facts trace={trace} />
                        <Attempts trace={trace} />
                        <PassedBy trace={trace} />
                    </>
                )}
            </div>
        </Dialog>
    );
}
