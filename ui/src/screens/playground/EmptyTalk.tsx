// Before the first question: what can be tried, or what has to be done first.
import { t } from '../../i18n';
import { Empty } from '../../parts/Empty';
import { adding } from '../add/AddAccount';
import { focusComposer } from './Composer';
import { typed } from './talk';
import { isNothingServed } from './models';

const EXAMPLES = ['play.try.1', 'play.try.2', 'play.try.3'] as const;

export function EmptyTalk() {
    if (isNothingServed.value) {
        return (
            <Empty text={t('play.unserved')}>
                <button class="primary" onClick={() => (adding.value = {})}>
                    {t('acc.add')}
                </button>
            </Empty>
        );
    }
    const put = (text: string) => {
        typed.value = text;
        focusComposer();
    };
    return (
        <Empty text={t('play.start')}>
            <div class="play-examples">
                {EXAMPLES.map((one) => (
                    <button key={one} class="chip" onClick={() => put(t(one))}>
                        {t(one)}
                    </button>
                ))}
            </div>
        </Empty>
    );
}
