// An entry of the history, to be edited further.
import type { Files } from '../../../api/scripts';
import { t } from '../../../i18n';
import { toast, toastUndo } from '../../../parts/Toasts';
import { go } from '../../../router';
import { isDirty, keptDraft, putTexts, restore } from '../draft';

// The draft becomes that generation's texts; what was a draft before can be had back.
export function editFrom(generation: number, files: Files): void {
    const before = isDirty.value ? keptDraft() : null;
    putTexts(files);
    go('#/scripts');
    const text = t('hist.loaded', { g: String(generation) });
    if (before) {
        toastUndo(text, t('undo'), () => restore(before));
    } else {
        toast(text);
    }
}
