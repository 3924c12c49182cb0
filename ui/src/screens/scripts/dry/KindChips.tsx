// How many changed in which way; a choice shows only these.
import type { DryResult } from '../../../api/scripts';
import { t } from '../../../i18n';
import { num } from '../../../i18n/format';
import { type Kind, KINDS } from './words';

interface Props {
    changes: DryResult['changes'];
    value: Kind | null;
    onChange: (kind: Kind | null) => void;
}

export function KindChips({ changes, value, onChange }: Props) {
    return (
        <div class="chips" role="group" aria-label={t('dry.filter')}>
            {KINDS.filter((kind) => changes[kind] > 0).map((kind) => (
                <button
                    key={kind}
                    class={`chip kind-${kind}`}
                    aria-pressed={kind === value}
                    onClick={() => onChange(kind === value ? null : kind)}
                >
                    {t(`dry.kind.${kind}`)} <b>{num(changes[kind])}</b>
                </button>
            ))}
            <span class="hint">{t('dry.same', { n: changes.none })}</span>
        </div>
    );
}
