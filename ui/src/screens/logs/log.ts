// The rows of the logs as they grow: newer ones above, older ones below, never too many.
import type { Trace } from '../../api/types';
import { traceKey } from '../../live/store';
import { type LogFilter, matches } from './filter';

export const ROWS_MAX = 500; // in the page

export interface Page {
    requests: Trace[];
    next: string | null;
}

export interface Log {
    rows: Trace[] | null;
    next: string | null; // where older rows begin
    failed: unknown;
    isLoaded: boolean; // a page of these filters has come: the rows have no gaps
}

export const EMPTY: Log = { rows: null, next: null, failed: null, isLoaded: false };

function merge(fresh: Trace[], old: Trace[]): Trace[] {
    const seen = new Set(fresh.map(traceKey));
    return [...fresh, ...old.filter((one) => !seen.has(traceKey(one)))].sort((a, b) => b.at - a.at);
}

// What is cut off below is asked for again from there.
function cut(log: Log): Log {
    const rows = log.rows ?? [];
    const last = rows.at(ROWS_MAX - 1);
    return rows.length > ROWS_MAX && last
        ? { ...log, rows: rows.slice(0, ROWS_MAX), next: traceKey(last) }
        : log;
}

export const withLive = (old: Log, fresh: Trace[]): Log =>
    cut({ ...old, rows: merge(fresh, old.rows ?? []) });

// The newest page. Rows that came while it was under way are not in it; older ones stay where they
// follow it without a gap.
export function withNewest(old: Log, page: Page, arrived: Trace[]): Log {
    const rows = merge(arrived, page.requests);
    const known = new Set(old.rows?.map(traceKey));
    const follows = old.isLoaded && page.requests.some((one) => known.has(traceKey(one)));
    const log = { rows, next: page.next, failed: null, isLoaded: true };
    return follows && page.next !== null
        ? cut({ ...log, rows: merge(rows, old.rows ?? []), next: old.next })
        : log;
}

// With the next older page. The newest rows make way: from then on the page looks at the past.
export function withOlder(old: Log, page: Page): Log {
    const rows = merge(old.rows ?? [], page.requests).slice(-ROWS_MAX);
    return { ...old, rows, next: page.next, failed: null };
}

// What is known already of what other filters ask for.
export function refiltered(old: Log, filter: LogFilter): Log {
    const rows = old.rows?.filter((one) => matches(one, filter)) ?? [];
    return { ...EMPTY, rows: rows.length > 0 ? rows : null };
}
