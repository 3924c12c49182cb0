// How texts are compared: beside each other, or one below the other. The choice is remembered.
import { signal } from '@preact/signals';
import { recall, remember } from '../../../storage';
import { useIsNarrow } from './useIsNarrow';

export const LAYOUTS = ['split', 'unified'] as const;
export type Layout = (typeof LAYOUTS)[number];

const chosen = signal<Layout>(recall('diff') === 'unified' ? 'unified' : 'split');

export function setLayout(layout: Layout): void {
    chosen.value = layout;
    remember('diff', layout);
}

export function useLayout(): Layout {
    const isNarrow = useIsNarrow();
    return isNarrow ? 'unified' : chosen.value;
}
