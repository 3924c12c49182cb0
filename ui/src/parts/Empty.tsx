// Nothing to show: why, and what to do about it.
import type { ComponentChildren } from 'preact';

export function Empty({ text, children }: { text: string; children?: ComponentChildren }) {
    return (
        <div class="empty">
            <p>{text}</p>
            {children}
        </div>
    );
}
