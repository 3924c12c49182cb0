// Publishing, going back, and what to do when somebody else was faster.
import { signal } from '@preact/signals';
import { ApiError } from '../../../api/client';
import {
    type Change,
    type Files,
    type Problem,
    type Published,
    publishScripts,
    type Refusal,
    rollbackScripts,
} from '../../../api/scripts';
import { errorText } from '../../../errors';
import { t } from '../../../i18n';
import { took } from '../../../i18n/format';
import { toast, toastError, toastUndo } from '../../../parts/Toasts';
import { recall, remember } from '../../../storage';
import {
    isDirty,
    keptDraft,
    loadRunning,
    mayOverwriteDisk,
    rebase,
    report,
    restore,
    running,
} from '../draft';
import type { KeptDraft } from './kept';

// Somebody else has published, or edited conf/. `again`: what was asked for, in spite of it.
export type Conflict =
    | { kind: 'stale' }
    | { kind: 'rolled'; again: () => Promise<void> }
    | { kind: 'disk'; files: Files; problems: Problem[]; again: () => Promise<void> };

export const conflict = signal<Conflict | null>(null);
export const isPublishing = signal(false);

// For the history.
export const author = signal(recall('author') ?? '');
export const note = signal('');

export function setAuthor(name: string): void {
    author.value = name;
    remember('author', name || null);
}

const signed = (words: string): Change => ({
    author: author.value.trim() || undefined,
    note: words.trim() || undefined,
});

type Again = (change: Change) => Promise<void>;

async function refused(error: unknown, kind: 'stale' | 'rolled', again: Again): Promise<void> {
    const code = error instanceof ApiError ? error.code : '';
    const body: Refusal = error instanceof ApiError ? error.body : {};
    if (code === 'stale_base') {
        await loadRunning();
        const anyway = () => again({ base: running.value?.generation });
        conflict.value = kind === 'stale' ? { kind } : { kind, again: anyway };
    } else if (code === 'disk_edit' && body.files) {
        await loadRunning();
        conflict.value = {
            kind: 'disk',
            files: body.files,
            problems: body.problems ?? [],
            again: () => again({ over_disk: true }),
        };
    } else {
        if (kind === 'stale' && body.report) {
            report.value = body.report;
        }
        toastError(errorText(error));
    }
}

async function oneAtATime(run: () => Promise<void>): Promise<void> {
    if (isPublishing.value) {
        return;
    }
    isPublishing.value = true;
    try {
        await run();
    } finally {
        isPublishing.value = false;
    }
}

function warn({ warning }: Published): void {
    if (warning) {
        toastError(warning);
    }
}

// Publishes the draft.
export function publish(change: Change = {}): Promise<void> {
    return oneAtATime(async () => {
        const sent = keptDraft();
        const before = running.value?.generation ?? 0;
        try {
            const done = await publishScripts(sent.edits, {
                base: sent.base,
                over_disk: mayOverwriteDisk() || undefined,
                ...signed(note.value),
                ...change,
            });
            note.value = '';
            await loadRunning();
            if (running.value?.generation === done.generation) {
                rebase(); // what was typed meanwhile goes on from here
            }
            warn(done);
            const text = t(done.unchanged ? 'scr.unchanged' : 'scr.published', {
                g: String(done.generation),
                took: took(done.took_us / 1000),
            });
            if (done.unchanged) {
                toast(text);
            } else {
                toastUndo(text, t('undo'), () => void undo(before, done.generation, sent));
            }
        } catch (error) {
            await refused(error, 'stale', (more) => publish({ ...change, ...more }));
        }
    });
}

// What ran before runs again, and what was published is a draft again. If more was published since,
// going back takes that away too: the gateway refuses, and the page asks.
async function undo(before: number, published: number, sent: KeptDraft): Promise<void> {
    await rollback(before, t('scr.undo.note', { g: String(published) }), { base: published });
    const now = running.value;
    if (now?.published?.of === before && !isDirty.value) {
        restore({ ...sent, base: now.generation });
    }
}

// After going back: what was left behind runs again.
function tellRolled(generation: number, before: number | undefined, done: Published): void {
    const values = { of: String(generation), g: String(done.generation) };
    if (done.unchanged) {
        toast(t('scr.unchanged', values));
        return;
    }
    const text = t('scr.rolled', values);
    if (before === undefined) {
        toast(text);
        return;
    }
    const words = t('scr.rolled.note', { g: values.of });
    toastUndo(text, t('undo'), () => void rollback(before, words, { base: done.generation }));
}

// Publishes the texts of an earlier generation once more; the notice takes it back.
export function rollback(generation: number, words = '', change: Change = {}): Promise<void> {
    return oneAtATime(async () => {
        const before = running.value?.generation;
        try {
            const done = await rollbackScripts(generation, {
                base: before,
                ...signed(words),
                ...change,
            });
            await loadRunning();
            warn(done);
            tellRolled(generation, before, done);
        } catch (error) {
            await refused(error, 'rolled', (more) =>
                rollback(generation, words, { ...change, ...more }),
            );
        }
    });
}
