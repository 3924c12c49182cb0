// The filters of the logs. The gateway applies them to what is asked for; the same rules hold here for
// rows that arrive live.
import type { Trace } from '../../api/types';

export interface LogFilter {
    outcome: string;
    account: string; // id
    model: string;
}

export const FILTER_NAMES = ['outcome', 'account', 'model'] as const;

export const readFilter = (query: URLSearchParams): LogFilter => ({
    outcome: query.get('outcome') ?? '',
    account: query.get('account') ?? '',
    model: query.get('model') ?? '',
});

export const isFiltered = (filter: LogFilter) => FILTER_NAMES.some((name) => filter[name] !== '');

// "error" stands for every error, "limited" for every limit.
const isOutcome = (outcome: string, wanted: string) =>
    outcome === wanted || (!wanted.includes(':') && outcome.startsWith(`${wanted}:`));

function isOfAccount(trace: Trace, account: string): boolean {
    const asked = trace.accounts ?? trace.attempts?.map((one) => one.account) ?? [];
    return asked.includes(account);
}

export function matches(trace: Trace, { outcome, account, model }: LogFilter): boolean {
    return (
        (outcome === '' || isOutcome(trace.outcome, outcome)) &&
        (account === '' || isOfAccount(trace, account)) &&
        (model === '' || trace.model === model || trace.upstream_model === model)
    );
}
