// One replayed request: both decisions, and the way to what happened when it came.
import type { DryRow } from '../../../api/scripts';
import { t } from '../../../i18n';
import { exact } from '../../../i18n/format';
import { Dialog } from '../../../parts/Dialog';
import { DecisionCard } from './DecisionCard';

interface Props {
    row: DryRow;
    onExplain: () => void;
    onClose: () => void;
}

export function DryDrawer({ row, onExplain, onClose }: Props) {
    return (
        <Dialog title={row.model} kind="drawer" onClose={onClose}>
            <div class="drawer-body">
                <p>
                    {exact(row.at)} · {t('pair', { a: t('req.key'), b: row.key })}
                    <br />
                    <small>{row.id}</small>
                </p>
                <DecisionCard title={t('dry.after')} decision={row.after} />
                <DecisionCard title={t('dry.before')} decision={row.before} />
                <button onClick={onExplain}>{t('dry.explain')}</button>
            </div>
        </Dialog>
    );
}
