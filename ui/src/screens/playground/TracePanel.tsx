// The way of an answer: name, scripts, accounts, first token, end.
import type { ChatTrace } from '../../api/chat';
import { type Key, t } from '../../i18n';
import { num } from '../../i18n/format';
import { Empty } from '../../parts/Empty';
import { Panel } from '../../parts/Panel';
import { address } from '../../router';
import { targetsOf } from '../logs/steps';
import { AccountSteps } from './AccountSteps';
import type { Answer } from './answer';
import { shownTurn } from './talk';
import { speedOf, tokensText } from './Figures';
import { Step } from './Step';

const PANEL = 'play-trace';

// On a phone it is below the conversation.
export function showTrace(): void {
    document.getElementById(PANEL)?.scrollIntoView({ block: 'nearest' });
}

function ModelStep({ model, trace }: { model: string; trace: ChatTrace | null }) {
    const target = [trace?.provider, trace?.upstream_model].filter(Boolean).join('/');
    return (
        <Step title={t('play.step.model')}>
            <code>{target ? `${model} → ${target}` : model}</code>
        </Step>
    );
}

// The time is that of everything before the first account was asked.
function ScriptStep({ trace }: { trace: ChatTrace }) {
    const title =
        trace.generation === null
            ? t('play.step.draft')
            : t('play.step.scripts', { g: num(trace.generation) });
    return (
        <Step title={title} ms={trace.attempts?.[0]?.start_ms}>
            {trace.strategy && <code>{trace.strategy}</code>}
            {trace.reason && <p>{trace.reason}</p>}
        </Step>
    );
}

function FirstStep({ answer, trace }: { answer: Answer; trace: ChatTrace | null }) {
    const first = trace?.first_ms ?? answer.firstMs.value;
    if (first === null || (!answer.hasText.value && !answer.firstMs.value)) {
        return null;
    }
    return <Step title={t('req.first')} ms={first} />;
}

function EndStep({ answer, trace }: { answer: Answer; trace: ChatTrace | null }) {
    const state = answer.state.value;
    if (answer.isRunning) {
        return <Step title={t(`play.step.${state}` as Key)} isNow />;
    }
    const said = [tokensText(answer), speedOf(answer)].filter(Boolean).join(' · ');
    const total = answer.isTraceWhole.value ? trace?.total_ms : null;
    return (
        <Step
            title={t(`play.step.${state}` as Key)}
            ms={total ?? answer.totalMs.value}
        >
            {said && <code>{said}</code>}
            {answer.failure.value?.code && <code>{answer.failure.value.code}</code>}
        </Step>
    );
}

function Steps({ answer }: { answer: Answer }) {
    const trace = answer.trace.value;
    return (
        <ol class="play-steps">
            <ModelStep model={answer.model} trace={trace} />
            {trace && <ScriptStep trace={trace} />}
            {trace &&
                targetsOf(trace).map((one) => (
                    <AccountSteps key={one.target} {...one} isOver={answer.isTraceWhole.value} />
                ))}
            {answer.isStreamed && <FirstStep answer={answer} trace={trace} />}
            <EndStep answer={answer} trace={trace} />
        </ol>
    );
}

export function TracePanel() {
    const turn = shownTurn.value;
    const id = turn?.answer.trace.value?.id;
    const aside = id && <a href={address('logs', { id })}>{t('play.logs')}</a>;
    return (
        <div id={PANEL}>
            <Panel title={t('play.trace')} name="play-trace" aside={aside}>
                {turn ? <Steps answer={turn.answer} /> : <Empty text={t('play.trace.none')} />}
            </Panel>
        </div>
    );
}
