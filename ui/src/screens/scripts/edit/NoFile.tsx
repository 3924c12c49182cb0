// There are no scripts: every request goes to the model that it names. The first one is a click away.
import { t } from '../../../i18n';
import { Empty } from '../../../parts/Empty';
import { setText } from '../draft';
import { openFile } from './selection';
import { templateOf } from './templates';

const FIRST = 'routing.lua';

export function NoFile() {
    const add = () => {
        setText(FIRST, templateOf(FIRST));
        openFile(FIRST);
    };
    return (
        <Empty text={t('scr.none')}>
            <button class="primary" onClick={add}>
                {t('scr.none.do')}
            </button>
        </Empty>
    );
}
