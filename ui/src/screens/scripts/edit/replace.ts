// Makes the draft something else; what it was can be had back, and that can be taken back, too.
import { t } from '../../../i18n';
import { toastUndo } from '../../../parts/Toasts';
import { discard, isDirty, keptDraft, restore } from '../draft';

export function replaceDraft(put: () => void, text: string): void {
    const before = isDirty.value ? keptDraft() : null;
    put();
    if (before) {
        toastUndo(text, t('undo'), () => replaceDraft(() => restore(before), t('scr.replaced')));
    }
}

export const discardDraft = () => replaceDraft(discard, t('scr.discarded'));
