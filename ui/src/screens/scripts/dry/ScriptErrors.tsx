// The errors of the draft's scripts, each once, with how many requests met it.
import type { DryRow } from '../../../api/scripts';
import { t } from '../../../i18n';
import { ScriptError } from './ScriptError';

interface Met {
    message: string;
    stack: string;
    requests: number;
}

function gather(rows: DryRow[]): Met[] {
    const met = new Map<string, Met>();
    for (const { after } of rows) {
        if (after.outcome === 'error') {
            const message = after.message ?? t('dry.is.error');
            const stack = after.stack ?? '';
            const key = `${message}\n${stack}`;
            met.set(key, { message, stack, requests: (met.get(key)?.requests ?? 0) + 1 });
        }
    }
    return [...met.values()].sort((a, b) => b.requests - a.requests);
}

export function ScriptErrors({ rows }: { rows: DryRow[] }) {
    const all = gather(rows);
    if (all.length === 0) {
        return null;
    }
    return (
        <section class="script-errors" aria-label={t('dry.errors')}>
            {all.map(({ message, stack, requests }) => (
                <div key={`${message}\n${stack}`}>
                    <span class="outcome is-error">
                        <i aria-hidden="true" />
                        {t('dry.met', { n: requests })}
                    </span>
                    <ScriptError message={message} stack={stack} />
                </div>
            ))}
        </section>
    );
}
