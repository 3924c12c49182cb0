import { useMemo } from 'preact/hooks';
import type { Account } from '../../api/types';
import { lang, t } from '../../i18n';
import { AccountRow } from './AccountRow';

interface Props {
    rows: Account[];
    selection: {
        chosen: Account[];
        isAll: boolean;
        toggle: (id: string) => void;
        toggleAll: () => void;
    };
}

interface RowProps {
    account: Account;
    isPicked: boolean;
    onPick: (id: string) => void;
}

// The same element as before is skipped: of hundreds of rows only those that changed are drawn again.
function KeptRow({ account, isPicked, onPick }: RowProps) {
    return useMemo(
        () => <AccountRow account={account} isPicked={isPicked} onPick={onPick} />,
        [account, isPicked, onPick, lang.value],
    );
}

export function AccountsTable({ rows, selection }: Props) {
    const picked = new Set(selection.chosen.map((one) => one.id));
    return (
        <div class="scroll">
            <table class="accounts">
                <thead>
                    <tr>
                        <td class="col-pick">
                            <label class="pick">
                                <input
                                    type="checkbox"
                                    aria-label={t('acc.all')}
                                    checked={selection.isAll}
                                    indeterminate={picked.size > 0 && !selection.isAll}
                                    onChange={selection.toggleAll}
                                />
                            </label>
                        </td>
                        <th scope="col">{t('acc.name')}</th>
                        <th scope="col">{t('acc.state')}</th>
                        <th scope="col" class="col-latency">
                            {t('acc.latency')}
                        </th>
                        <th scope="col">
                            {t('acc.day')}
                            <span class="pace-key">{t('acc.pace')}</span>
                        </th>
                        <th scope="col" class="col-minute">
                            {t('acc.minute')}
                        </th>
                        <th scope="col" class="col-tokens number">
                            {t('fig.tokens')}
                        </th>
                        <th scope="col" class="col-error">
                            {t('acc.error')}
                        </th>
                        <td />
                    </tr>
                </thead>
                <tbody>
                    {rows.map((account) => (
                        <KeptRow
                            key={account.id}
                            account={account}
                            isPicked={picked.has(account.id)}
                            onPick={selection.toggle}
                        />
                    ))}
                </tbody>
            </table>
        </div>
    );
}
