// An entry of the history in words.
import type { Entry } from '../../../api/scripts';
import { type Key, t } from '../../../i18n';

export function origin({ origin: from, of }: Entry): string {
    const words = t(`hist.from.${from}`);
    return of === null ? words : words + t('join') + t('hist.of', { g: String(of) });
}

// Who, where that says more than the origin does.
export const who = ({ author, origin: from }: Entry) => (author && author !== from ? author : '');

// What the gateway itself notes.
const OWN_NOTES: Record<string, Key> = {
    'found at the first start': 'hist.note.first',
    'edited while the gateway did not run': 'hist.note.away',
};

export function noteOf({ note, origin: from }: Entry): string {
    const own = from === 'start' && note ? OWN_NOTES[note] : undefined;
    return own ? t(own) : (note ?? '');
}

export const addressOf = (generation: number) => `#/scripts/history?g=${generation}`;
