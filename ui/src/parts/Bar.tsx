// How much of a limit is used. The tick says where an even pace would be by now.
import { t } from '../i18n';
import { num } from '../i18n/format';

interface Props {
    used: number;
    limit: number;
    label: string;
    pace?: number; // 0 to 1
}

export function Bar({ used, limit, label, pace }: Props) {
    const part = limit > 0 ? Math.min(1, used / limit) : 0;
    const tone = part >= 1 ? 'is-full' : part >= 0.85 ? 'is-near' : '';
    return (
        <div
            class={`bar ${tone}`}
            role="meter"
            aria-label={label}
            aria-valuemin={0}
            aria-valuemax={limit}
            aria-valuenow={Math.min(used, limit)}
            aria-valuetext={`${num(used)} / ${num(limit)}`}
        >
            <i style={{ width: `${part * 100}%` }} />
            {pace !== undefined && <b style={{ left: `${pace * 100}%` }} title={t('acc.pace')} />}
        </div>
    );
}
