// The tools that the model wants to be called, each with its arguments as they come.
import { t } from '../../i18n';
import type { Answer, ToolCall } from './answer';
import { LiveText } from './LiveText';
import { Pretty } from './Pretty';

interface CallProps {
    call: ToolCall;
    isWhole: boolean;
}

function Call({ call, isWhole }: CallProps) {
    return (
        <li class="play-call">
            <header>
                <span>{t('play.tool')}</span> <b class="mono">{call.name}</b>
                {call.id && <small>{call.id}</small>}
            </header>
            {isWhole ? <Pretty text={call.input.toString()} /> : <LiveText text={call.input} name="mono" />}
        </li>
    );
}

export function ToolCalls({ answer }: { answer: Answer }) {
    const calls = answer.calls.value;
    if (calls.length === 0) {
        return null;
    }
    return (
        <ul class="play-calls">
            {calls.map((call, at) => (
                <Call key={at} call={call} isWhole={!answer.isRunning} />
            ))}
        </ul>
    );
}
