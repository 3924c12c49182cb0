// What the admin API answers, as far as the console reads it. docs/admin-api.md explains each member.

export type AccountState =
    | 'serving'
    | 'cooling'
    | 'limited'
    | 'exhausted'
    | 'needs_sign_in'
    | 'no_credential'
    | 'disabled'
    | 'deleted';

export interface Meter {
    used: number;
    limit: number | null;
    percent: number | null;
    resets_at_ms?: number | null;
}

export interface Usage {
    requests_minute?: Meter;
    requests_day?: Meter;
    tokens_minute?: Meter;
    tokens_day?: Meter;
    concurrency?: Meter;
    blocked_until_ms?: number | null;
}

export interface Quota {
    zone?: string;
    day_elapsed?: number; // 0 to 1: how much of the quota's day is gone
    chat?: Usage;
    search?: Usage;
}

export const LIMIT_NAMES = ['rpm', 'rpd', 'tpm', 'tpd', 'concurrency'] as const;
export type LimitName = (typeof LIMIT_NAMES)[number];
export type Limits = Partial<Record<'chat' | 'search', Partial<Record<LimitName, number>>>>;

export interface LastError {
    at: number;
    verdict: string;
    status: number;
    code: string;
    message: string;
}

export interface Account {
    id: string;
    alias: string;
    provider: string;
    plugin: string;
    kind: 'api_key' | 'oauth' | 'none';
    source: 'config' | 'stored';
    origin: string;
    enabled: boolean;
    created_at: number | null;
    deleted_at: number | null;
    state: AccountState;
    until: number | null;
    problem: string | null;
    expires_at: number | null;
    last_error: LastError | null;
    latency_ms: number | null;
    in_flight: number;
    served: number;
    failed: number;
    last_used: number | null;
    tags: string[];
    weight: number | null;
    limits: Limits;
    effective: { tags?: string[]; weight?: number; limits: Limits };
    quota: Quota;
    spark?: number[]; // requests per 5 minutes of the last 2 hours
}

export interface Sums {
    requests: number;
    success: number;
    limited: number;
    errors: number;
    cancelled: number;
    prompt_tokens: number;
    completion_tokens: number;
    total_ms: number;
}

export type StateCounts = Record<AccountState, number> & {
    total: number;
    requests_left_today: number | null;
};

export interface Stats {
    version: string;
    now: number;
    started_at: number;
    uptime_ms: number;
    generation: number;
    active: number;
    served: number;
    workers: { active: number; served: number }[];
    accounts: StateCounts;
    storage: { failing: boolean; problem: string | null; directory: string };
    today: (Sums & { ends_at: number }) | null;
}

export interface Attempt {
    account: string;
    alias: string;
    target: number;
    verdict: string;
    status: number;
    start_ms: number;
    took_ms: number;
    probe: boolean;
    last_resort: boolean;
    code?: string;
    reason?: string;
    action?: string;
    cooldown_ms?: number;
    requests_minute: number;
    requests_day: number;
    tokens_minute: number;
    tokens_day: number;
}

export interface PassedBy {
    account: string;
    alias: string;
    target: number;
    reason: string;
    limit?: string;
    until?: number;
}

// A request as the live stream brings it.
export interface Trace {
    id: string;
    at: number;
    kind: 'chat' | 'search';
    model: string;
    upstream_model: string;
    provider: string;
    status: number;
    outcome: string;
    total_ms: number;
    first_ms?: number;
    prompt_tokens: number;
    completion_tokens: number;
    account?: string; // the one that was asked last
    alias?: string;
    accounts?: string[]; // all that were asked
    attempts?: Attempt[];
}

// A request as GET /requests has it.
export interface FullTrace extends Trace {
    path: string;
    key: string;
    reason: string;
    stream: boolean;
    bytes_in: number;
    bytes_out: number;
    cached_tokens: number;
    usage_estimated: boolean;
    generation: number | null; // null: draft scripts have decided, those of `stage`
    stage?: string | null;
    strategy: string;
    input?: { messages: number; tools: number; has_images: boolean; max_tokens: number };
    attempts: Attempt[];
    passed_by: PassedBy[];
}

// By a key, by a device login, from a login that was made elsewhere.
export type Way = 'api_key' | 'login' | 'import';

export interface Provider {
    name: string;
    plugin: string;
    version: string;
    summary: string;
    dialect: string;
    kinds: Way[]; // how an account can be added
    logins: boolean;
    refresh: boolean;
    search: boolean;
    accounts: number;
    models: string[];
}

export interface Login {
    id: string;
    state: 'pending' | 'done' | 'denied' | 'expired' | 'failed' | 'cancelled';
    provider: string;
    account: string | null;
    user_code: string | null;
    verification_uri: string | null;
    verification_uri_complete: string | null;
    started_at: number;
    expires_at: number | null;
    message: string | null;
}

export interface TestResult {
    ok: boolean;
    account: string;
    model: string;
    status: number;
    latency_ms: number;
    verdict: string;
    code: string | null;
    message: string | null;
}

export interface ErrorBody {
    message: string;
    type?: string;
    code?: string | null;
    param?: string | null;
}

export interface BulkResult {
    results: { id: string; ok: boolean; error?: ErrorBody }[];
    ok: number;
    failed: number;
}

export interface ImportResult {
    results: { ok: boolean; account: string | null; alias?: string; error?: ErrorBody }[];
    added: number;
}

export const RANGES = ['1h', '6h', '24h', '30d'] as const;
export type Range = (typeof RANGES)[number];

export interface Totals {
    success: number;
    limited: number;
    error: number;
    cancelled: number;
    prompt_tokens: number;
    completion_tokens: number;
    p50_ms: number | null;
    p95_ms: number | null;
    first_p50_ms: number | null;
}

export interface Point extends Totals {
    at: number;
}

export interface Series {
    step_ms: number;
    from: number;
    to: number;
    total: Totals; // of all points together
    points: Point[];
}

export interface Alert {
    name: string;
    level: string;
    title: string;
    text: string;
    code: string | null; // what title and text say in other words: texts of the console
    values: Record<string, string | number>;
    since: number;
}

export interface Session {
    id: string;
    created: number;
    last_seen: number;
    expires: number;
    peer: string | null;
    agent: string | null;
    current: boolean;
}

export interface Config {
    listen_host: string;
    listen_port: number;
    workers: number;
    data_dir: string;
    conf_dir: string | null;
    admin_key: boolean;
    api_key_file: string | null; // null: the key comes from the environment
    secret: boolean;
    audit_retention_days: number;
    strategy: string;
    storage: { plugin: string };
    quota: { plugin: string };
    warnings: string[];
}
