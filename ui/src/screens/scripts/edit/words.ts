// Who published, and how much memory that is.
import type { Entry, Running } from '../../../api/scripts';
import { t } from '../../../i18n';
import { num } from '../../../i18n/format';

const isOfPerson = ({ author, origin }: Entry) =>
    author !== null && (origin === 'admin' || origin === 'rollback');

// A person's name, or where it came from.
export const publisher = (entry: Entry) =>
    isOfPerson(entry) ? (entry.author ?? '') : t(`scr.by.${entry.origin}`);

// Who has published what runs, in a sentence.
export function publishedTitle({ generation, published }: Running): string {
    const values = { g: String(generation), who: published?.author ?? '' };
    return published && isOfPerson(published)
        ? t('scr.stale', values)
        : t(`scr.stale.${published?.origin ?? 'admin'}`, values);
}

export const kilobytes = (bytes: number) => t('scr.kb', { v: num(Math.ceil(bytes / 1024)) });
