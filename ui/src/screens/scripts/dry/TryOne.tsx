// Where one request would go: by what runs, and by the draft.
import { useState } from 'preact/hooks';
import type { Decision, Edits } from '../../../api/scripts';
import { t } from '../../../i18n';
import { edits, isDirty, running } from '../draft';
import { DecisionCard } from './DecisionCard';
import { Refused } from './Refused';
import { type Facts, routeScripts } from './route';
import { sameEdits } from './same';
import { TryForm } from './TryForm';

interface Side {
    decision: Decision | null;
    error: unknown;
}

interface Asked {
    edits: Edits;
    generation: number | undefined;
    running: Side;
    draft: Side | null; // null: there was no draft
}

async function ask(facts: Facts, files?: Edits): Promise<Side> {
    try {
        return { decision: (await routeScripts(facts, files)).decision, error: null };
    } catch (error) {
        return { decision: null, error };
    }
}

function Answer({ title, side }: { title: string; side: Side }) {
    return side.decision ? (
        <DecisionCard title={title} decision={side.decision} />
    ) : (
        <section class="decision is-error">
            <h3>{title}</h3>
            <Refused error={side.error} />
        </section>
    );
}

function Answers({ asked }: { asked: Asked }) {
    return (
        <div class="decisions" role="status">
            <Answer title={t('dry.before')} side={asked.running} />
            {asked.draft && <Answer title={t('dry.after')} side={asked.draft} />}
        </div>
    );
}

export function TryOne() {
    const [asked, setAsked] = useState<Asked | null>(null);
    const [isBusy, setBusy] = useState(false);
    const go = async (facts: Facts) => {
        const what = { edits: edits.value, generation: running.value?.generation };
        setBusy(true);
        const [now, draft] = await Promise.all([
            ask(facts),
            isDirty.value ? ask(facts, what.edits) : null,
        ]);
        setAsked({ ...what, running: now, draft });
        setBusy(false);
    };
    const isOld =
        asked !== null &&
        (asked.generation !== running.value?.generation || !sameEdits(asked.edits, edits.value));
    return (
        <section class="try-one" aria-labelledby="try-title">
            <h2 id="try-title">{t('try.title')}</h2>
            <p class="hint">{t('try.hint')}</p>
            <TryForm isBusy={isBusy} onTry={(facts) => void go(facts)} />
            {isOld && <p class="dry-old">{t('try.old')}</p>}
            {asked && !isOld && <Answers asked={asked} />}
        </section>
    );
}
