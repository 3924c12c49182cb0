// What can be done to all selected accounts at once, and taken back.
import { useState } from 'preact/hooks';
import { bulk, type BulkAction } from '../../api/accounts';
import type { Account, BulkResult } from '../../api/types';
import { bodyText, errorText } from '../../errors';
import { type Key, t } from '../../i18n';
import { syncAccounts } from '../../live/sync';
import { toast, toastError, toastUndo } from '../../parts/Toasts';

const AT_ONCE = 1000; // accounts that one call takes

const BACK: Partial<Record<BulkAction, BulkAction>> = {
    enable: 'disable',
    disable: 'enable',
    delete: 'restore',
};

async function inParts(ids: string[], action: BulkAction): Promise<BulkResult['results']> {
    const results: BulkResult['results'] = [];
    for (let at = 0; at < ids.length; at += AT_ONCE) {
        results.push(...(await bulk(ids.slice(at, at + AT_ONCE), action)).results);
    }
    return results;
}

function tellRefused(results: BulkResult['results']): void {
    const refused = results.filter((one) => !one.ok);
    if (refused.length > 0) {
        const [{ id, error }] = refused;
        toastError(t('bulk.refused', { n: refused.length, id, why: bodyText(error) }));
    }
}

// changed: those of the ids that were not as wanted already; only they are taken back.
async function act(ids: string[], action: BulkAction, changed: string[]): Promise<void> {
    const results = await inParts(ids, action);
    await syncAccounts();
    tellRefused(results);
    const good = new Set(results.filter((one) => one.ok).map((one) => one.id));
    if (good.size === 0) {
        return;
    }
    const text = t(`bulk.${action}` as Key, { n: good.size });
    const back = BACK[action];
    const undone = changed.filter((id) => good.has(id));
    if (back && undone.length > 0) {
        toastUndo(text, t('undo'), () => void run(undone, back, []));
    } else {
        toast(text);
    }
}

const run = (ids: string[], action: BulkAction, changed: string[]) =>
    act(ids, action, changed).catch((error: unknown) => toastError(errorText(error)));

const ACTIONS: { action: BulkAction; label: Key; is?: (account: Account) => boolean }[] = [
    { action: 'enable', label: 'acc.enable', is: (one) => one.enabled },
    { action: 'disable', label: 'acc.disable', is: (one) => !one.enabled },
    { action: 'clear', label: 'acc.retry' },
    { action: 'delete', label: 'acc.delete' },
];

const OF_DELETED: typeof ACTIONS = [{ action: 'restore', label: 'acc.restore' }];

interface Props {
    chosen: Account[];
    onDone: () => void;
}

export function BulkBar({ chosen, onDone }: Props) {
    const [isBusy, setBusy] = useState(false);
    const actions = chosen.every((one) => one.state === 'deleted') ? OF_DELETED : ACTIONS;
    const start = async ({ action, is }: (typeof ACTIONS)[number]) => {
        const changed = chosen.filter((one) => !is?.(one)).map((one) => one.id);
        setBusy(true);
        await run(
            chosen.map((one) => one.id),
            action,
            changed,
        );
        setBusy(false);
        onDone();
    };
    return (
        <div class="bulk" role="group" aria-label={t('bulk.label')}>
            <span>{t('bulk.selected', { n: chosen.length })}</span>
            {actions.map((one) => (
                <button
                    key={one.action}
                    class="small"
                    disabled={isBusy}
                    onClick={() => void start(one)}
                >
                    {t(one.label)}
                </button>
            ))}
            <button class="small ghost" onClick={onDone}>
                {t('bulk.unselect')}
            </button>
        </div>
    );
}
