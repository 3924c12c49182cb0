// Two texts beside each other.
import type { Line, Pair } from './rows';
import { LineText } from './LineText';

function Side({ line, tone }: { line: Line | null; tone: string }) {
    if (!line) {
        return <td class="line-none" colSpan={2} />;
    }
    return (
        <>
            <td class={`line-number ${tone}`}>{line.number}</td>
            <td class={`line-text ${tone}`}>
                <LineText line={line} />
            </td>
        </>
    );
}

export function SplitRows({ pairs }: { pairs: Pair[] }) {
    return (
        <>
            {pairs.map(({ kind, before, after }) => (
                <tr key={`${before?.number}-${after?.number}`}>
                    <Side line={before} tone={kind === 'changed' ? 'is-gone' : ''} />
                    <Side line={after} tone={kind === 'changed' ? 'is-new' : ''} />
                </tr>
            ))}
        </>
    );
}
