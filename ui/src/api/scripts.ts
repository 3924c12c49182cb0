// Calls about scripts: what runs, checks, dry runs, publishing and history. docs/admin-api.md explains
// each member.
import { call, get, query } from './client';

// Texts by name; null: the file goes.
export type Files = Record<string, string>;
export type Edits = Record<string, string | null>;

export type Origin = 'start' | 'admin' | 'disk' | 'rollback' | 'takeover';

// An entry of the history.
export interface Entry {
    generation: number;
    at: number;
    origin: Origin;
    author: string | null;
    note: string | null;
    base: number | null;
    of: number | null; // whose texts it has again
    failed: boolean;
    files: number;
    bytes: number;
}

export interface Problem {
    file: string | null;
    line: number | null;
    column: number | null; // in bytes, from 1, as is end_column
    end_column: number | null;
    opener?: { line: number; column: number | null };
    severity: 'error' | 'warning';
    code: string;
    message: string;
    stack: string | null;
}

export interface Report {
    ok: boolean;
    errors: number;
    warnings: number;
    problems: Problem[];
    tests: { files: number; cases: number; failed: number };
    samples: number;
    recorded: number;
    needs_restart: string[];
    took_us: number;
}

export interface Disk {
    differs: boolean;
    at?: number;
    problems?: Problem[];
    files?: Files;
}

export interface WorkerScripts {
    generation: number; // that new requests get
    requests: number; // of it that run
    older: number; // that end with an earlier one
    memory_bytes: number;
}

export interface Running {
    generation: number;
    published: Entry | null;
    files: Files;
    needs_restart: string[];
    disk: Disk;
    workers: WorkerScripts[];
    counters: Record<string, number>;
}

export interface Change {
    base?: number;
    author?: string;
    note?: string;
    over_disk?: boolean;
}

export interface Published {
    generation: number;
    unchanged: boolean;
    warning?: string;
    took_us: number;
    report: Report;
}

// What the body of a refused publish has beside `error`.
export interface Refusal {
    generation?: number;
    files?: Files;
    problems?: Problem[];
    report?: Report;
}

export type DecisionOutcome = 'routed' | 'rejected' | 'unknown_model' | 'no_account' | 'error';

export interface Decision {
    outcome: DecisionOutcome;
    provider?: string | null;
    model?: string | null;
    account?: string | null;
    accounts?: string[];
    strategy?: string;
    targets?: { name: string; provider?: string | null; model?: string | null }[];
    status?: number;
    message?: string | null;
    reason?: string | null;
    stack?: string | null;
    took_us: number;
}

export type ChangeKind = 'none' | 'account' | 'model' | 'provider' | 'rejected' | 'served' | 'error';

export interface DryRow {
    id: string;
    at: number;
    model: string;
    key: string;
    change: ChangeKind;
    before: Decision;
    after: Decision;
}

export interface DryResult {
    requests: number;
    changed: number;
    changes: Record<ChangeKind, number>;
    rows: DryRow[];
    took_ms: number;
    decision_us: { median: number; p99: number; max: number };
}

export interface HistoryPage {
    generations: Entry[];
    next: number | null;
}

export interface Diff {
    added: number;
    removed: number;
    diff: string;
}

export const readScripts = () => get<Running>('/scripts');

export const checkScripts = (files: Edits, signal?: AbortSignal) =>
    call<Report>('POST', '/scripts/check', { files }, signal);

export const publishScripts = (files: Edits, change: Change) =>
    call<Published>('POST', '/scripts/publish', { files, ...change });

export const rollbackScripts = (generation: number, change: Change) =>
    call<Published>('POST', '/scripts/rollback', { generation, ...change });

export const dryRunScripts = (files: Edits, requests: number, signal?: AbortSignal) =>
    call<{ dry_run: DryResult; report: Report }>(
        'POST',
        '/scripts/dry-run',
        { files, requests },
        signal,
    );

export const readHistory = (before?: number, limit = 50) =>
    get<HistoryPage>(`/scripts/history${query({ limit, before })}`);

export const readGeneration = (generation: number) =>
    get<{ published: Entry; files: Files }>(`/scripts/history/${generation}`);

export const readDiff = (from: number | string, to: number | string = 'running') =>
    get<Diff>(`/scripts/diff${query({ from, to })}`);
