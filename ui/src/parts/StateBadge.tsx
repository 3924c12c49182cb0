// An account's state as a shape and a word: never by colour alone.
import type { AccountState } from '../api/types';
import { type Key, t } from '../i18n';
import { duration } from '../i18n/format';
import { now } from '../live/clock';

export const STATES: AccountState[] = [
    'serving',
    'cooling',
    'limited',
    'exhausted',
    'needs_sign_in',
    'no_credential',
    'disabled',
    'deleted',
];

export const stateName = (state: AccountState) => t(`state.${state}` as Key);

function Countdown({ until }: { until: number }) {
    return <span class="quiet">{duration(until - now.value)}</span>;
}

interface Props {
    state: AccountState;
    until?: number | null;
}

export function StateBadge({ state, until }: Props) {
    const counts = state === 'cooling' || state === 'limited';
    return (
        <span class={`state is-${state}`}>
            <i aria-hidden="true" />
            {stateName(state)} {counts && until ? <Countdown until={until} /> : null}
        </span>
    );
}
