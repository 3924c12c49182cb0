// One answer: what it says, how it ended, and what can be done with it.
import { maybe, t } from '../../i18n';
import { Actions, textId } from './Actions';
import type { Answer } from './answer';
import type { Turn } from './talk';
import { FailureNote } from './FailureNote';
import { Figures } from './Figures';
import { LiveText } from './LiveText';
import { Reasoning } from './Reasoning';
import { ToolCalls } from './ToolCalls';

// What there is to say of the end of an answer that did not fail.
function ending(answer: Answer): string {
    const isEmpty = !answer.hasText.value && answer.calls.value.length === 0;
    switch (answer.state.value) {
        case 'stopped':
            return t('play.stopped');
        case 'done':
            return maybe(`play.end.${answer.finish.value}`, isEmpty ? t('play.empty') : '');
        default:
            return '';
    }
}

export function AnswerView({ turn }: { turn: Turn }) {
    const { answer } = turn;
    const end = ending(answer);
    return (
        <article class="play-answer" aria-busy={answer.isRunning} aria-label={t('play.answer')}>
            <p class="play-who">
                {answer.model}
                {answer.isDraft && <span class="tag">{t('play.by.draft')}</span>}
            </p>
            {answer.hasReasoning.value && <Reasoning answer={answer} />}
            {answer.hasText.value && <LiveText text={answer.text} id={textId(turn)} name="" />}
            <ToolCalls answer={answer} />
            {answer.state.value === 'waiting' && (
                <p class="hint">
                    <span class="pulse" />
                    {t('play.waiting')}
                </p>
            )}
            {answer.failure.value && <FailureNote failure={answer.failure.value} />}
            {end && <p class="hint">{end}</p>}
            {!answer.isRunning && !answer.hasText.value && <p class="hint">{t('play.left.out')}</p>}
            <footer>
                {!answer.isRunning && <Figures answer={answer} />}
                <Actions turn={turn} />
            </footer>
        </article>
    );
}
