// The accounts that were not asked, each with the reason.
import type { FullTrace, PassedBy as Passed } from '../../api/types';
import { maybe, t } from '../../i18n';
import { clock } from '../../i18n/format';
import { nameOf } from '../../live/store';
import { targetsOf } from './steps';

export function why({ reason, limit, until }: Passed): string {
    const name = maybe(`skip.${reason}`, reason);
    const full = limit ? t('pair', { a: name, b: maybe(`limit.${limit}`, limit) }) : name;
    return until ? full + t('join') + t('req.until', { t: clock(until) }) : full;
}

export function PassedBy({ trace }: { trace: FullTrace }) {
    const all = targetsOf(trace).flatMap((one) => one.passed);
    if (all.length === 0) {
        return null;
    }
    const n = new Set(all.map((one) => one.account)).size;
    return (
        <section>
            <h3>{t('req.passed', { n })}</h3>
            <ul class="passed">
                {all.map((one, at) => (
                    <li key={at}>
                        <span title={one.account}>{nameOf({ id: one.account, alias: one.alias })}</span>
                        <span class="hint">{why(one)}</span>
                    </li>
                ))}
            </ul>
        </section>
    );
}
