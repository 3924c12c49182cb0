// The address behind '#': a screen, then what the screen wants, then its filters. The gateway serves
// one page, so that every address of the console survives a reload and can be sent to somebody.
//
//     #/logs?outcome=error
import { computed, signal } from '@preact/signals';

export const SCREENS = [
    'overview',
    'accounts',
    'scripts',
    'playground',
    'logs',
    'settings',
] as const;
export type Screen = (typeof SCREENS)[number];

export interface Route {
    screen: Screen;
    rest: string[];
    query: URLSearchParams;
}

const hash = signal(location.hash);
addEventListener('hashchange', () => (hash.value = location.hash));

// Somebody may have typed the address.
function decoded(part: string): string {
    try {
        return decodeURIComponent(part);
    } catch {
        return part;
    }
}

function parse(text: string): Route {
    const [path, query] = text.replace(/^#\/?/, '').split('?', 2);
    const [first, ...rest] = path.split('/');
    const screen = SCREENS.find((one) => one === first) ?? 'overview';
    return { screen, rest: rest.map(decoded), query: new URLSearchParams(query) };
}

export const route = computed(() => parse(hash.value));

export function address(screen: Screen, query: Record<string, string> = {}): string {
    const given = Object.entries(query).filter(([, value]) => value !== '');
    const text = new URLSearchParams(given).toString();
    return `#/${screen}${text ? `?${text}` : ''}`;
}

export function go(to: string): void {
    location.hash = to;
}

// The same screen with other filters; no entry of its own in the history.
export function refine(query: Record<string, string>): void {
    const to = address(route.value.screen, query);
    history.replaceState(null, '', to);
    hash.value = to;
}
