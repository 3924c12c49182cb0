// How many accounts are in which state; a click shows only those.
import type { Account, AccountState } from '../../api/types';
import { t } from '../../i18n';
import { num } from '../../i18n/format';
import { stateName, STATES } from '../../parts/StateBadge';

interface Props {
    all: Account[];
    value: AccountState | '';
    onChange: (state: AccountState | '') => void;
}

export function StateChips({ all, value, onChange }: Props) {
    const count = (state: AccountState) => all.filter((one) => one.state === state).length;
    const shown = STATES.map((state) => ({ state, n: count(state) })).filter(
        ({ state, n }) => n > 0 || state === value,
    );
    return (
        <div class="chips" role="group" aria-label={t('acc.states')}>
            {shown.map(({ state, n }) => (
                <button
                    key={state}
                    class={`chip is-${state}`}
                    aria-pressed={state === value}
                    onClick={() => onChange(state === value ? '' : state)}
                >
                    <i aria-hidden="true" />
                    {stateName(state)} <b>{num(n)}</b>
                </button>
            ))}
        </div>
    );
}
