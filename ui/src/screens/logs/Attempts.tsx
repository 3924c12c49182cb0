// The accounts that were asked, in order, with the account's use at that moment and the verdict.
import type { Attempt, FullTrace } from '../../api/types';
import { maybe, t } from '../../i18n';
import { duration, took } from '../../i18n/format';
import { nameOf } from '../../live/store';

export function verdict(attempt: Attempt): string {
    const name = maybe(`verdict.${attempt.verdict}`, attempt.verdict);
    return attempt.status > 0 ? t('aside', { a: name, b: String(attempt.status) }) : name;
}

export function what({ action, cooldown_ms: pause }: Attempt): string {
    if (!action) {
        return '';
    }
    const next = maybe(`action.${action}`, action);
    return pause ? next + t('join') + t('req.paused', { t: duration(pause) }) : next;
}

function One({ attempt }: { attempt: Attempt }) {
    const isGood = attempt.verdict === 'ok';
    const name = nameOf({ id: attempt.account, alias: attempt.alias });
    const marks = [attempt.probe && t('req.probe'), attempt.last_resort && t('req.lastresort')];
    return (
        <li class={isGood ? 'attempt is-good' : 'attempt is-bad'}>
            <div>
                <b>{name}</b> {name !== attempt.account && <small>{attempt.account}</small>}
                <span class="number">{took(attempt.took_ms)}</span>
            </div>
            <div>
                <span class={isGood ? 'outcome is-success' : 'outcome is-error'}>
                    <i aria-hidden="true" />
                    {[verdict(attempt), ...marks].filter(Boolean).join(t('join'))}
                </span>
            </div>
            {!isGood && (
                <p>
                    {attempt.code && <code>{attempt.code}</code>} {attempt.reason}
                </p>
            )}
            {!isGood && what(attempt) && <p class="hint">{what(attempt)}</p>}
            <small>
                {t('req.quota', {
                    rpm: attempt.requests_minute,
                    rpd: attempt.requests_day,
                    tpm: attempt.tokens_minute,
                })}
            </small>
        </li>
    );
}

export function Attempts({ trace }: { trace: FullTrace }) {
    return (
        <section>
            <h3>{t('req.attempts')}</h3>
            {trace.attempts.length === 0 && <p class="hint">{t('req.attempts.none')}</p>}
            <ol class="attempts">
                {trace.attempts.map((attempt, at) => (
                    <One key={at} attempt={attempt} />
                ))}
            </ol>
        </section>
    );
}
