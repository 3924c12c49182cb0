// Two texts as one: what is gone, then what came in its place.
import type { Line, Pair } from './rows';
import { LineText } from './LineText';

interface OneProps {
    before: Line | null;
    after: Line | null;
    tone: string;
}

function One({ before, after, tone }: OneProps) {
    const line = after ?? before;
    return (
        <tr>
            <td class={`line-number ${tone}`}>{before?.number}</td>
            <td class={`line-number ${tone}`}>{after?.number}</td>
            <td class={`line-text ${tone}`}>{line && <LineText line={line} />}</td>
        </tr>
    );
}

function inOrder(pairs: Pair[]): OneProps[] {
    if (pairs[0]?.kind === 'same') {
        return pairs.map(({ before, after }) => ({ before, after, tone: '' }));
    }
    const gone = pairs.filter((one) => one.before);
    const fresh = pairs.filter((one) => one.after);
    return [
        ...gone.map(({ before }) => ({ before, after: null, tone: 'is-gone' })),
        ...fresh.map(({ after }) => ({ before: null, after, tone: 'is-new' })),
    ];
}

// All of one kind.
export function UnifiedRows({ pairs }: { pairs: Pair[] }) {
    return (
        <>
            {inOrder(pairs).map((one) => (
                <One key={`${one.before?.number}-${one.after?.number}`} {...one} />
            ))}
        </>
    );
}
