// Requests as rows, on a phone as cards. A click opens the explanation.
import { useMemo } from 'preact/hooks';
import type { Trace } from '../../api/types';
import { lang, t } from '../../i18n';
import { clock, num, took } from '../../i18n/format';
import { askedLast, traceKey } from '../../live/store';
import { Outcome } from '../../parts/Outcome';

interface RowProps {
    trace: Trace;
    onOpen: (id: string) => void;
}

function Row({ trace, onOpen }: RowProps) {
    const tokens = trace.prompt_tokens + trace.completion_tokens;
    return (
        <tr onClick={() => onOpen(trace.id)}>
            <td class="col-time">
                <button
                    class="row-link"
                    onClick={(event) => {
                        event.stopPropagation();
                        onOpen(trace.id);
                    }}
                >
                    {clock(trace.at)}
                    <span class="unseen">{t('log.open')}</span>
                </button>
            </td>
            <td class="col-outcome">
                <Outcome outcome={trace.outcome} />
            </td>
            <td class="col-model">
                <code>{trace.model}</code>
            </td>
            <td class="col-route">
                <code>{trace.upstream_model || '–'}</code> <span>{askedLast(trace)}</span>
            </td>
            <td class="col-tokens number">{tokens > 0 ? num(tokens) : '–'}</td>
            <td class="col-took number">{took(trace.total_ms)}</td>
        </tr>
    );
}

function KeptRow({ trace, onOpen }: RowProps) {
    return useMemo(() => <Row trace={trace} onOpen={onOpen} />, [trace, onOpen, lang.value]);
}

export function RequestTable({ rows, onOpen }: { rows: Trace[]; onOpen: (id: string) => void }) {
    return (
        <div class="scroll">
            <table class="requests">
                <thead>
                    <tr>
                        <th scope="col">{t('log.time')}</th>
                        <th scope="col">{t('log.outcome')}</th>
                        <th scope="col">{t('log.model')}</th>
                        <th scope="col">{t('log.route')}</th>
                        <th scope="col" class="number">
                            {t('log.tokens')}
                        </th>
                        <th scope="col" class="number">
                            {t('log.took')}
                        </th>
                    </tr>
                </thead>
                <tbody>
                    {rows.map((trace) => (
                        <KeptRow key={traceKey(trace)} trace={trace} onOpen={onOpen} />
                    ))}
                </tbody>
            </table>
        </div>
    );
}
