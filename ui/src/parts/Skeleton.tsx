// Where rows will be.
import { t } from '../i18n';

export function Skeleton({ rows }: { rows: number }) {
    return (
        <div class="skeleton" aria-busy="true" aria-label={t('loading')} role="status">
            {Array.from({ length: rows }, (_, at) => (
                <div key={at} />
            ))}
        </div>
    );
}
