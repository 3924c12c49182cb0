// What the model thinks before it answers. It folds up when the answer begins, unless somebody has
// opened or closed it.
import { useState } from 'preact/hooks';
import { t } from '../../i18n';
import type { Answer } from './answer';
import { LiveText } from './LiveText';

export function Reasoning({ answer }: { answer: Answer }) {
    const [wish, setWish] = useState<boolean | null>(null);
    const isOpen = wish ?? !answer.hasText.value;
    const toggle = (event: MouseEvent) => {
        event.preventDefault();
        setWish(!isOpen);
    };
    return (
        <details class="play-reasoning" open={isOpen}>
            <summary onClick={toggle}>{t('play.reasoning')}</summary>
            <LiveText text={answer.reasoning} name="is-quiet" />
        </details>
    );
}
