// Calls about accounts and logins. What comes back goes to the store at once, so that a page never
// waits for the live stream to show what its own click did.
import { putAccount } from '../live/store';
import { call, get } from './client';
import type { Account, BulkResult, ImportResult, Limits, Login, TestResult } from './types';

const at = (id: string) => `/accounts/${encodeURIComponent(id)}`;

async function keep(answer: Promise<{ account: Account }>): Promise<Account> {
    const { account } = await answer;
    putAccount(account);
    return account;
}

export interface AccountPatch {
    alias?: string;
    enabled?: boolean;
    tags?: string[];
    weight?: number | null;
    limits?: Limits | null;
    api_key?: string;
}

export interface NewAccount {
    provider: string;
    alias?: string;
    api_key: string;
    enabled?: boolean;
}

export const addAccount = (account: NewAccount) =>
    keep(call<{ account: Account }>('POST', '/accounts', account));

export const patchAccount = (id: string, patch: AccountPatch) =>
    keep(call<{ account: Account }>('PATCH', at(id), patch));

export const deleteAccount = (id: string) => keep(call<{ account: Account }>('DELETE', at(id)));

export const restoreAccount = (id: string) =>
    keep(call<{ account: Account }>('POST', `${at(id)}/restore`));

export const purgeAccount = (id: string) => call<{ purged: string }>('DELETE', `${at(id)}?purge=1`);

export const clearAccount = (id: string) => keep(call<{ account: Account }>('POST', `${at(id)}/clear`));

export const refreshAccount = (id: string) =>
    keep(call<{ account: Account }>('POST', `${at(id)}/refresh`));

// The account may have changed by it: a good answer takes a pause off, a bad one is its last error.
export async function testAccount(id: string, model?: string): Promise<TestResult> {
    const result = await call<TestResult>('POST', `${at(id)}/test`, model ? { model } : {});
    await reloadAccount(id);
    return result;
}

export const reloadAccount = (id: string) => keep(get<{ account: Account }>(at(id)));

export type BulkAction = 'enable' | 'disable' | 'delete' | 'restore' | 'clear';

export const bulk = (ids: string[], action: BulkAction) =>
    call<BulkResult>('POST', '/accounts/bulk', { ids, action });

// What the service lists for this account, asked now.
export const modelsOf = async (id: string) =>
    (await get<{ models: string[] }>(`${at(id)}/models`)).models;

export const importLogins = (provider: string, accounts: { alias?: string; oauth: object }[]) =>
    call<ImportResult>('POST', '/accounts/import', { provider, accounts });

interface LoginAnswer {
    login: Login;
}

export const startLogin = async (wanted: { provider?: string; alias?: string; account?: string }) =>
    (await call<LoginAnswer>('POST', '/logins', wanted)).login;

export const readLogin = async (id: string) => (await get<LoginAnswer>(`/logins/${id}`)).login;

export const cancelLogin = (id: string) => call<unknown>('DELETE', `/logins/${id}`);
