// A modal dialog: the browser keeps the focus in it and gives it back. Escape, the cross and a click
// beside it close it.
import type { ComponentChildren } from 'preact';
import { useId, useLayoutEffect, useRef } from 'preact/hooks';
import { t } from '../i18n';
import { Icon } from './Icon';

interface Props {
    title: string;
    kind?: 'narrow' | 'wide' | 'drawer' | 'palette';
    onClose: () => void;
    children: ComponentChildren;
}

export function Dialog({ title, kind, onClose, children }: Props) {
    const ref = useRef<HTMLDialogElement>(null);
    const heading = useId();
    useLayoutEffect(() => {
        const dialog = ref.current;
        dialog?.showModal();
        dialog?.querySelector<HTMLElement>('[data-focus]')?.focus();
        return () => dialog?.close();
    }, []);
    const cancel = (event: Event) => {
        event.preventDefault();
        onClose();
    };
    // A press that began in the dialog (text being selected) is no click beside it.
    const press = (event: MouseEvent) => {
        if (event.target === ref.current) {
            onClose();
        }
    };
    return (
        <dialog ref={ref} class={kind} aria-labelledby={heading} onCancel={cancel} onMouseDown={press}>
            <div class="dialog-body">
                <header>
                    <h2 id={heading}>{title}</h2>
                    <button type="button" class="icon-button" aria-label={t('close')} onClick={onClose}>
                        <Icon name="close" />
                    </button>
                </header>
                {children}
            </div>
        </dialog>
    );
}
