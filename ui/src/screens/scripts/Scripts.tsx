// The scripts of conf/: edit, what changes, dry run, history.
import { useEffect, useRef } from 'preact/hooks';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { num } from '../../i18n/format';
import { Empty } from '../../parts/Empty';
import { Skeleton } from '../../parts/Skeleton';
import { Changes } from './changes/Changes';
import { edits, isDirty, loadError, loadRunning, running } from './draft';
import { DryRun } from './dry/DryRun';
import { Banners } from './edit/Banners';
import { mayPublish, publishChecked, useCheck } from './edit/check';
import { CheckState } from './edit/CheckState';
import { Conflicts } from './edit/Conflicts';
import { Edit } from './edit/Edit';
import { Files } from './edit/Files';
import { useLive } from './edit/live';
import { NoFile } from './edit/NoFile';
import { isPublishing } from './edit/publish';
import { discardDraft } from './edit/replace';
import { Runs } from './edit/Runs';
import { fileAddress, jump, lastFile, shownFile } from './edit/selection';
import { History } from './history/History';

const VIEWS = ['edit', 'changes', 'dry-run', 'history'] as const;
type View = (typeof VIEWS)[number];

function Tabs({ view, file }: { view: View; file: string }) {
    const changed = Object.keys(edits.value).length;
    return (
        <nav class="tabs" aria-label={t('scr.views')}>
            {VIEWS.map((one) => (
                <a
                    key={one}
                    href={one === 'edit' ? fileAddress(file) : `#/scripts/${one}`}
                    aria-current={one === view ? 'page' : undefined}
                >
                    {t(`scr.view.${one}`)}
                    {one === 'changes' && changed > 0 && <span class="count">{num(changed)}</span>}
                </a>
            ))}
        </nav>
    );
}

function Actions() {
    return (
        <>
            <CheckState />
            {isDirty.value && (
                <button class="ghost" onClick={discardDraft}>
                    {t('scr.discard')}
                </button>
            )}
            <button
                class="primary"
                aria-keyshortcuts="Control+S Meta+S"
                disabled={!mayPublish()}
                onClick={() => void publishChecked()}
            >
                {t(isPublishing.value ? 'scr.publishing' : 'scr.publish')}
            </button>
        </>
    );
}

function onSave(event: KeyboardEvent): void {
    const isSave = (event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 's';
    if (isSave && !event.shiftKey && !event.altKey) {
        event.preventDefault();
        // A dialog asks something first.
        if (!event.repeat && !document.querySelector('dialog[open]')) {
            void publishChecked();
        }
    }
}

function useSaveKey(): void {
    useEffect(() => {
        addEventListener('keydown', onSave);
        return () => removeEventListener('keydown', onSave);
    }, []);
}

function Other({ view, query }: { view: View; query: URLSearchParams }) {
    switch (view) {
        case 'changes':
            return <Changes />;
        case 'dry-run':
            return <DryRun />;
        case 'history':
            return <History query={query} />;
        case 'edit':
            return null;
    }
}

// The editor, once it was opened, only hides: what was typed can be undone after a look elsewhere.
function Shown({ view, file, query }: { view: View; file: string; query: URLSearchParams }) {
    const wasOpened = useRef(false);
    wasOpened.current ||= view === 'edit';
    return (
        <>
            {wasOpened.current && (
                <div class="scripts-view is-edit" hidden={view !== 'edit'}>
                    {file ? <Edit file={file} /> : <NoFile />}
                </div>
            )}
            {view !== 'edit' && (
                <div class="scripts-view">
                    <Other view={view} query={query} />
                </div>
            )}
        </>
    );
}

function NotKnown() {
    if (loadError.value === null) {
        return <Skeleton rows={8} />;
    }
    return (
        <Empty text={errorText(loadError.value)}>
            <button onClick={() => void loadRunning()}>{t('over.again')}</button>
        </Empty>
    );
}

export function Scripts({ view, query }: { view: string; query: URLSearchParams }) {
    useLive();
    useCheck();
    useSaveKey();
    const shown = VIEWS.find((one) => one === view) ?? 'edit';
    const file = shownFile(shown === 'edit' ? query.get('file') : null);
    const line = Number(query.get('line'));
    useEffect(() => {
        lastFile.value = file;
    }, [file]);
    useEffect(() => {
        if (shown === 'edit' && line > 0) {
            jump.value = { file, line, column: null };
        }
    }, [shown, file, line]);
    if (!running.value) {
        return (
            <section class="panel" aria-label={t('scr.title')}>
                <NotKnown />
            </section>
        );
    }
    return (
        <div class="scripts">
            <div class="scripts-side">
                <Files shown={shown === 'edit' ? file : ''} />
                <Runs />
            </div>
            <section class="panel scripts-main" aria-label={t(`scr.view.${shown}`)}>
                <header class="scripts-head">
                    <Tabs view={shown} file={file} />
                    <Actions />
                </header>
                <Banners />
                <Shown view={shown} file={file} query={query} />
            </section>
            <Conflicts />
        </div>
    );
}
