// Where the next question is written. Enter sends, Shift+Enter begins a new line.
import { t } from '../../i18n';
import { toastUndo } from '../../parts/Toasts';
import { Icon } from '../../parts/Icon';
import { ask, clear, isAnswering, stop, turns, typed } from './talk';
import { ModelField } from './ModelField';
import { model } from './models';
import { others } from './options';

const INPUT = 'play-question';

export function focusComposer(): void {
    document.getElementById(INPUT)?.focus();
}

function send(): void {
    const name = model.value;
    const question = typed.value;
    if (question.trim() !== '' && name && others.value !== null && !isAnswering.value) {
        typed.value = '';
        ask(question, name);
    }
}

// The Enter that ends a composition (Chinese, Japanese, Korean) only chooses a word.
const isComposing = (event: KeyboardEvent) => event.isComposing || event.keyCode === 229;

function onKey(event: KeyboardEvent): void {
    if (event.key === 'Enter' && !event.shiftKey && !isComposing(event)) {
        event.preventDefault();
        send();
    }
}

function clearAll(): void {
    const before = turns.value;
    clear();
    focusComposer();
    toastUndo(t('play.cleared'), t('undo'), () => (turns.value = [...before, ...turns.value]));
}

// It stands where Send was: the second click of a double click is none.
function stopByClick(event: MouseEvent): void {
    if (event.detail < 2) {
        stop();
        focusComposer();
    }
}

function SendOrStop() {
    const canSend = typed.value.trim() !== '' && model.value !== '' && others.value !== null;
    if (isAnswering.value) {
        return (
            <button type="button" key="stop" onClick={stopByClick}>
                <i class="play-stop" aria-hidden="true" />
                {t('play.stop')}
            </button>
        );
    }
    return (
        <button key="send" class="primary" disabled={!canSend}>
            {t('play.send')}
        </button>
    );
}

export function Composer() {
    const submit = (event: Event) => {
        event.preventDefault();
        send();
        focusComposer();
    };
    return (
        <form class="play-composer" onSubmit={submit}>
            <textarea
                id={INPUT}
                rows={3}
                aria-label={t('play.question')}
                aria-describedby="play-keys"
                placeholder={t('play.question')}
                value={typed.value}
                onInput={(event) => (typed.value = event.currentTarget.value)}
                onKeyDown={onKey}
            />
            <footer>
                <ModelField />
                <small id="play-keys" class="wide-only">
                    {t('play.keys')}
                </small>
                {turns.value.length > 0 && (
                    <button type="button" class="ghost" onClick={clearAll}>
                        <Icon name="close" />
                        {t('play.clear')}
                    </button>
                )}
                <SendOrStop />
            </footer>
        </form>
    );
}
