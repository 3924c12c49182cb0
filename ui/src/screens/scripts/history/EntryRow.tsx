// One generation in the list.
import type { Entry } from '../../../api/scripts';
import { t } from '../../../i18n';
import { isPublishing, rollback } from '../edit/publish';
import { DifferenceOf } from './DifferenceOf';
import { EntryFacts } from './EntryFacts';
import { RunsNow } from './RunsNow';
import { addressOf, noteOf } from './words';

interface Props {
    entry: Entry;
    previous: number | null; // the generation before it
    isRunning: boolean;
}

export function EntryRow({ entry, previous, isRunning }: Props) {
    const { generation } = entry;
    const note = noteOf(entry);
    const g = String(generation);
    return (
        <li>
            <b class="generation" title={t('hist.generation', { g })}>
                {g}
            </b>
            <div>
                <a href={addressOf(generation)}>
                    <span class="unseen">{t('hist.generation', { g })}: </span>
                    {note || <span class="quiet">{t('hist.nonote')}</span>}
                </a>
                <small>
                    <EntryFacts entry={entry} /> · {t('hist.files', { n: entry.files })}
                    {previous !== null && <DifferenceOf from={previous} to={generation} />}
                </small>
            </div>
            {isRunning ? (
                <RunsNow />
            ) : (
                <button
                    class="small"
                    disabled={isPublishing.value}
                    onClick={() => void rollback(generation)}
                >
                    {t('hist.roll')}
                    <span class="unseen"> {t('hist.generation', { g })}</span>
                </button>
            )}
        </li>
    );
}
