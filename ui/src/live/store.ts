// What the page knows of the gateway. Filled by sync.ts and by the answers to the page's own calls.
import { computed, signal } from '@preact/signals';
import type { Account, Alert, Provider, Stats, Trace } from '../api/types';

export const RECENT_MAX = 200;

// null: not known yet.
export const accounts = signal<Account[] | null>(null);
export const stats = signal<Stats | null>(null);
export const recent = signal<Trace[] | null>(null);
export const providers = signal<Provider[] | null>(null);
export const alerts = signal<Alert[]>([]);

// live: by the stream; polling: without it; paused: the tab is hidden; lost: no answer.
export const link = signal<'connecting' | 'live' | 'polling' | 'paused' | 'lost'>('connecting');

// The gateway is another version than the one that this page came from.
export const isOutdated = signal(false);

// Counts what else may have changed: who shows sessions or series asks again.
export const sessionsChanged = signal(0);
export const everythingChanged = signal(0);

export const present = computed(() => accounts.value?.filter((one) => one.state !== 'deleted') ?? null);

export const wantsSignIn = computed(
    () => present.value?.some((one) => one.state === 'needs_sign_in') ?? false,
);

const byId = (a: Account, b: Account) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);

// An answer on its way says less than what came after it was asked for: each change is counted.
let changes = 0;
const changedAt = new Map<string, number>();
const markChanged = (id: string) => changedAt.set(id, ++changes);

// Before a list is asked for; setAccounts() wants it.
export const changesNow = () => changes;

// A whole list, but for what has changed since it was asked for.
export function setAccounts(list: Account[], asked: number): void {
    const isNewer = ({ id }: Account) => (changedAt.get(id) ?? 0) > asked;
    const newer = accounts.value?.filter(isNewer) ?? [];
    accounts.value = [...list.filter((one) => !isNewer(one)), ...newer].sort(byId);
}

export function putAccounts(fresh: Account[]): void {
    if (accounts.value === null || fresh.length === 0) {
        return;
    }
    const known = new Map(accounts.value.map((one) => [one.id, one]));
    for (const account of fresh) {
        markChanged(account.id);
        // An answer without a sparkline leaves the one that is known.
        known.set(account.id, { spark: known.get(account.id)?.spark, ...account });
    }
    accounts.value = [...known.values()].sort(byId);
}

export const putAccount = (account: Account) => putAccounts([account]);

export function dropAccount(id: string): void {
    markChanged(id);
    accounts.value = accounts.value?.filter((one) => one.id !== id) ?? null;
}

export function putStats(fresh: Partial<Stats>): void {
    const old = stats.value;
    if (old === null) {
        return;
    }
    stats.value = {
        ...old,
        ...fresh,
        accounts: { ...old.accounts, ...fresh.accounts },
        today: fresh.today && old.today ? { ...old.today, ...fresh.today } : (fresh.today ?? old.today),
    };
}

type RequestListener = (fresh: Trace[]) => void;
const listeners = new Set<RequestListener>();

// Returns how to stop listening.
export function onRequests(listener: RequestListener): () => void {
    listeners.add(listener);
    return () => listeners.delete(listener);
}

// A client may use an id twice: the time tells such requests apart.
export const traceKey = (trace: Trace) => `${trace.at}-${trace.id}`;

// Newest first, whatever order they come in.
export function putRequests(fresh: Trace[]): void {
    const sorted = [...fresh].sort((a, b) => b.at - a.at);
    const seen = new Set(sorted.map(traceKey));
    const old = recent.value?.filter((one) => !seen.has(traceKey(one))) ?? [];
    recent.value = [...sorted, ...old].slice(0, RECENT_MAX);
    for (const listener of listeners) {
        listener(sorted);
    }
}

// Accounts of the environment are numbered: a bare number says nothing without its provider.
export const nameOf = ({ id, alias }: { id: string; alias: string }) =>
    alias === '' || /^\d+$/.test(alias) ? id : alias;

// The name of the account that answered, or was asked last; '': none was.
export function askedLast(trace: Trace): string {
    const last = trace.attempts?.at(-1);
    const id = trace.account ?? last?.account ?? '';
    return nameOf({ id, alias: trace.alias ?? last?.alias ?? '' });
}

// What the live stream says of scripts: `published`, `disk` or `takeover`.
export interface ScriptEvent {
    event: 'published' | 'disk' | 'takeover';
    generation?: number;
    origin?: string;
    author?: string;
    note?: string;
    differs?: boolean;
    problems?: number;
    failed?: number;
    of?: number;
}

type ScriptListener = (event: ScriptEvent) => void;
const scriptListeners = new Set<ScriptListener>();

// Returns how to stop listening.
export function onScript(listener: ScriptListener): () => void {
    scriptListeners.add(listener);
    return () => scriptListeners.delete(listener);
}

export function putScript(event: ScriptEvent): void {
    for (const listener of scriptListeners) {
        listener(event);
    }
}
