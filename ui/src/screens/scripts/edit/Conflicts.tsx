// The question that a refused publish leaves.
import { t } from '../../../i18n';
import { Confirm } from '../../../parts/Confirm';
import { running } from '../draft';
import { DiskDialog } from './DiskDialog';
import { conflict } from './publish';
import { StaleDialog } from './StaleDialog';
import { publishedTitle } from './words';

export function Conflicts() {
    const now = running.value;
    const open = conflict.value;
    if (!open || !now) {
        return null;
    }
    if (open.kind === 'disk') {
        return <DiskDialog {...open} />;
    }
    if (open.kind === 'stale') {
        return <StaleDialog key={now.generation} now={now} />;
    }
    return (
        <Confirm
            title={publishedTitle(now)}
            text={t('scr.rolled.stale')}
            action={t('scr.rolled.anyway')}
            onYes={() => void open.again()}
            onClose={() => (conflict.value = null)}
        />
    );
}
