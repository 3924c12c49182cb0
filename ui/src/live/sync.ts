// Keeps the store up to date: everything once, then by the live stream while the page is seen, and by
// asking every five seconds while there is no stream.
import { eventsAddress, get, sessionOver } from '../api/client';
import type { Account, Alert, Provider, Stats, Trace } from '../api/types';
import { setGatewayTime } from './clock';
import {
    accounts,
    alerts,
    changesNow,
    dropAccount,
    everythingChanged,
    isOutdated,
    link,
    providers,
    putAccounts,
    putRequests,
    putScript,
    putStats,
    recent,
    type ScriptEvent,
    sessionsChanged,
    setAccounts,
    stats,
    traceKey,
} from './store';
import { Stream } from './stream';

const FIRST_MS = 500; // to wait for the stream before asking without it
const POLL_MS = 5000;
const REFRESH_MS = 30_000; // with the stream: what it does not bring
const HIDDEN_MS = 10_000; // a tab that is hidden so long gives its connection back
const PAGE = 500;
const RECENT = 50;

interface AccountsPage {
    accounts: Account[];
    next: string | null;
}

async function loadAccounts(): Promise<void> {
    const asked = changesNow();
    const all: Account[] = [];
    let after: string | null = '';
    while (after !== null) {
        const from: string = after ? `&after=${encodeURIComponent(after)}` : '';
        const page: AccountsPage = await get<AccountsPage>(`/accounts?limit=${PAGE}${from}`);
        all.push(...page.accounts);
        after = page.next;
    }
    setAccounts(all, asked);
}

async function loadStats(): Promise<void> {
    const fresh = await get<Stats>('/stats');
    setGatewayTime(fresh.now);
    stats.value = fresh;
}

async function loadRecent(): Promise<void> {
    const { requests } = await get<{ requests: Trace[] }>(`/requests?limit=${RECENT}`);
    if (recent.value === null || requests.length === 0) {
        recent.value = requests;
    } else {
        const seen = new Set(recent.value.map(traceKey));
        putRequests(requests.filter((one) => !seen.has(traceKey(one))));
    }
}

async function loadAlerts(): Promise<void> {
    alerts.value = (await get<{ alerts: Alert[] }>('/alerts')).alerts;
}

export async function loadProviders(): Promise<void> {
    providers.value = (await get<{ providers: Provider[] }>('/providers')).providers;
}

let loading: Promise<unknown> | null = null;

// At most one run at a time. What fails leaves what is known; the link's state says that it is old.
function load(tasks: (() => Promise<void>)[]): Promise<boolean> {
    const run = (loading ?? Promise.resolve()).then(async () => {
        const results = await Promise.allSettled(tasks.map((task) => task()));
        return results.every((one) => one.status === 'fulfilled');
    });
    loading = run;
    return run;
}

const ALL = [loadAccounts, loadStats, loadRecent, loadAlerts, loadProviders];
const OFTEN = [loadAccounts, loadStats, loadRecent];

// After a change to many accounts at once.
export const syncAccounts = () => load([loadAccounts]);

let isWaiting = false; // a resync that has not begun: one more would do the same

async function resync(): Promise<void> {
    if (isWaiting) {
        return;
    }
    isWaiting = true;
    const begin = async () => {
        isWaiting = false;
    };
    await load([begin, ...ALL]);
    everythingChanged.value++;
}

let startedAt = 0; // of the gateway that the page has seen

let version = ''; // of the gateway that this page came from

interface Snapshot {
    version: string;
    started: number;
}

function onSnapshot(snapshot: Snapshot): void {
    version ||= snapshot.version;
    isOutdated.value = snapshot.version !== version;
    // A gateway that was started anew counts from zero: nothing that is shown may be trusted.
    const isOther = startedAt !== 0 && snapshot.started !== startedAt;
    startedAt = snapshot.started;
    if (isOther) {
        recent.value = null;
    }
    void resync();
}

// An account, or the id of one that is gone for ever.
type AccountChange = Account | { id: string; purged: true };

function onAccounts(changes: AccountChange[]): void {
    putAccounts(changes.filter((one): one is Account => !('purged' in one)));
    changes.filter((one) => 'purged' in one).forEach((one) => dropAccount(one.id));
}

const stream = new Stream(eventsAddress, {
    snapshot: (data) => onSnapshot(data as Snapshot),
    account: (data) => onAccounts(data as AccountChange[]),
    stats: (data) => putStats(data as Partial<Stats>),
    request: (data) => putRequests((data as { requests: Trace[] }).requests),
    script: (data) => putScript(data as ScriptEvent),
    auth: () => sessionsChanged.value++,
    resync: () => void resync(),
});

let timer: ReturnType<typeof setTimeout> | undefined;

async function tick(): Promise<void> {
    const isLive = stream.isOpen;
    const missing = accounts.value === null ? ALL : OFTEN;
    const good = await load(isLive ? [loadStats, loadAlerts] : missing);
    if (!stream.isOpen && !document.hidden) {
        link.value = good ? 'polling' : 'lost';
    }
    plan();
}

function plan(): void {
    clearTimeout(timer);
    if (!document.hidden && !sessionOver.value) {
        const wait = accounts.value === null ? FIRST_MS : POLL_MS;
        timer = setTimeout(() => void tick(), stream.isOpen ? REFRESH_MS : wait);
    }
}

function pauseWhenHidden(): void {
    let hiding: ReturnType<typeof setTimeout> | undefined;
    const look = () => {
        clearTimeout(hiding);
        if (document.hidden) {
            hiding = setTimeout(() => {
                stream.stop();
                clearTimeout(timer);
                link.value = 'paused';
            }, HIDDEN_MS);
        } else if (link.value === 'paused') {
            link.value = 'connecting';
            stream.start();
            plan();
        }
    };
    document.addEventListener('visibilitychange', look);
    look(); // a tab may be opened in the background
}

export function start(): void {
    stream.onState = (isOpen) => {
        if (isOpen) {
            link.value = 'live';
        } else if (link.value === 'live') {
            link.value = 'connecting';
        }
        plan();
    };
    // Nobody who may not listen is served by asking on.
    sessionOver.subscribe((over) => {
        if (over) {
            stream.stop();
            clearTimeout(timer);
        }
    });
    // The stream's snapshot has everything loaded; where there is no stream, the first poll does.
    stream.start();
    plan();
    pauseWhenHidden();
    addEventListener('pagehide', () => stream.stop());
    addEventListener('pageshow', (event) => {
        if (event.persisted) {
            stream.start();
        }
    });
}
