// The accounts as a table, on a phone as cards, with what can be done to them. On the screen of the
// accounts the filters are in the address.
import { useCallback, useState } from 'preact/hooks';
import type { Account, AccountState } from '../../api/types';
import { t } from '../../i18n';
import { accounts } from '../../live/store';
import { Empty } from '../../parts/Empty';
import { Find } from '../../parts/Find';
import { Icon } from '../../parts/Icon';
import { Panel } from '../../parts/Panel';
import { Skeleton } from '../../parts/Skeleton';
import { refine, route } from '../../router';
import { adding } from '../add/AddAccount';
import { AccountDialog } from './AccountDialog';
import { AccountsTable } from './AccountsTable';
import { BulkBar } from './BulkBar';
import { StateChips } from './StateChips';

// More are a click away: the page stays quick with thousands.
const ROWS = 50;
const ROWS_MORE = 100;
const ROWS_OVERVIEW = 20;

interface Filter {
    text: string;
    state: AccountState | '';
}

function useFilter(isScreen: boolean): [Filter, (next: Filter) => void] {
    const [own, setOwn] = useState<Filter>({ text: '', state: '' });
    if (!isScreen) {
        return [own, setOwn];
    }
    const { query } = route.value;
    const filter = { text: query.get('q') ?? '', state: (query.get('state') ?? '') as AccountState | '' };
    return [filter, (next) => refine({ q: next.text, state: next.state })];
}

// Deleted accounts are seen only when they are asked for.
function matching(all: Account[], { text, state }: Filter): Account[] {
    const wanted = text.trim().toLowerCase();
    return all.filter((one) => {
        const isState = state ? one.state === state : one.state !== 'deleted';
        const words = `${one.alias}\n${one.id}\n${one.tags.join('\n')}`.toLowerCase();
        return isState && words.includes(wanted);
    });
}

// Of all that the filter finds, also of those that are a click away.
function useSelection(found: Account[]) {
    const [picked, setPicked] = useState<ReadonlySet<string>>(new Set());
    const chosen = found.filter((one) => picked.has(one.id)); // what a filter hides is not acted on
    const toggle = useCallback(
        (id: string) =>
            setPicked((old) => {
                const next = new Set(old);
                if (!next.delete(id)) {
                    next.add(id);
                }
                return next;
            }),
        [],
    );
    const isAll = chosen.length === found.length;
    const toggleAll = () => setPicked(new Set(isAll ? [] : found.map((one) => one.id)));
    return { chosen, isAll, toggle, toggleAll, clear: () => setPicked(new Set()) };
}

function NoAccounts({ isFiltered, onClear }: { isFiltered: boolean; onClear: () => void }) {
    if (isFiltered) {
        return (
            <Empty text={t('acc.none')}>
                <button onClick={onClear}>{t('acc.none.do')}</button>
            </Empty>
        );
    }
    return (
        <Empty text={t('acc.empty')}>
            <button onClick={() => (adding.value = {})}>{t('acc.add')}</button>
        </Empty>
    );
}

export function AccountsPanel({ isScreen = false }: { isScreen?: boolean }) {
    const [filter, setFilter] = useFilter(isScreen);
    const [limit, setLimit] = useState(isScreen ? ROWS : ROWS_OVERVIEW);
    const all = accounts.value;
    const found = all ? matching(all, filter) : [];
    const rows = found.slice(0, limit);
    const selection = useSelection(found);
    const tools =
        selection.chosen.length > 0 ? (
            <BulkBar chosen={selection.chosen} onDone={selection.clear} />
        ) : (
            <>
                <StateChips
                    all={all ?? []}
                    value={filter.state}
                    onChange={(state) => setFilter({ ...filter, state })}
                />
                <Find
                    label={t('acc.filter')}
                    value={filter.text}
                    onChange={(text) => setFilter({ ...filter, text })}
                />
            </>
        );
    const aside = (
        <>
            {tools}
            <button class="primary" onClick={() => (adding.value = {})}>
                <Icon name="plus" />
                {t('acc.add')}
            </button>
        </>
    );
    return (
        <Panel title={t('nav.accounts')} aside={aside}>
            {all === null && <Skeleton rows={3} />}
            {rows.length > 0 && <AccountsTable rows={rows} selection={selection} />}
            {all && rows.length === 0 && (
                <NoAccounts
                    isFiltered={filter.text !== '' || filter.state !== ''}
                    onClear={() => setFilter({ text: '', state: '' })}
                />
            )}
            {found.length > rows.length && (
                <footer class="panel-foot">
                    <button onClick={() => setLimit(limit + ROWS_MORE)}>
                        {t('more', { n: found.length - rows.length })}
                    </button>
                </footer>
            )}
            <AccountDialog />
        </Panel>
    );
}
