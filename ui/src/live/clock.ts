// The gateway's clock, as far as this page knows it: countdowns must not trust the browser's.
import { computed, signal } from '@preact/signals';

let ahead = 0; // ms that the gateway's clock is ahead of the browser's

// Ticks each second while the page is seen.
export const now = signal(Date.now());

// The same in steps of ten seconds, for what is shown in minutes.
export const slowNow = computed(() => now.value - (now.value % 10_000));

export function setGatewayTime(at: number): void {
    ahead = at - Date.now();
    now.value = at;
}

setInterval(() => {
    if (!document.hidden) {
        now.value = Date.now() + ahead;
    }
}, 1000);
