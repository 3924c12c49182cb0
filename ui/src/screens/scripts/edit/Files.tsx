// The files of the draft: which is changed, which is faulty, and what can be done to each.
import { useState } from 'preact/hooks';
import { t } from '../../../i18n';
import { Icon } from '../../../parts/Icon';
import { Menu, type MenuItem } from '../../../parts/Menu';
import { toastUndo } from '../../../parts/Toasts';
import { edits, report, running, setText, textOf } from '../draft';
import { FileName } from './FileName';
import { countByFile } from './marks';
import { fileAddress, fileNames, FIXED } from './selection';

const WHAT = {
    'routing.lua': 'scr.what.routing',
    'models.lua': 'scr.what.models',
    'accounts.lua': 'scr.what.accounts',
    'gateway.lua': 'scr.what.gateway',
} as const;

const whatIs = (file: string) => t(WHAT[file as keyof typeof WHAT] ?? 'scr.what.tests');

function removeFile(file: string): void {
    const before = textOf(file);
    setText(file, null);
    toastUndo(t('scr.removed.toast', { f: file }), t('undo'), () => setText(file, before));
}

// Undo brings this file's text back, whatever has become of the others.
function revert(file: string): void {
    const before = edits.value[file] ?? null;
    setText(file, running.value?.files[file] ?? null);
    toastUndo(t('scr.reverted', { f: file }), t('undo'), () => setText(file, before));
}

function changeOf(file: string): 'edited' | 'added' | 'removed' | null {
    const edited = edits.value[file];
    if (edited === undefined) {
        return null;
    }
    return edited === null ? 'removed' : file in (running.value?.files ?? {}) ? 'edited' : 'added';
}

interface FileProps {
    file: string;
    isShown: boolean;
    errors: number;
    warnings: number;
    onRename: () => void;
}

function State({ file, errors, warnings }: Pick<FileProps, 'file' | 'errors' | 'warnings'>) {
    const change = changeOf(file);
    return (
        <small>
            {errors > 0 && <b class="is-error">{t('scr.errors', { n: errors })}</b>}
            {errors === 0 && warnings > 0 && <b class="is-warning">{t('scr.warnings', { n: warnings })}</b>}
            {change && <em>{t(`scr.is.${change}`)}</em>}
            {!change && errors + warnings === 0 && whatIs(file)}
        </small>
    );
}

function File({ file, isShown, errors, warnings, onRename }: FileProps) {
    const change = changeOf(file);
    const items: MenuItem[] = [];
    if (change) {
        items.push({
            text: t(change === 'removed' ? 'scr.restore' : 'scr.revert'),
            run: () => revert(file),
        });
    }
    if (change !== 'removed') {
        if (!FIXED.includes(file)) {
            items.push({ text: t('scr.rename'), run: onRename });
        }
        items.push({ text: t('scr.remove'), run: () => removeFile(file), isDanger: true });
    }
    return (
        <li class={change === 'removed' ? 'is-removed' : ''}>
            <a href={fileAddress(file)} aria-current={isShown ? 'page' : undefined}>
                <code>{file}</code>
                <State file={file} errors={errors} warnings={warnings} />
            </a>
            <Menu label={t('scr.more', { f: file })} items={items} />
        </li>
    );
}

export function Files({ shown }: { shown: string }) {
    const [naming, setNaming] = useState<{ from: string | null } | null>(null);
    const counts = countByFile(report.value?.problems ?? []);
    return (
        <nav class="files" aria-label={t('scr.files')}>
            <ul>
                {fileNames().map((file) => (
                    <File
                        key={file}
                        file={file}
                        isShown={file === shown}
                        errors={counts.get(file)?.errors ?? 0}
                        warnings={counts.get(file)?.warnings ?? 0}
                        onRename={() => setNaming({ from: file })}
                    />
                ))}
            </ul>
            <button class="small ghost" onClick={() => setNaming({ from: null })}>
                <Icon name="plus" />
                {t('scr.add')}
            </button>
            {naming && (
                <FileName
                    from={naming.from}
                    text={naming.from === null ? null : textOf(naming.from)}
                    onClose={() => setNaming(null)}
                />
            )}
        </nav>
    );
}
