// A button with three dots and the menu that it opens.
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Icon } from './Icon';

const WIDTH = 176;
const MARGIN = 8;

export interface MenuItem {
    text: string;
    run: () => void;
    isDanger?: boolean;
}

interface Props {
    label: string;
    items: MenuItem[];
}

export function Menu({ label, items }: Props) {
    const id = useId();
    const menu = useRef<HTMLDivElement>(null);
    const button = useRef<HTMLButtonElement>(null);

    // Closed menus have no items: there is one in each row of long tables.
    const [isOpen, setOpen] = useState(false);

    const place = () => {
        if (!menu.current || !button.current) {
            return;
        }
        const { bottom, top, right } = button.current.getBoundingClientRect();
        const { offsetHeight } = menu.current;
        const below = bottom + 4;
        const fits = below + offsetHeight + MARGIN < innerHeight;
        menu.current.style.top = `${fits ? below : Math.max(MARGIN, top - 4 - offsetHeight)}px`;
        menu.current.style.left = `${Math.max(MARGIN, right - WIDTH)}px`;
    };
    const toggle = (event: { newState: string }) => {
        if (event.newState === 'open') {
            place();
            menu.current?.querySelector('button')?.focus();
        } else if (document.activeElement === document.body) {
            button.current?.focus(); // the item that had the focus is gone
        }
    };
    // While it is open it stays with its button, whatever is scrolled.
    useEffect(() => {
        if (!isOpen) {
            return undefined;
        }
        addEventListener('scroll', place, { capture: true, passive: true });
        return () => removeEventListener('scroll', place, { capture: true });
    }, [isOpen]);
    const move = (event: KeyboardEvent) => {
        const buttons = [...(menu.current?.querySelectorAll('button') ?? [])];
        const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
        const steps: Record<string, number> = {
            ArrowDown: (at + 1) % buttons.length,
            ArrowUp: (at - 1 + buttons.length) % buttons.length,
            Home: 0,
            End: buttons.length - 1,
        };
        const to = steps[event.key];
        if (to !== undefined) {
            event.preventDefault();
            buttons[to].focus();
        }
    };
    const choose = (item: MenuItem) => {
        menu.current?.hidePopover();
        item.run();
    };
    return (
        <>
            <button
                ref={button}
                class="icon-button"
                aria-label={label}
                aria-haspopup="menu"
                popovertarget={id}
            >
                <Icon name="more" />
            </button>
            <div
                ref={menu}
                id={id}
                popover="auto"
                role="menu"
                class="menu"
                onBeforeToggle={(event) => setOpen(event.newState === 'open')}
                onToggle={toggle}
                onKeyDown={move}
            >
                {isOpen &&
                    items.map((item) => (
                        <button
                            key={item.text}
                            role="menuitem"
                            class={item.isDanger ? 'is-danger' : ''}
                            onClick={() => choose(item)}
                        >
                            {item.text}
                        </button>
                    ))}
            </div>
        </>
    );
}
