// What can be done with an answer.
import { useState } from 'preact/hooks';
import { t } from '../../i18n';
import { Copy } from '../../parts/Copy';
import { askedIn, chosen, isAnswering, retry, shownTurn, type Turn, turns } from './talk';
import { curlOf } from './curl';
import { CurlDialog } from './CurlDialog';
import { model } from './models';
import { bodyOf } from './options';
import { showTrace } from './TracePanel';

export const textId = (turn: Turn) => `play-answer-${turn.key}`;

function Curl({ turn }: { turn: Turn }) {
    const [text, setText] = useState('');
    return (
        <>
            <button
                type="button"
                class="small ghost"
                onClick={() => setText(curlOf(bodyOf(turn.answer.model, askedIn(turn))))}
            >
                curl
            </button>
            {text && <CurlDialog text={text} onClose={() => setText('')} />}
        </>
    );
}

export function Actions({ turn }: { turn: Turn }) {
    const { answer } = turn;
    const isLast = turns.value.at(-1) === turn;
    const isShown = shownTurn.value === turn;
    const show = () => {
        chosen.value = isLast ? null : turn.key;
        showTrace();
    };
    return (
        <div class="play-actions">
            <button type="button" class="small ghost" aria-pressed={isShown} onClick={show}>
                {t('play.route')}
            </button>
            <Curl turn={turn} />
            {isLast && !isAnswering.value && (
                <button
                    type="button"
                    class="small ghost"
                    onClick={() => retry(model.value || answer.model)}
                >
                    {t('play.retry')}
                </button>
            )}
            {!answer.isRunning && answer.hasText.value && (
                <Copy text={answer.text.toString()} label={t('play.copy')} shown={textId(turn)} />
            )}
        </div>
    );
}
