// Everything by keyboard: type a part of a screen, an account or an action.
import { useMemo, useState } from 'preact/hooks';
import { type Key, lang, setLang, t } from '../i18n';
import { nameOf, present } from '../live/store';
import { Dialog } from '../parts/Dialog';
import { address, go, SCREENS } from '../router';
import { adding } from '../screens/add/AddAccount';
import { signOut } from '../screens/settings/signOut';
import { flipTheme } from '../theme';

const SHOWN = 10;

interface Command {
    group: 'palette.go' | 'palette.do';
    text: string;
    also?: string; // found by this too
    run: () => void;
}

function commands(): Command[] {
    return [
        ...SCREENS.map((screen): Command => ({
            group: 'palette.go',
            text: t(`nav.${screen}` as Key),
            also: screen,
            run: () => go(address(screen)),
        })),
        { group: 'palette.do', text: t('acc.add'), run: () => (adding.value = {}) },
        { group: 'palette.do', text: t('theme.flip'), run: flipTheme },
        {
            group: 'palette.do',
            text: lang.value === 'en' ? '中文' : 'English',
            also: 'language',
            run: () => setLang(lang.value === 'en' ? 'zh' : 'en'),
        },
        { group: 'palette.do', text: t('ses.revoke'), also: 'logout', run: () => void signOut() },
        ...(present.value ?? []).map((account): Command => ({
            group: 'palette.go',
            text: nameOf(account),
            also: account.id,
            run: () => go(address('accounts', { q: account.id })),
        })),
    ];
}

function matching(all: Command[], text: string): Command[] {
    const wanted = text.trim().toLowerCase();
    const isHit = (one: Command) => `${one.text}\n${one.also ?? ''}`.toLowerCase().includes(wanted);
    return all.filter(isHit).slice(0, SHOWN);
}

interface HitsProps {
    hits: Command[];
    at: number;
    onChoose: (at: number) => void;
}

function Hits({ hits, at, onChoose }: HitsProps) {
    return (
        <ul id="palette-hits" role="listbox" aria-label={t('palette.title')}>
            {hits.map((one, n) => (
                <li
                    key={`${one.group}${one.text}${one.also ?? ''}`}
                    id={`palette-${n}`}
                    role="option"
                    aria-selected={n === at}
                    onClick={() => onChoose(n)}
                >
                    <span>{one.text}</span>
                    <small>{t(one.group)}</small>
                </li>
            ))}
        </ul>
    );
}

export function Palette({ onClose }: { onClose: () => void }) {
    const [text, setText] = useState('');
    const [at, setAt] = useState(0);
    const all = useMemo(commands, [lang.value, present.value]);
    const hits = matching(all, text);
    const choose = (n: number) => {
        const hit = hits[n];
        if (hit) {
            onClose();
            hit.run();
        }
    };
    const key = (event: KeyboardEvent) => {
        const move = { ArrowDown: 1, ArrowUp: -1 }[event.key];
        if (move) {
            event.preventDefault();
            setAt(Math.max(0, Math.min(hits.length - 1, at + move)));
        } else if (event.key === 'Enter') {
            event.preventDefault();
            choose(at);
        }
    };
    return (
        <Dialog title={t('palette.title')} kind="palette" onClose={onClose}>
            <input
                data-focus
                role="combobox"
                aria-expanded="true"
                aria-controls="palette-hits"
                aria-activedescendant={hits.length > 0 ? `palette-${at}` : undefined}
                aria-label={t('palette.title')}
                placeholder={t('palette.title')}
                value={text}
                onInput={(event) => {
                    setText(event.currentTarget.value);
                    setAt(0);
                }}
                onKeyDown={key}
            />
            <Hits hits={hits} at={at} onChoose={choose} />
            {hits.length === 0 && <p class="hint">{t('palette.none', { q: text })}</p>}
        </Dialog>
    );
}
