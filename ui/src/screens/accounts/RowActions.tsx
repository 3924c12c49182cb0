// What can be done to one account.
import {
    clearAccount,
    deleteAccount,
    modelsOf,
    patchAccount,
    refreshAccount,
    restoreAccount,
    testAccount,
} from '../../api/accounts';
import { isModelWanted } from '../../api/client';
import type { Account, TestResult } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { took } from '../../i18n/format';
import { nameOf } from '../../live/store';
import { Menu, type MenuItem } from '../../parts/Menu';
import { toast, toastError, toastUndo } from '../../parts/Toasts';
import { adding } from '../add/AddAccount';
import { asked } from './AccountDialog';

const attempt = (task: Promise<unknown>) => task.catch((error: unknown) => toastError(errorText(error)));

async function remove({ id, alias }: Account): Promise<void> {
    await deleteAccount(id);
    toastUndo(t('toast.deleted', { a: alias }), t('undo'), () => void attempt(restore({ id, alias })));
}

async function restore({ id, alias }: Pick<Account, 'id' | 'alias'>): Promise<void> {
    await restoreAccount(id);
    toast(t('toast.restored', { a: alias }));
}

// A provider that names no models has its service asked for them; the first will do.
async function ask(id: string): Promise<TestResult> {
    try {
        return await testAccount(id);
    } catch (error) {
        const [model] = isModelWanted(error) ? await modelsOf(id) : [];
        if (model === undefined) {
            throw error;
        }
        return testAccount(id, model);
    }
}

async function test({ id, alias }: Account): Promise<void> {
    const result = await ask(id);
    if (result.ok) {
        toast(t('test.good', { a: alias, model: result.model, took: took(result.latency_ms) }));
    } else {
        toastError(t('test.bad', { a: alias, why: result.message ?? result.code ?? result.verdict }));
    }
}

async function refresh({ id, alias }: Account): Promise<void> {
    await refreshAccount(id);
    toast(t('toast.refreshed', { a: alias }));
}

const signIn = ({ id, alias, provider }: Account) => (adding.value = { renew: { id, alias, provider } });

// What a deleted account still allows.
function itemsOfDeleted(account: Account): MenuItem[] {
    return [
        { text: t('acc.restore'), run: () => void attempt(restore(account)) },
        {
            text: t('acc.purge'),
            run: () => (asked.value = { what: 'purge', account }),
            isDanger: true,
        },
    ];
}

function itemsOf(account: Account, onRename: () => void): MenuItem[] {
    const { id, enabled, kind, source, state } = account;
    const isPaused = state === 'cooling' || state === 'limited' || state === 'exhausted';
    const isLogin = kind === 'oauth';
    const isKeyed = kind === 'api_key' && source === 'stored';
    return [
        { text: t('acc.rename'), run: onRename },
        { text: t('acc.edit'), run: () => (asked.value = { what: 'edit', account }) },
        ...(isKeyed
            ? [{ text: t('acc.key'), run: () => (asked.value = { what: 'key' as const, account }) }]
            : []),
        {
            text: t(enabled ? 'acc.disable' : 'acc.enable'),
            run: () => void attempt(patchAccount(id, { enabled: !enabled })),
        },
        { text: t('acc.test'), run: () => void attempt(test(account)) },
        ...(isPaused ? [{ text: t('acc.retry'), run: () => void attempt(clearAccount(id)) }] : []),
        ...(isLogin ? [{ text: t('acc.refresh'), run: () => void attempt(refresh(account)) }] : []),
        ...(isLogin && source === 'stored'
            ? [{ text: t('acc.signin'), run: () => signIn(account) }]
            : []),
        ...(source === 'stored'
            ? [{ text: t('acc.delete'), run: () => void attempt(remove(account)), isDanger: true }]
            : []),
    ];
}

// Beside the menu: what the account needs to serve again.
function Wanted({ account }: { account: Account }) {
    if (account.state === 'deleted') {
        return (
            <button class="small" onClick={() => void attempt(restore(account))}>
                {t('acc.restore')}
            </button>
        );
    }
    if (account.state !== 'needs_sign_in') {
        return null;
    }
    if (account.kind === 'oauth' && account.source === 'stored') {
        return (
            <button class="small" onClick={() => signIn(account)}>
                {t('acc.signin')}
            </button>
        );
    }
    return (
        <button class="small" onClick={() => void attempt(clearAccount(account.id))}>
            {t('acc.retry')}
        </button>
    );
}

export function RowActions({ account, onRename }: { account: Account; onRename: () => void }) {
    const items = account.state === 'deleted' ? itemsOfDeleted(account) : itemsOf(account, onRename);
    return (
        <>
            <Wanted account={account} />
            <Menu label={t('acc.more', { a: nameOf(account) })} items={items} />
        </>
    );
}
