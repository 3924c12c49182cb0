// Short notices at the edge. They say what was done, and take it back where that is possible.
import { signal } from '@preact/signals';

const PLAIN_MS = 5000;
const UNDO_MS = 10_000;
const SHOWN = 3;

interface Toast {
    id: number;
    text: string;
    isError: boolean;
    action?: string;
    run?: () => void;
}

const toasts = signal<Toast[]>([]);
let last = 0;

function drop(id: number): void {
    toasts.value = toasts.value.filter((one) => one.id !== id);
}

// The oldest ones make way, but not those that can still take something back.
function fitting(all: Toast[]): Toast[] {
    const plain = all.filter((one) => !one.action);
    const surplus = new Set(plain.slice(0, Math.max(0, all.length + 1 - SHOWN)));
    return all.filter((one) => !surplus.has(one));
}

function show(toast: Omit<Toast, 'id'>, ms: number): void {
    const id = ++last;
    toasts.value = [...fitting(toasts.value), { ...toast, id }];
    setTimeout(() => drop(id), ms);
}

export const toast = (text: string) => show({ text, isError: false }, PLAIN_MS);
export const toastError = (text: string) => show({ text, isError: true }, UNDO_MS);

export function toastUndo(text: string, action: string, run: () => void): void {
    show({ text, isError: false, action, run }, UNDO_MS);
}

function OneToast({ id, text, isError, action, run }: Toast) {
    const act = () => {
        drop(id);
        run?.();
    };
    return (
        <div class={isError ? 'toast is-error' : 'toast'}>
            <span>{text}</span>
            {action && <button onClick={act}>{action}</button>}
        </div>
    );
}

export function Toasts() {
    return (
        <div class="toasts" role="status" aria-live="polite">
            {toasts.value.map((one) => (
                <OneToast key={one.id} {...one} />
            ))}
        </div>
    );
}
