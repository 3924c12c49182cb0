// A choice of a few, all seen.
interface Props<T extends string> {
    label: string;
    values: readonly T[];
    value: T;
    name: (value: T) => string;
    onChange: (value: T) => void;
}

export function Segments<T extends string>({ label, values, value, name, onChange }: Props<T>) {
    return (
        <div class="segments" role="group" aria-label={label}>
            {values.map((one) => (
                <button
                    key={one}
                    type="button"
                    aria-pressed={one === value}
                    onClick={() => onChange(one)}
                >
                    {name(one)}
                </button>
            ))}
        </div>
    );
}
