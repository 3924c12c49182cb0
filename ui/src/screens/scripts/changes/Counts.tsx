// How many lines came and went.
import { t } from '../../../i18n';
import { num } from '../../../i18n/format';

export function Counts({ added, removed }: { added: number; removed: number }) {
    return (
        <span class="counts">
            <span class="is-plus" title={t('chg.added', { n: added })}>
                +{num(added)}
            </span>{' '}
            <span class="is-minus" title={t('chg.removed', { n: removed })}>
                −{num(removed)}
            </span>
        </span>
    );
}
