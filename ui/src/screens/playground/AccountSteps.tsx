// Which accounts were asked and with what result, and which were not, and why.
import type { Attempt, PassedBy } from '../../api/types';
import { t } from '../../i18n';
import { nameOf } from '../../live/store';
import { verdict, what } from '../logs/Attempts';
import { why } from '../logs/PassedBy';
import type { TargetSteps } from '../logs/steps';
import { Step } from './Step';

const SHOWN = 6; // accounts that were passed by

function Passed({ passed }: { passed: PassedBy[] }) {
    return (
        <Step title={t('req.passed', { n: passed.length })}>
            <ul>
                {passed.slice(0, SHOWN).map((one) => (
                    <li key={one.account}>
                        <code title={one.account}>{nameOf({ id: one.account, alias: one.alias })}</code>{' '}
                        {why(one)}
                    </li>
                ))}
            </ul>
            {passed.length > SHOWN && <p>{t('play.passed.more', { n: passed.length - SHOWN })}</p>}
        </Step>
    );
}

interface AskedProps {
    attempt: Attempt;
    isOver: boolean;
}

function Asked({ attempt, isOver }: AskedProps) {
    const isGood = attempt.verdict === 'ok';
    const name = nameOf({ id: attempt.account, alias: attempt.alias });
    const next = isGood ? '' : what(attempt);
    return (
        <Step
            title={t('pair', { a: t('acc.name'), b: name })}
            ms={isOver || !isGood ? attempt.took_ms : null}
        >
            <p class={isGood ? 'outcome is-success' : 'outcome is-error'}>
                <i aria-hidden="true" />
                {verdict(attempt)}
            </p>
            {attempt.reason && <p>{attempt.reason}</p>}
            {next && <p>{next}</p>}
            <small>
                {t('req.quota', {
                    rpm: attempt.requests_minute,
                    rpd: attempt.requests_day,
                    tpm: attempt.tokens_minute,
                })}
            </small>
        </Step>
    );
}

// isOver: the times are those of the end.
export function AccountSteps({ passed, attempts, isOver }: TargetSteps & { isOver: boolean }) {
    return (
        <>
            {passed.length > 0 && <Passed passed={passed} />}
            {attempts.map((one, at) => (
                <Asked key={at} attempt={one} isOver={isOver} />
            ))}
        </>
    );
}
