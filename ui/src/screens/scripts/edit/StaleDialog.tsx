// Somebody has published since the draft was begun: what they changed, and what becomes of the draft.
import { useState } from 'preact/hooks';
import type { Edits, Running } from '../../../api/scripts';
import { t } from '../../../i18n';
import { moment } from '../../../i18n/format';
import { Dialog } from '../../../parts/Dialog';
import { lazy } from '../../../parts/lazy';
import { Segments } from '../../../parts/Segments';
import { Skeleton } from '../../../parts/Skeleton';
import { base, bothChanged, edits, rebase } from '../draft';
import { DiffText } from './DiffText';
import { conflict, publish } from './publish';
import { discardDraft } from './replace';
import { publishedTitle } from './words';

const MergeBox = lazy(() => import('./MergeBox').then((part) => part.MergeBox), <Skeleton rows={3} />);

interface BothProps {
    file: string;
    now: Running;
    merged: Edits;
    onMerged: (file: string, text: string | null) => void;
}

// A file that one side has removed cannot be merged: one of them wins.
function OneOf({ file, now, merged, onMerged }: BothProps) {
    const theirs = now.files[file] ?? null;
    const mine = edits.value[file] ?? null;
    const value = (file in merged ? merged[file] : mine) === theirs ? 'theirs' : 'mine';
    return (
        <>
            <p class="hint">
                {t(theirs === null ? 'scr.merge.gone.theirs' : 'scr.merge.gone.mine', { f: file })}
            </p>
            <Segments
                label={file}
                values={['mine', 'theirs'] as const}
                value={value}
                name={(one) => t(`scr.keep.${one}`)}
                onChange={(one) => onMerged(file, one === 'mine' ? mine : theirs)}
            />
        </>
    );
}

function Both(props: BothProps) {
    const { file, now, onMerged } = props;
    const theirs = now.files[file] ?? null;
    const mine = edits.value[file] ?? null;
    return (
        <section class="merge" aria-label={file}>
            <h3>
                <code>{file}</code> {t('scr.merge.both')}
            </h3>
            {theirs === null || mine === null ? (
                <OneOf {...props} />
            ) : (
                <>
                    <p class="merge-head">
                        <span>{t('scr.merge.left', { g: String(now.generation) })}</span>
                        <span>{t('scr.merge.right')}</span>
                    </p>
                    <MergeBox file={file} theirs={theirs} mine={mine} onText={onMerged} />
                </>
            )}
        </section>
    );
}

export function StaleDialog({ now }: { now: Running }) {
    const [merged, setMerged] = useState<Edits>({});
    const close = () => (conflict.value = null);
    const onMerged = (file: string, text: string | null) =>
        setMerged((before) => ({ ...before, [file]: text }));
    const takeTheirs = () => {
        discardDraft();
        close();
    };
    const keepEditing = () => {
        rebase(merged);
        close();
    };
    const putOver = () => {
        keepEditing();
        void publish();
    };
    const entry = now.published;
    return (
        <Dialog title={publishedTitle(now)} kind="wide" onClose={close}>
            <div class="form">
                {entry && (
                    <p class="hint">
                        {entry.note ? t('pair', { a: moment(entry.at), b: entry.note }) : moment(entry.at)}
                    </p>
                )}
                <h3>{t('scr.stale.changes')}</h3>
                <DiffText from={base.value} to={now.generation} label={t('scr.stale.changes')} />
                {bothChanged.value.length === 0 && <p>{t('scr.merge.none')}</p>}
                {bothChanged.value.map((file) => (
                    <Both key={file} file={file} now={now} merged={merged} onMerged={onMerged} />
                ))}
                <footer>
                    <button type="button" onClick={takeTheirs}>
                        {t('scr.take')}
                    </button>
                    <button type="button" onClick={putOver}>
                        {t('scr.over')}
                    </button>
                    <button type="button" class="primary" data-focus onClick={keepEditing}>
                        {t('scr.keep')}
                    </button>
                </footer>
            </div>
        </Dialog>
    );
}
