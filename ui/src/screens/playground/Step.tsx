// A step of the way, and the time that belongs to it.
import type { ComponentChildren } from 'preact';
import { took } from '../../i18n/format';

interface Props {
    title: string;
    ms?: number | null;
    isNow?: boolean; // it has not ended
    children?: ComponentChildren;
}

export function Step({ title, ms, isNow = false, children }: Props) {
    return (
        <li class="play-step">
            <div>
                <b>
                    {isNow && <span class="pulse" />}
                    {title}
                </b>
                {ms !== undefined && ms !== null && <small>{took(ms)}</small>}
            </div>
            {children}
        </li>
    );
}
