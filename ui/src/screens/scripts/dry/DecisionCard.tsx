// One decision with everything that is known of it.
import type { ComponentChildren } from 'preact';
import type { Decision } from '../../../api/scripts';
import { t } from '../../../i18n';
import { ScriptError } from './ScriptError';
import { accountName, micros, route, targetName } from './words';

interface Line {
    name: string;
    value: ComponentChildren;
}

function List({ items }: { items: string[] }) {
    return (
        <ol>
            {items.map((item, at) => (
                <li key={at}>{item}</li>
            ))}
        </ol>
    );
}

// A target that nobody serves has no provider.
function targets({ targets: all = [] }: Decision): string[] {
    return all.map((one) =>
        one.provider ? targetName(one) : t('pair', { a: one.name, b: t('dry.is.unknown_model') }),
    );
}

function lines(decision: Decision): Line[] {
    const { accounts = [], strategy, reason, outcome } = decision;
    const to = targets(decision);
    const all: Line[] = [{ name: t('dry.outcome'), value: t(`dry.is.${outcome}`) }];
    if (reason) {
        all.push({ name: t('req.reason'), value: reason });
    }
    if (to.length > 0) {
        all.push({ name: t('dry.targets'), value: <List items={to} /> });
    }
    if (accounts.length > 0) {
        all.push({ name: t('dry.accounts'), value: <List items={accounts.map(accountName)} /> });
    }
    if (strategy) {
        all.push({ name: t('gw.strategy'), value: strategy });
    }
    return [...all, { name: t('log.took'), value: micros(decision.took_us) }];
}

export function DecisionCard({ title, decision }: { title: string; decision: Decision }) {
    const isError = decision.outcome === 'error';
    return (
        <section class={`decision is-${decision.outcome}`}>
            <h3>{title}</h3>
            {isError ? (
                <ScriptError message={decision.message ?? t('dry.is.error')} stack={decision.stack} />
            ) : (
                <p class="route-line">
                    <code>{route(decision, true)}</code>
                </p>
            )}
            <dl class="facts">
                {lines(decision).map(({ name, value }) => (
                    <div key={name}>
                        <dt>{name}</dt>
                        <dd>{value}</dd>
                    </div>
                ))}
            </dl>
        </section>
    );
}
