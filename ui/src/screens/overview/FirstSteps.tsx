// The way of a newcomer: add an account, send a request, see it arrive.
import type { ComponentChildren } from 'preact';
import { useState } from 'preact/hooks';
import type { Account, Stats, Trace } from '../../api/types';
import { type Key, t } from '../../i18n';
import { took } from '../../i18n/format';
import { askedLast, present, recent, stats } from '../../live/store';
import { Icon } from '../../parts/Icon';
import { Outcome } from '../../parts/Outcome';
import { Panel } from '../../parts/Panel';
import { recall, remember } from '../../storage';
import { adding } from '../add/AddAccount';
import { Snippet } from './Snippet';

// The built-in model that answers without a network is nobody's account.
const isOwn = (account: Account) => account.plugin !== 'echo';

// Once shown it stays until it is closed: the last step is to see the request arrive.
let wasShown = false;

export function isFirstStart(all: Account[] | null, rows: Trace[] | null, now: Stats | null): boolean {
    if (all === null || rows === null || now === null || recall('steps') === 'done') {
        return false;
    }
    const isUsed = rows.length > 0 || (now.today?.requests ?? 0) > 0;
    wasShown ||= !all.some(isOwn) || !isUsed;
    return wasShown;
}

interface StepProps {
    n: number;
    name: 'add' | 'send' | 'see';
    isDone: boolean;
    children: ComponentChildren;
}

function Step({ n, name, isDone, children }: StepProps) {
    return (
        <li class={isDone ? 'step is-done' : 'step'}>
            <span class="step-mark" aria-hidden="true">
                {isDone ? <Icon name="check" /> : n}
            </span>
            <div>
                <h3>
                    {t(`steps.${name}` as Key)}
                    {isDone && <span class="unseen"> {t('steps.done')}</span>}
                </h3>
                {children}
            </div>
        </li>
    );
}

function Arrival({ first }: { first: Trace | undefined }) {
    if (!first) {
        return (
            <p class="hint" role="status">
                <span class="pulse" />
                {t('steps.waiting')}
            </p>
        );
    }
    const account = askedLast(first) || '–';
    return (
        <p role="status">
            <Outcome outcome={first.outcome} />{' '}
            {t('steps.arrived', { model: first.model, account, took: took(first.total_ms) })}
        </p>
    );
}

export function FirstSteps() {
    const [isShown, setShown] = useState(true);
    const hasAccount = present.value?.some(isOwn) ?? false;
    const first = recent.value?.[0];
    const isUsed = first !== undefined || (stats.value?.today?.requests ?? 0) > 0;
    if (!isShown) {
        return null;
    }
    const close = () => {
        remember('steps', 'done');
        setShown(false);
    };
    const aside = (
        <button class="small ghost" onClick={close}>
            {t('steps.close')}
        </button>
    );
    return (
        <Panel title={t('steps.title')} aside={aside} name="steps">
            <ol>
                <Step n={1} name="add" isDone={hasAccount}>
                    <p class="hint">{t('steps.add.hint')}</p>
                    <button class={hasAccount ? '' : 'primary'} onClick={() => (adding.value = {})}>
                        <Icon name="plus" />
                        {t('acc.add')}
                    </button>
                </Step>
                <Step n={2} name="send" isDone={isUsed}>
                    <Snippet />
                </Step>
                <Step n={3} name="see" isDone={isUsed}>
                    <Arrival first={first} />
                </Step>
            </ol>
        </Panel>
    );
}
