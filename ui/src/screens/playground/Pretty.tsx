// JSON with a member on each line; what is no JSON stays as it is.
import { useMemo } from 'preact/hooks';

function indented(text: string): string {
    try {
        return JSON.stringify(JSON.parse(text), null, 2);
    } catch {
        return text;
    }
}

export function Pretty({ text }: { text: string }) {
    return <div class="live-text mono">{useMemo(() => indented(text), [text])}</div>;
}
