// The frame: navigation, tools, the screen, and what lies above all screens.
import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { sessionOver } from '../api/client';
import { type Key, t } from '../i18n';
import { lazy } from '../parts/lazy';
import { Skeleton } from '../parts/Skeleton';
import { Toasts } from '../parts/Toasts';
import { type Route, route } from '../router';
import { AccountsPanel } from '../screens/accounts/AccountsPanel';
import { AddAccount, adding } from '../screens/add/AddAccount';
import { Logs } from '../screens/logs/Logs';
import { Overview } from '../screens/overview/Overview';
import { Settings } from '../screens/settings/Settings';
import { Palette } from './Palette';
import { SessionOver } from './SessionOver';
import { Sidebar } from './Sidebar';
import { TopBar } from './TopBar';

const isPaletteOpen = signal(false);

const Scripts = lazy(
    () => import('../screens/scripts/Scripts').then((part) => part.Scripts),
    <Skeleton rows={8} />,
);
const Playground = lazy(
    () => import('../screens/playground/Playground').then((part) => part.Playground),
    <Skeleton rows={4} />,
);

function Screen({ at }: { at: Route }) {
    switch (at.screen) {
        case 'accounts':
            return <AccountsPanel isScreen />;
        case 'scripts':
            return <Scripts view={at.rest[0] ?? 'edit'} query={at.query} />;
        case 'playground':
            return <Playground />;
        case 'logs':
            return <Logs query={at.query} />;
        case 'settings':
            return <Settings />;
        case 'overview':
            return <Overview />;
    }
}

function onKey(event: KeyboardEvent): void {
    const target = event.target as HTMLElement | null;
    if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === 'k') {
        event.preventDefault();
        isPaletteOpen.value = true;
    } else if (event.key === '/' && !target?.closest('input, textarea, select, [contenteditable]')) {
        const field = document.querySelector<HTMLElement>('main [data-find]');
        if (field) {
            event.preventDefault();
            field.focus();
        }
    }
}

// The address is the router's: going to the content must not change it.
function SkipLink() {
    const skip = (event: MouseEvent) => {
        event.preventDefault();
        document.getElementById('main')?.focus();
    };
    return (
        <a class="skip" href="#main" onClick={skip}>
            {t('skip')}
        </a>
    );
}

export function App() {
    const at = route.value;
    const title = t(`nav.${at.screen}` as Key);
    useEffect(() => {
        addEventListener('keydown', onKey);
        return () => removeEventListener('keydown', onKey);
    }, []);
    useEffect(() => {
        document.title = `${title} – llm-gate`;
    }, [title]);
    useEffect(() => scrollTo(0, 0), [at.screen]);
    if (sessionOver.value) {
        return <SessionOver />;
    }
    return (
        <>
            <SkipLink />
            <Sidebar screen={at.screen} />
            <TopBar onSearch={() => (isPaletteOpen.value = true)} />
            <main id="main" tabIndex={-1}>
                {at.screen !== 'overview' && <h1 class="unseen">{title}</h1>}
                <Screen at={at} />
            </main>
            {adding.value && <AddAccount {...adding.value} onClose={() => (adding.value = null)} />}
            {isPaletteOpen.value && <Palette onClose={() => (isPaletteOpen.value = false)} />}
            <Toasts />
        </>
    );
}
