// The last dry run of the draft. It stays while other views are shown.
import { computed, signal } from '@preact/signals';
import { type DryResult, dryRunScripts, type Edits } from '../../../api/scripts';
import { edits, running } from '../draft';
import { sameEdits } from './same';

export const COUNTS = [100, 500, 1000, 2000] as const;
export type Count = (typeof COUNTS)[number];

export interface Replayed extends DryResult {
    stopped?: boolean; // it took too long: not all were tried
}

interface Tried {
    edits: Edits;
    generation: number; // that the draft was held against
    result: Replayed | null; // null: it failed
    error: unknown;
}

export const count = signal<Count>(1000);
export const tried = signal<Tried | null>(null);
export const isRunning = signal(false);

// The draft, or what runs, is not what was tried.
export const isOld = computed(
    () =>
        tried.value !== null &&
        (tried.value.generation !== running.value?.generation ||
            !sameEdits(tried.value.edits, edits.value)),
);

let last: AbortController | null = null;

export async function run(): Promise<void> {
    last?.abort();
    const stop = new AbortController();
    last = stop;
    const what = { edits: edits.value, generation: running.value?.generation ?? 0 };
    isRunning.value = true;
    try {
        const { dry_run: result } = await dryRunScripts(what.edits, count.value, stop.signal);
        tried.value = { ...what, result, error: null };
    } catch (error) {
        if (!stop.signal.aborted) {
            tried.value = { ...what, result: null, error };
        }
    } finally {
        if (last === stop) {
            isRunning.value = false;
        }
    }
}
