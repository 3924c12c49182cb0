// Copies a text to the clipboard, and says so in its place: notices lie behind an open dialog. Off
// loopback without TLS the browser has no clipboard for pages: then the text is selected, to be
// copied by hand.
import { useEffect, useState } from 'preact/hooks';
import { t } from '../i18n';
import { Icon } from './Icon';

const SAID_MS = 4000;

function select(element: Element | null): void {
    if (element) {
        getSelection()?.selectAllChildren(element);
    }
}

interface Props {
    text: string;
    label: string;
    shown: string; // id of the element that shows the text
}

export function Copy({ text, label, shown }: Props) {
    const [said, setSaid] = useState<'' | 'copied' | 'copy.byhand'>('');
    useEffect(() => {
        const timer = setTimeout(() => setSaid(''), SAID_MS);
        return () => clearTimeout(timer);
    }, [said]);
    const copy = async () => {
        try {
            await navigator.clipboard.writeText(text);
            setSaid('copied');
        } catch {
            select(document.getElementById(shown));
            setSaid('copy.byhand');
        }
    };
    return (
        <>
            <button
                type="button"
                class="icon-button"
                aria-label={label}
                title={label}
                onClick={() => void copy()}
            >
                <Icon name={said === 'copied' ? 'check' : 'copy'} />
            </button>
            <span class={said === 'copy.byhand' ? 'hint' : 'unseen'} role="status">
                {said && t(said)}
            </span>
        </>
    );
}
