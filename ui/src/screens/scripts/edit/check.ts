// The gateway checks the draft while it is written; publishing waits for what it says.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { checkScripts, type Edits } from '../../../api/scripts';
import { t } from '../../../i18n';
import { everythingChanged } from '../../../live/store';
import { toast, toastError } from '../../../parts/Toasts';
import { edits, isDirty, report, running } from '../draft';
import { isPublishing, publish } from './publish';

const PAUSE_MS = 300; // of typing
const AGAIN_MS = 5000; // after a check that the gateway did not make

export const isChecking = signal(false);

// Why there is no report of this draft.
export const checkError = signal<unknown>(null);

const failures = signal(0);

async function check(files: Edits, stop: AbortSignal): Promise<void> {
    try {
        const fresh = await checkScripts(files, stop);
        report.value = fresh;
        checkError.value = null;
    } catch (error) {
        if (stop.aborted) {
            return; // a newer draft is being checked
        }
        report.value = null;
        checkError.value = error;
        setTimeout(() => failures.value++, AGAIN_MS);
    }
    isChecking.value = false;
}

export function useCheck(): void {
    const files = edits.value;
    const generation = running.value?.generation;
    const changes = everythingChanged.value + failures.value;
    useEffect(() => {
        if (generation === undefined) {
            return undefined;
        }
        const stop = new AbortController();
        isChecking.value = true;
        const timer = setTimeout(() => void check(files, stop.signal), report.peek() ? PAUSE_MS : 0);
        return () => {
            clearTimeout(timer);
            stop.abort();
        };
    }, [files, generation, changes]);
}

const checked = () =>
    new Promise<void>((done) => {
        const end = isChecking.subscribe((is) => {
            if (!is) {
                // subscribe calls at once, before it returns
                queueMicrotask(() => end());
                done();
            }
        });
    });

export const mayPublish = () =>
    isDirty.value && !isPublishing.value && (report.value?.errors ?? 0) === 0;

// By the button or by Ctrl+S, perhaps before the last check has ended.
export async function publishChecked(): Promise<void> {
    if (!isDirty.value) {
        toast(t('scr.nothing'));
        return;
    }
    await checked();
    if ((report.value?.errors ?? 0) > 0) {
        toastError(t('scr.faulty'));
    } else {
        await publish();
    }
}
