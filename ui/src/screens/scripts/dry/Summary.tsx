// What came out, in figures.
import type { DryResult } from '../../../api/scripts';
import { t } from '../../../i18n';
import { num, took } from '../../../i18n/format';
import { micros } from './words';

export function Summary({ result }: { result: DryResult }) {
    const { requests, changed, decision_us: each, took_ms: all } = result;
    const figures: [string, string][] = [
        [t('dry.requests'), num(requests)],
        [t('dry.changed'), num(changed)],
        [t('dry.median'), micros(each.median)],
        [t('dry.p99'), micros(each.p99)],
        [t('dry.max'), micros(each.max)],
        [t('dry.took'), took(all)],
    ];
    return (
        <dl class="dry-figures">
            {figures.map(([name, value]) => (
                <div key={name}>
                    <dt>{name}</dt>
                    <dd>{value}</dd>
                </div>
            ))}
        </dl>
    );
}
