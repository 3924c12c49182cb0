// What went wrong, for people.
import { ApiError } from './api/client';
import type { ErrorBody } from './api/types';
import { lang, maybe, t } from './i18n';

function told(code: string, message: string): string {
    const known = maybe(`err.${code}`, '');
    if (lang.value === 'en') {
        return code === 'unreachable' || code === 'csrf' ? known : message;
    }
    // The gateway writes English: the kind of mistake in the reader's language, then its words.
    return known && message && code !== 'unreachable' ? `${known}（${message}）` : known || message;
}

export function errorText(error: unknown): string {
    if (error instanceof ApiError) {
        return told(error.code, error.message);
    }
    return t('err.unknown', { why: error instanceof Error ? error.message : String(error) });
}

export const bodyText = (error: ErrorBody | undefined) =>
    error ? told(error.code ?? '', error.message) : '';
