// When, by whom and how a generation came to be.
import type { Entry } from '../../../api/scripts';
import { t } from '../../../i18n';
import { fullMoment } from './when';
import { origin, who } from './words';

export function EntryFacts({ entry }: { entry: Entry }) {
    return (
        <>
            <time dateTime={new Date(entry.at).toISOString()}>{fullMoment(entry.at)}</time>
            {who(entry) && <> · {who(entry)}</>} · {origin(entry)}
            {entry.failed && (
                <>
                    {' · '}
                    <span class="outcome is-error">
                        <i aria-hidden="true" />
                        {t('hist.failed')}
                    </span>
                </>
            )}
        </>
    );
}
