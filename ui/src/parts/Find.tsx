// A search field that '/' goes to and Escape empties.
import { Icon } from './Icon';

interface Props {
    label: string;
    value: string;
    onChange: (value: string) => void;
}

export function Find({ label, value, onChange }: Props) {
    const key = (event: KeyboardEvent) => {
        if (event.key === 'Escape' && value) {
            event.stopPropagation();
            onChange('');
        }
    };
    return (
        <label class="find">
            <Icon name="search" />
            <input
                type="search"
                data-find
                placeholder={label}
                aria-label={label}
                aria-keyshortcuts="/"
                value={value}
                onInput={(event) => onChange(event.currentTarget.value)}
                onKeyDown={key}
            />
        </label>
    );
}
