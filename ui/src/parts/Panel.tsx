// A white sheet with a heading. A link or buttons may stand beside the heading.
import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';

interface Props {
    title: string;
    aside?: ComponentChildren;
    name?: string; // class of its own
    children: ComponentChildren;
}

export function Panel({ title, aside, name, children }: Props) {
    const id = useId();
    return (
        <section class={name ? `panel ${name}` : 'panel'} aria-labelledby={id}>
            <header class="panel-head">
                <h2 id={id}>{title}</h2>
                {aside}
            </header>
            {children}
        </section>
    );
}
