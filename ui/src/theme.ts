// Light, dark, or as the system has it.
import { signal } from '@preact/signals';
import { recall, remember } from './storage';

export type Theme = 'system' | 'light' | 'dark';

const kept = recall('theme');
export const theme = signal<Theme>(kept === 'light' || kept === 'dark' ? kept : 'system');

// Counts changes of the colours that are seen: what draws on a canvas draws again.
export const paint = signal(0);

const systemDark = matchMedia('(prefers-color-scheme: dark)');
systemDark.addEventListener('change', () => paint.value++);

export function isDark(): boolean {
    return theme.value === 'system' ? systemDark.matches : theme.value === 'dark';
}

export function setTheme(next: Theme): void {
    theme.value = next;
    remember('theme', next === 'system' ? null : next);
    if (next === 'system') {
        delete document.documentElement.dataset.theme;
    } else {
        document.documentElement.dataset.theme = next;
    }
    paint.value++;
}

// The other of light and dark than what is seen now.
export function flipTheme(): void {
    setTheme(isDark() ? 'light' : 'dark');
}
