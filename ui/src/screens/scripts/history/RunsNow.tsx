import { t } from '../../../i18n';

export function RunsNow() {
    return (
        <span class="state is-serving">
            <i aria-hidden="true" />
            {t('hist.now')}
        </span>
    );
}
