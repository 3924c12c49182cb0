// A difference that the gateway made, as it is: lines that came and lines that went.
import { useEffect, useState } from 'preact/hooks';
import { type Diff, readDiff } from '../../../api/scripts';
import { errorText } from '../../../errors';
import { t } from '../../../i18n';

const TONES: Record<string, string> = { '+': 'is-added', '-': 'is-removed' };

// A removed comment of Lua looks like a head ("--- a"): how long a hunk is says which of them it is.
function tonesOf(lines: string[]): string[] {
    let before = 0;
    let after = 0;
    return lines.map((line) => {
        const hunk = /^@@ -\d+(?:,(\d+))? \+\d+(?:,(\d+))? @@/.exec(line);
        if (before + after === 0) {
            before = hunk ? Number(hunk[1] ?? 1) : 0;
            after = hunk ? Number(hunk[2] ?? 1) : 0;
            return 'is-head';
        }
        before -= line.startsWith('-') || line.startsWith(' ') ? 1 : 0;
        after -= line.startsWith('+') || line.startsWith(' ') ? 1 : 0;
        return TONES[line[0]] ?? '';
    });
}

interface Props {
    from: number | string;
    to: number | string;
    label: string;
}

export function DiffText({ from, to, label }: Props) {
    const [diff, setDiff] = useState<Diff | null>(null);
    const [failed, setFailed] = useState<unknown>(null);
    useEffect(() => {
        readDiff(from, to).then(setDiff, setFailed);
    }, [from, to]);
    if (failed !== null) {
        return <p class="hint">{errorText(failed)}</p>;
    }
    if (!diff) {
        return <p class="hint">{t('loading')}</p>;
    }
    const lines = diff.diff.trimEnd().split('\n');
    const tones = tonesOf(lines);
    return (
        <pre class="diff-text" tabIndex={0} role="region" aria-label={label}>
            {lines.map((line, at) => (
                <span key={at} class={tones[at]}>
                    {`${line}\n`}
                </span>
            ))}
        </pre>
    );
}
