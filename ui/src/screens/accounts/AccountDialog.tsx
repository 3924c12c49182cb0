// What an account's menu asks in a dialog. It stays open when the account leaves the rows that are
// shown: a filter by state must not close what somebody is writing in.
import { signal } from '@preact/signals';
import { purgeAccount } from '../../api/accounts';
import type { Account } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { dropAccount, nameOf } from '../../live/store';
import { Confirm } from '../../parts/Confirm';
import { toast, toastError } from '../../parts/Toasts';
import { EditAccount } from './EditAccount';

export const asked = signal<{ what: 'edit' | 'key' | 'purge'; account: Account } | null>(null);

async function purge({ id, alias }: Account): Promise<void> {
    try {
        await purgeAccount(id);
        dropAccount(id);
        toast(t('toast.purged', { a: alias }));
    } catch (error) {
        toastError(errorText(error));
    }
}

export function AccountDialog() {
    if (!asked.value) {
        return null;
    }
    const { what, account } = asked.value;
    const close = () => (asked.value = null);
    if (what !== 'purge') {
        return <EditAccount account={account} isKey={what === 'key'} onClose={close} />;
    }
    return (
        <Confirm
            title={t('purge.title', { a: nameOf(account) })}
            text={t('purge.text')}
            action={t('acc.purge')}
            onYes={() => void purge(account)}
            onClose={close}
        />
    );
}
