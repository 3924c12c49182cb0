// The draft of the scripts: what runs, and what this browser would change of it. One draft for all tabs
// of a browser; it is kept over a reload. Who shows a view of the scripts reads these signals.
import { batch, computed, effect, signal } from '@preact/signals';
import { type Edits, type Files, readScripts, type Report, type Running } from '../../api/scripts';
import { hashOf } from './edit/hash';
import { keep, type KeptDraft, onKept, readKept } from './edit/kept';

// What runs; null: not known yet.
export const running = signal<Running | null>(null);

// Why what runs is not known.
export const loadError = signal<unknown>(null);

// Only what differs from what runs; null: the file is removed.
export const edits = signal<Edits>({});

// The generation that the draft was made from.
export const base = signal(0);

// What the edited files were when their edit began.
const origins = signal<Edits>({});

// The edit on disk that the draft was made from, and that publishing it may overwrite; 0: none.
const fromDisk = signal(0);

// The last check of this draft; null: it was not checked yet.
export const report = signal<Report | null>(null);

export const isDirty = computed(() => Object.keys(edits.value).length > 0);

// Somebody has published since the draft was begun.
export const isStale = computed(
    () => isDirty.value && running.value !== null && running.value.generation !== base.value,
);

const runningText = (file: string) => running.value?.files[file] ?? null;

// The text of a file in the draft; null: there is no such file.
export function textOf(file: string): string | null {
    const edited = edits.value[file];
    return edited === undefined ? runningText(file) : edited;
}

// All texts of the draft.
export const draftFiles = computed((): Files => {
    const all = { ...running.value?.files, ...edits.value };
    return Object.fromEntries(Object.entries(all).filter(([, text]) => text !== null)) as Files;
});

// Edited files that the running generation has changed too.
export const bothChanged = computed(() =>
    Object.keys(edits.value)
        .filter((file) => (origins.value[file] ?? null) !== runningText(file))
        .sort(),
);

const isOfDisk = computed(() => {
    const files = running.value?.disk.files;
    return files !== undefined && fromDisk.value === hashOf(JSON.stringify(files));
});

// The draft has the edit on disk in it: publishing it loses nothing.
export const mayOverwriteDisk = () => isOfDisk.value;

const isNews = (file: string, text: string | null) =>
    running.value === null || text !== runningText(file);

interface Place {
    base?: number;
    fromDisk?: number;
}

const sameEdits = (a: Edits, b: Edits) =>
    Object.keys(a).length === Object.keys(b).length &&
    Object.entries(a).every(([file, text]) => b[file] === text);

// Sets the draft, without what is as it runs.
function put(next: Edits, from: Edits, place: Place = {}): void {
    const real = Object.entries(next).filter(([file, text]) => isNews(file, text));
    const isEmpty = real.length === 0;
    batch(() => {
        // The same draft stays the same object: nothing has to be checked again.
        const fresh = Object.fromEntries(real);
        edits.value = sameEdits(edits.peek(), fresh) ? edits.peek() : fresh;
        origins.value = Object.fromEntries(real.map(([file]) => [file, from[file] ?? null]));
        base.value = (isEmpty ? running.value?.generation : place.base) ?? base.value;
        fromDisk.value = isEmpty ? 0 : (place.fromDisk ?? fromDisk.value);
    });
}

// One file of the draft; null removes it.
export function setText(file: string, text: string | null): void {
    const isFirst = edits.value[file] === undefined;
    const from = isFirst ? { ...origins.value, [file]: runningText(file) } : origins.value;
    put({ ...edits.value, [file]: text }, from);
}

// The draft becomes exactly these texts.
export function putTexts(files: Files, fromDiskNow = 0): void {
    const known = running.value?.files ?? {};
    const gone = Object.keys(known).filter((file) => !(file in files));
    const removed = Object.fromEntries(gone.map((file) => [file, null]));
    put({ ...files, ...removed }, known, { base: running.value?.generation, fromDisk: fromDiskNow });
}

// The draft becomes what is in conf/, and may be published over it.
export const putDisk = (files: Files) => putTexts(files, hashOf(JSON.stringify(files)));

// The draft goes on from what runs now. Where both have changed a file, `merged` says what it becomes.
export function rebase(merged: Edits = {}): void {
    const files = running.value?.files ?? {};
    put({ ...edits.value, ...merged }, files, { base: running.value?.generation });
}

// The whole draft, to be kept or taken back.
export const keptDraft = (): KeptDraft => ({
    base: base.value,
    edits: edits.value,
    origins: origins.value,
    fromDisk: fromDisk.value,
});

export const restore = (draft: KeptDraft) => put(draft.edits, draft.origins, draft);

export const discard = () => put({}, {});

/* ---- what runs */

function adopt(fresh: Running): void {
    batch(() => {
        running.value = fresh;
        loadError.value = null;
        put(edits.value, origins.value);
    });
}

let isLoading: Promise<void> | null = null;
let isAgain = false;

async function load(): Promise<void> {
    try {
        do {
            isAgain = false;
            adopt(await readScripts());
        } while (isAgain);
    } catch (error) {
        loadError.value = error;
    } finally {
        isLoading = null;
    }
}

// Reads what runs, after whatever is being read.
export function loadRunning(): Promise<void> {
    isAgain = isLoading !== null;
    isLoading ??= load();
    return isLoading;
}

/* ---- kept */

const kept = readKept();
if (kept) {
    restore(kept);
}

let isForeign = false; // what another tab has written is not written again

effect(() => {
    const draft = isDirty.value ? keptDraft() : null;
    if (!isForeign) {
        keep(draft);
    }
});

onKept((draft) => {
    isForeign = true;
    if (draft) {
        restore(draft);
    } else {
        discard();
    }
    isForeign = false;
});
