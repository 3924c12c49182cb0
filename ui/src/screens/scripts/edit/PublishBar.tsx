// What the history will say of this draft.
import { t } from '../../../i18n';
import { isDirty } from '../draft';
import { mayPublish, publishChecked } from './check';
import { author, note, setAuthor } from './publish';

// As many characters as the gateway takes bytes, or fewer.
const MAX_NOTE = 160;
const MAX_AUTHOR = 20;

export function PublishBar() {
    if (!isDirty.value) {
        return null;
    }
    const key = (event: KeyboardEvent) => {
        if (event.key === 'Enter' && !event.isComposing && mayPublish()) {
            void publishChecked();
        }
    };
    return (
        <div class="publish-bar" onKeyDown={key}>
            <input
                aria-label={t('scr.note')}
                placeholder={t('scr.note')}
                maxLength={MAX_NOTE}
                value={note.value}
                onInput={(event) => (note.value = event.currentTarget.value)}
            />
            <input
                class="author"
                aria-label={t('scr.author')}
                placeholder={t('scr.author')}
                maxLength={MAX_AUTHOR}
                value={author.value}
                onInput={(event) => setAuthor(event.currentTarget.value)}
            />
        </div>
    );
}
