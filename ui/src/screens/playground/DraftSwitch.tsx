// Whether the draft of the scripts decides, in place of those that run.
import { useEffect, useId } from 'preact/hooks';
import { t } from '../../i18n';
import { address } from '../../router';
import { edits, isDirty, loadRunning } from '../scripts/draft';
import { options, setOptions } from './options';

export function DraftSwitch() {
    const hint = useId();
    useEffect(() => void loadRunning(), []);
    const files = Object.keys(edits.value).sort();
    return (
        <div class="play-draft">
            <label class="play-check">
                <input
                    type="checkbox"
                    aria-describedby={hint}
                    disabled={!isDirty.value}
                    checked={isDirty.value && options.value.usesDraft}
                    onChange={(event) => setOptions({ usesDraft: event.currentTarget.checked })}
                />
                {t('play.draft')}
            </label>
            <p id={hint} class="hint">
                {isDirty.value
                    ? t('play.draft.files', { files: files.join(t('join')) })
                    : t('play.draft.none')}{' '}
                <a href={address('scripts')}>{t('play.draft.edit')}</a>
            </p>
        </div>
    );
}
