// Decisions in words.
import type { ChangeKind, Decision } from '../../../api/scripts';
import { t } from '../../../i18n';
import { accounts, nameOf } from '../../../live/store';

// Errors first, as the rows come.
export const KINDS = ['error', 'rejected', 'served', 'provider', 'model', 'account'] as const;
export type Kind = Exclude<ChangeKind, 'none'>;

export function accountName(id: string): string {
    const known = accounts.value?.find((one) => one.id === id);
    return known ? nameOf(known) : id;
}

// Microseconds, as short as they are read.
export const micros = (us: number) => t('dry.us', { v: us < 10 ? us.toFixed(1) : String(Math.round(us)) });

export function targetName({ provider, model }: Pick<Decision, 'provider' | 'model'>): string {
    return provider ? `${provider}/${model}` : (model ?? '');
}

function rejection({ status, message }: Decision): string {
    const code = status ? `${t('dry.is.rejected')} ${status}` : t('dry.is.rejected');
    return message ? t('pair', { a: code, b: message }) : code;
}

// Where it goes, in a line. The provider is named where that says something.
export function route(decision: Decision, hasProvider: boolean): string {
    const first = decision.targets?.[0]?.name ?? '';
    switch (decision.outcome) {
        case 'routed': {
            const model = (hasProvider ? targetName(decision) : decision.model) ?? '';
            const { account } = decision;
            return account ? t('dry.on', { m: model, a: accountName(account) }) : model;
        }
        case 'rejected':
            return rejection(decision);
        case 'unknown_model':
            return first ? t('pair', { a: t('dry.is.unknown_model'), b: first }) : t('dry.is.unknown_model');
        case 'no_account':
            return t('pair', { a: t('dry.is.no_account'), b: targetName(decision) || first });
        case 'error':
            return decision.message ?? t('dry.is.error');
    }
}
