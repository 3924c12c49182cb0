// How a request ended, as a shape and words.
import { maybe, t } from '../i18n';

export type OutcomeKind = 'success' | 'limited' | 'error' | 'cancelled';

export function outcomeKind(outcome: string): OutcomeKind {
    const kind = outcome.split(':', 1)[0];
    return kind === 'success' || kind === 'limited' || kind === 'cancelled' ? kind : 'error';
}

// "limited:rpm" and the like; a code that has no words of its own is shown as it is.
export function outcomeText(outcome: string): string {
    const kind = outcomeKind(outcome);
    const code = outcome.includes(':') ? outcome.slice(outcome.indexOf(':') + 1) : '';
    if (kind === 'limited') {
        return t('out.limited', { what: maybe(`limit.${code}`, code) });
    }
    return kind === 'error' ? maybe(`out.code.${code}`, code || t('out.error')) : t(`out.${kind}`);
}

export function Outcome({ outcome }: { outcome: string }) {
    return (
        <span class={`outcome is-${outcomeKind(outcome)}`} title={outcome}>
            <i aria-hidden="true" />
            {outcomeText(outcome)}
        </span>
    );
}
