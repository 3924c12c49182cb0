// What is wrong now, and what can be done about it.
import type { Account, Alert } from '../../api/types';
import { type Key, maybe, t, type Values } from '../../i18n';
import { moment } from '../../i18n/format';
import { accounts, alerts, nameOf } from '../../live/store';
import { Icon } from '../../parts/Icon';
import { address, go } from '../../router';
import { asked } from '../accounts/AccountDialog';
import { adding } from '../add/AddAccount';

const accountOf = ({ values }: Alert) => accounts.value?.find((one) => one.id === values.account);

// The gateway looks once a minute: what was done meanwhile is known here already.
function isOver(alert: Alert): boolean {
    const state = accountOf(alert)?.state;
    const isAway = state === 'disabled' || state === 'deleted';
    return isAway || (alert.code === 'needs_sign_in' && state !== undefined && state !== 'needs_sign_in');
}

const isError = ({ level }: Alert) => level === 'error';

// Reasons are parts of the gateway's own sentences.
const asSentence = (text: string) => text.charAt(0).toUpperCase() + text.slice(1);

// What the words of an alert are about.
function valuesOf(alert: Alert): Values {
    const { values } = alert;
    const account = accountOf(alert);
    const a = account ? nameOf(account) : String(values.alias ?? values.account ?? '');
    const kind = maybe(`alert.kind.${values.kind}`, String(values.kind ?? ''));
    return { ...values, a, kind, why: asSentence(String(values.why ?? '')) };
}

// The gateway's own words are English. What it names by a code is said in the reader's language.
const title = (one: Alert) => maybe(`alert.title.${one.code}`, one.title, valuesOf(one));
const text = (one: Alert) => maybe(`alert.text.${one.code}`, one.text, valuesOf(one));

interface Way {
    label: Key;
    run: () => void;
}

const showAccounts = (label: Key, q: string): Way => ({
    label,
    run: () => go(address('accounts', { q })),
});

function wayOfAccount(code: string | null, account: Account): Way {
    const { id, alias, provider, kind, source } = account;
    if (kind === 'oauth' && source === 'stored' && code !== 'quota_used') {
        return { label: 'acc.signin', run: () => (adding.value = { renew: { id, alias, provider } }) };
    }
    if (source === 'stored' && code === 'key_refused') {
        return { label: 'acc.key', run: () => (asked.value = { what: 'key', account }) };
    }
    return showAccounts('alert.do.account', id);
}

// null: nothing that the console could do.
function wayOut(alert: Alert): Way | null {
    const account = accountOf(alert);
    if (account) {
        return wayOfAccount(alert.code, account);
    }
    switch (alert.code) {
        case 'pool_quota_used':
            return { label: 'acc.add', run: () => (adding.value = {}) };
        case 'all_down':
            return showAccounts('alert.do.accounts', `${alert.values.provider}/`);
        case 'scripts_disk':
        case 'scripts_failed':
            return { label: 'alert.do.scripts', run: () => go('#/scripts') };
        default:
            return null;
    }
}

function OneAlert({ alert }: { alert: Alert }) {
    const way = wayOut(alert);
    return (
        <li class={`panel is-${alert.level}`}>
            <Icon name="alert" />
            <div class="alert-text">
                <b>{title(alert)}</b>
                <p>{text(alert)}</p>
            </div>
            <div class="alert-end">
                <small>{moment(alert.since)}</small>
                {way && (
                    <button class="small" onClick={way.run}>
                        {t(way.label)}
                    </button>
                )}
            </div>
        </li>
    );
}

export function Alerts() {
    const shown = alerts.value
        .filter((one) => !isOver(one))
        .sort((a, b) => Number(isError(b)) - Number(isError(a))); // what is worse comes first
    if (shown.length === 0) {
        return null;
    }
    return (
        <div role="status">
            <ul class="alerts">
                {shown.map((one) => (
                    <OneAlert key={one.name} alert={one} />
                ))}
            </ul>
        </div>
    );
}
