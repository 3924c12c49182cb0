// A choice among the providers to which accounts can be added in one way.
import type { Provider, Way } from '../../api/types';
import { t } from '../../i18n';
import { providers } from '../../live/store';

export function takers(way: Way): Provider[] {
    return (providers.value ?? []).filter((one) => one.kinds.includes(way));
}

interface Props {
    from: Provider[];
    value: string;
    onChange: (name: string) => void;
}

export function ProviderField({ from, value, onChange }: Props) {
    return (
        <label>
            {t('add.provider')}
            <select value={value} onChange={(event) => onChange(event.currentTarget.value)}>
                {from.map((one) => (
                    <option key={one.name} value={one.name}>
                        {one.name}
                    </option>
                ))}
            </select>
        </label>
    );
}
