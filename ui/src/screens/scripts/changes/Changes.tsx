// What the draft changes of what runs.
import { t } from '../../../i18n';
import { Empty } from '../../../parts/Empty';
import { toastUndo } from '../../../parts/Toasts';
import { go } from '../../../router';
import { draftFiles, isDirty, running, setText, textOf } from '../draft';
import { FileDiff } from './FileDiff';
import { changesBetween } from './files';
import { LayoutChoice } from './LayoutChoice';

function revert(file: string): void {
    const edited = textOf(file);
    setText(file, running.value?.files[file] ?? null);
    toastUndo(t('chg.reverted', { f: file }), t('undo'), () => setText(file, edited));
}

export function Changes() {
    if (!running.value) {
        return null; // the screen waits for it
    }
    const { generation, files } = running.value;
    if (!isDirty.value) {
        return (
            <Empty text={t('chg.none', { g: String(generation) })}>
                <button onClick={() => go('#/scripts')}>{t('chg.none.do')}</button>
            </Empty>
        );
    }
    const changes = changesBetween(files, draftFiles.value);
    const titles: [string, string] = [t('chg.running', { g: String(generation) }), t('chg.draft')];
    return (
        <div class="changes">
            <header class="view-head">
                <p>{t('chg.lead', { n: changes.length, g: String(generation) })}</p>
                <LayoutChoice />
            </header>
            {changes.map((change) => (
                <FileDiff key={change.name} change={change} titles={titles}>
                    <button
                        class="small"
                        aria-label={t('chg.revert.file', { f: change.name })}
                        onClick={() => revert(change.name)}
                    >
                        {t('chg.revert')}
                    </button>
                </FileDiff>
            ))}
        </div>
    );
}
