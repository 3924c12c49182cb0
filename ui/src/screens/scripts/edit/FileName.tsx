// Asks for the name of a new file, or for another name of a policy test.
import { useState } from 'preact/hooks';
import { t } from '../../../i18n';
import { Dialog } from '../../../parts/Dialog';
import { setText } from '../draft';
import { FIXED, isThere, openFile } from './selection';
import { templateOf } from './templates';

const TEST_NAME = /^tests\/[a-z0-9_-]+\.lua$/;
const MAX_NAME = 64;

function problemWith(name: string, from: string | null): string | null {
    const isFixed = from === null && FIXED.includes(name);
    if (!isFixed && (!TEST_NAME.test(name) || name.length > MAX_NAME)) {
        return t('scr.name.bad', { f: name });
    }
    return name !== from && isThere(name) ? t('scr.name.taken', { f: name }) : null;
}

interface Props {
    from: string | null; // null: a new file
    text: string | null;
    onClose: () => void;
}

export function FileName({ from, text, onClose }: Props) {
    const missing = FIXED.filter((file) => !isThere(file));
    const [name, setName] = useState(from ?? missing[0] ?? 'tests/');
    const [problem, setProblem] = useState<string | null>(null);
    const submit = (event: Event) => {
        event.preventDefault();
        const wrong = problemWith(name.trim(), from);
        setProblem(wrong);
        if (wrong) {
            return;
        }
        const file = name.trim();
        if (file !== from) {
            setText(file, text ?? templateOf(file));
            if (from !== null) {
                setText(from, null);
            }
        }
        openFile(file);
        onClose();
    };
    return (
        <Dialog title={t(from === null ? 'scr.add' : 'scr.rename')} kind="narrow" onClose={onClose}>
            <form class="form" onSubmit={submit} noValidate>
                <label>
                    {t('scr.name')}
                    <input
                        data-focus
                        class="mono"
                        value={name}
                        spellcheck={false}
                        autocapitalize="off"
                        autocomplete="off"
                        aria-describedby="file-name-hint"
                        aria-invalid={problem !== null}
                        onInput={(event) => setName(event.currentTarget.value)}
                    />
                </label>
                <p id="file-name-hint" class="hint">
                    {t('scr.name.hint')}
                </p>
                {problem && (
                    <p class="form-problem" role="alert">
                        {problem}
                    </p>
                )}
                <footer>
                    <button type="button" onClick={onClose}>
                        {t('cancel')}
                    </button>
                    <button class="primary">{t(from === null ? 'scr.add' : 'scr.rename')}</button>
                </footer>
            </form>
        </Dialog>
    );
}
