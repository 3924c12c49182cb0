// The state of the gateway in a sentence.
import type { Account, StateCounts } from '../../api/types';
import { t } from '../../i18n';
import { present, stats } from '../../live/store';

// The built-in model is no service's.
function leftToday(all: Account[], counts: StateCounts | undefined): string {
    if (!all.some((one) => one.state === 'serving' && one.plugin !== 'echo')) {
        return t('lead.none');
    }
    if (!counts) {
        return '';
    }
    const left = counts.requests_left_today;
    return left === null ? t('lead.nolimit') : t('lead.left', { n: left });
}

export function Lead() {
    const all = present.value;
    const serving = all?.filter((one) => one.state === 'serving').length ?? 0;
    return (
        <div class="lead">
            <h1>{all ? t('lead.serving', { n: all.length, of: serving }) : t('loading')}</h1>
            <p>{all && leftToday(all, stats.value?.accounts)}</p>
        </div>
    );
}
