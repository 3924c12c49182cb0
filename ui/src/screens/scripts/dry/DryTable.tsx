// The requests that go elsewhere, before and after. A click opens both decisions.
import type { DryRow } from '../../../api/scripts';
import { t } from '../../../i18n';
import { clock } from '../../../i18n/format';
import { route } from './words';

interface RowProps {
    row: DryRow;
    onOpen: (row: DryRow) => void;
}

function Row({ row, onOpen }: RowProps) {
    const { before, after } = row;
    const isBad = row.change === 'error' || row.change === 'rejected';
    const hasProvider = before.provider !== after.provider;
    return (
        <tr onClick={() => onOpen(row)}>
            <td class="col-request">
                <button
                    class="row-link"
                    onClick={(event) => {
                        event.stopPropagation();
                        onOpen(row);
                    }}
                >
                    {clock(row.at)}
                    <span class="unseen">{t('dry.open')}</span>
                </button>{' '}
                <code>{row.model}</code>
            </td>
            <td class="col-before">
                <code class="is-before">{route(before, hasProvider)}</code>
            </td>
            <td class="col-after">
                <code class={isBad ? 'is-after is-bad' : 'is-after'}>{route(after, hasProvider)}</code>
            </td>
            <td class="col-kind">
                <span class={`kind-${row.change}`}>{t(`dry.kind.${row.change}`)}</span>
            </td>
        </tr>
    );
}

interface Props {
    rows: DryRow[];
    onOpen: (row: DryRow) => void;
}

export function DryTable({ rows, onOpen }: Props) {
    return (
        <div class="scroll">
            <table class="requests dry-rows">
                <thead>
                    <tr>
                        <th scope="col">{t('dry.request')}</th>
                        <th scope="col">{t('dry.before')}</th>
                        <th scope="col">{t('dry.after')}</th>
                        <th scope="col">{t('dry.kind')}</th>
                    </tr>
                </thead>
                <tbody>
                    {rows.map((row) => (
                        <Row key={`${row.at}-${row.id}`} row={row} onOpen={onOpen} />
                    ))}
                </tbody>
            </table>
        </div>
    );
}
