// Which file is shown, and where in it somebody wants to go.
import { signal } from '@preact/signals';
import { address, go } from '../../../router';
import { draftFiles, edits, running } from '../draft';

const FIRST = 'routing.lua';

export interface Place {
    file: string;
    line: number;
    column: number | null;
}

export const jump = signal<Place | null>(null);

// The file that was shown last: other views lead back to it.
export const lastFile = signal('');

// Files of the gateway's own names first, then the policy tests. Removed ones stay in their place.
export const FIXED = ['routing.lua', 'models.lua', 'accounts.lua', 'gateway.lua'];

export function fileNames(): string[] {
    const all = new Set([...Object.keys(running.value?.files ?? {}), ...Object.keys(edits.value)]);
    const fixed = FIXED.filter((name) => all.has(name));
    return [...fixed, ...[...all].filter((name) => !FIXED.includes(name)).sort()];
}

export function shownFile(wanted: string | null): string {
    const names = fileNames();
    const choices = [wanted, lastFile.value, FIRST, ...names];
    return choices.find((name): name is string => !!name && names.includes(name)) ?? '';
}

export const fileAddress = (file: string) => address('scripts', { file });

export function openFile(file: string): void {
    go(fileAddress(file));
}

export function openPlace(file: string, line: number | null, column: number | null): void {
    jump.value = { file, line: line ?? 1, column };
    openFile(file);
}

export const isThere = (file: string) => file in draftFiles.value;
