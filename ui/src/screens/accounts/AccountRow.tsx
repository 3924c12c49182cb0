import { useState } from 'preact/hooks';
import type { Account, Meter } from '../../api/types';
import { maybe, t } from '../../i18n';
import { clock, compact, duration, num, took } from '../../i18n/format';
import { slowNow } from '../../live/clock';
import { nameOf } from '../../live/store';
import { Bar } from '../../parts/Bar';
import { Spark } from '../../parts/Spark';
import { StateBadge } from '../../parts/StateBadge';
import { Rename } from './Rename';
import { RowActions } from './RowActions';

function ResetsIn({ at }: { at: number }) {
    return <small>{t('acc.resets', { t: duration(at - slowNow.value) })}</small>;
}

interface UsedProps {
    meter: Meter | undefined;
    label: string;
    pace?: number;
    isDay?: boolean;
}

function Used({ meter, label, pace, isDay }: UsedProps) {
    if (!meter) {
        return <span class="none">–</span>;
    }
    const { used, limit, resets_at_ms: resets } = meter;
    return (
        <>
            <div class="used">
                <span>
                    <small class="card-label">{label}</small> <b>{num(used)}</b>{' '}
                    {limit === null ? <small>{t('acc.nolimit')}</small> : `/ ${num(limit)}`}
                </span>
                {isDay && limit !== null && resets ? <ResetsIn at={resets} /> : null}
            </div>
            {limit !== null && <Bar used={used} limit={limit} label={label} pace={pace} />}
        </>
    );
}

interface NameProps {
    account: Account;
    isEdited: boolean;
    onEnd: () => void;
}

function Name({ account, isEdited, onEnd }: NameProps) {
    const name = nameOf(account);
    return (
        <th scope="row" class="col-name">
            {isEdited ? (
                <Rename account={account} onEnd={onEnd} />
            ) : (
                <span class="alias" title={name}>
                    {name}
                </span>
            )}
            {name !== account.id && <small>{account.id}</small>}
            {account.tags.map((tag) => (
                <span key={tag} class="tag">
                    {tag}
                </span>
            ))}
        </th>
    );
}

function Failure({ account }: { account: Account }) {
    const { last_error: error, problem } = account;
    if (problem) {
        return <span class="problem">{problem}</span>;
    }
    if (!error) {
        return <span class="none">–</span>;
    }
    return (
        <>
            <code title={error.message}>
                {error.code || maybe(`verdict.${error.verdict}`, error.verdict)}
            </code>
            <small>{clock(error.at)}</small>
        </>
    );
}

interface Props {
    account: Account;
    isPicked: boolean;
    onPick: (id: string) => void;
}

export function AccountRow({ account, isPicked, onPick }: Props) {
    const [isEdited, setEdited] = useState(false);
    const isOff = account.state === 'disabled' || account.state === 'deleted';
    const chat = account.quota.chat;
    const sparkline = account.spark?.reduce((all, n) => all + n, 0) ?? 0;
    return (
        <tr class={isOff ? 'is-off' : ''} aria-selected={isPicked}>
            <td class="col-pick">
                <label class="pick">
                    <input
                        type="checkbox"
                        checked={isPicked}
                        aria-label={t('acc.pick', { a: nameOf(account) })}
                        onChange={() => onPick(account.id)}
                    />
                </label>
            </td>
            <Name account={account} isEdited={isEdited} onEnd={() => setEdited(false)} />
            <td class="col-state">
                <StateBadge state={account.state} until={account.until} />
            </td>
            <td class="col-latency">
                <span class="latency">
                    <span>{account.latency_ms === null ? '–' : took(account.latency_ms)}</span>
                    <Spark values={account.spark} label={t('acc.spark', { n: sparkline })} />
                </span>
            </td>
            <td class="col-day">
                <Used
                    meter={chat?.requests_day}
                    label={t('acc.day')}
                    pace={isOff ? undefined : account.quota.day_elapsed}
                    isDay
                />
            </td>
            <td class="col-minute">
                <Used meter={chat?.requests_minute} label={t('acc.minute')} />
            </td>
            <td class="col-tokens number">{compact(chat?.tokens_day?.used ?? 0)}</td>
            <td class="col-error">
                <Failure account={account} />
            </td>
            <td class="col-actions">
                <RowActions account={account} onRename={() => setEdited(true)} />
            </td>
        </tr>
    );
}
