import type { Trace } from '../../api/types';
import { t } from '../../i18n';
import { accounts, nameOf, providers } from '../../live/store';
import type { LogFilter } from './filter';

const OUTCOMES = ['success', 'limited', 'error', 'cancelled'] as const;

interface Props {
    value: LogFilter;
    rows: Trace[];
    onChange: (filter: LogFilter) => void;
}

function outcomeName(outcome: (typeof OUTCOMES)[number]): string {
    return outcome === 'limited' ? t('fig.limited') : t(`out.${outcome}`);
}

// What may be asked for: the models that are known, and those that were.
function modelNames(rows: Trace[], chosen: string): string[] {
    const known = (providers.value ?? []).filter((one) => one.accounts > 0).flatMap((one) => one.models);
    const seen = rows.flatMap((one) => [one.model, one.upstream_model]);
    return [...new Set([chosen, ...seen, ...known])].filter((name) => name !== '').sort();
}

export function Filters({ value, rows, onChange }: Props) {
    return (
        <div class="filters">
            <select
                data-find
                aria-keyshortcuts="/"
                aria-label={t('log.outcome')}
                value={value.outcome}
                onChange={(event) => onChange({ ...value, outcome: event.currentTarget.value })}
            >
                <option value="">{t('log.outcome.all')}</option>
                {OUTCOMES.map((one) => (
                    <option key={one} value={one}>
                        {outcomeName(one)}
                    </option>
                ))}
            </select>
            <select
                aria-label={t('acc.name')}
                value={value.account}
                onChange={(event) => onChange({ ...value, account: event.currentTarget.value })}
            >
                <option value="">{t('log.account.all')}</option>
                {(accounts.value ?? []).map((one) => (
                    <option key={one.id} value={one.id}>
                        {nameOf(one)}
                    </option>
                ))}
            </select>
            <select
                aria-label={t('log.model')}
                value={value.model}
                onChange={(event) => onChange({ ...value, model: event.currentTarget.value })}
            >
                <option value="">{t('log.model.all')}</option>
                {modelNames(rows, value.model).map((one) => (
                    <option key={one}>{one}</option>
                ))}
            </select>
        </div>
    );
}
