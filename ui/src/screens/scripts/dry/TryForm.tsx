// A request that nobody has sent.
import { useState } from 'preact/hooks';
import { t } from '../../../i18n';
import { providers, recent } from '../../../live/store';
import type { Facts } from './route';

const MODEL_BYTES = 255;
const MOST = 10_000_000;

// What clients ask for, and what is served.
function modelNames(): string[] {
    const served = (providers.value ?? []).filter((one) => one.accounts > 0).flatMap((one) => one.models);
    const asked = (recent.value ?? []).map((one) => one.model);
    return [...new Set([...asked, ...served])].filter(Boolean).sort();
}

interface NumberProps {
    label: string;
    value: number;
    onChange: (value: number) => void;
}

function NumberField({ label, value, onChange }: NumberProps) {
    return (
        <label>
            {label}
            <input
                type="number"
                min={0}
                max={MOST}
                step={1}
                required
                value={value}
                onInput={(event) => onChange(event.currentTarget.valueAsNumber)}
            />
        </label>
    );
}

interface FlagProps {
    label: string;
    value: boolean;
    onChange: (value: boolean) => void;
}

function Flag({ label, value, onChange }: FlagProps) {
    return (
        <label class="flag">
            <input
                type="checkbox"
                checked={value}
                onChange={(event) => onChange(event.currentTarget.checked)}
            />
            {label}
        </label>
    );
}

interface Props {
    isBusy: boolean;
    onTry: (facts: Facts) => void;
}

export function TryForm({ isBusy, onTry }: Props) {
    const [facts, setFacts] = useState<Facts>({
        model: '',
        prompt_tokens: 1000,
        tools: 0,
        stream: true,
        has_images: false,
        key: '',
    });
    const put = (some: Partial<Facts>) => setFacts({ ...facts, ...some });
    const submit = (event: Event) => {
        event.preventDefault();
        onTry({ ...facts, model: facts.model.trim(), key: facts.key || undefined });
    };
    return (
        <form class="try-form" onSubmit={submit}>
            <label class="is-wide">
                {t('log.model')}
                <input
                    required
                    pattern=".*\S.*"
                    maxLength={MODEL_BYTES}
                    list="try-models"
                    autocomplete="off"
                    spellcheck={false}
                    value={facts.model}
                    onInput={(event) => put({ model: event.currentTarget.value })}
                />
            </label>
            <datalist id="try-models">
                {modelNames().map((name) => (
                    <option key={name} value={name} />
                ))}
            </datalist>
            <NumberField
                label={t('try.tokens')}
                value={facts.prompt_tokens}
                onChange={(value) => put({ prompt_tokens: value })}
            />
            <NumberField
                label={t('try.tools')}
                value={facts.tools}
                onChange={(value) => put({ tools: value })}
            />
            <label>
                {t('req.key')}
                <input
                    placeholder="default"
                    maxLength={MODEL_BYTES}
                    autocomplete="off"
                    value={facts.key}
                    onInput={(event) => put({ key: event.currentTarget.value })}
                />
            </label>
            <Flag label={t('try.stream')} value={facts.stream} onChange={(stream) => put({ stream })} />
            <Flag
                label={t('try.images')}
                value={facts.has_images}
                onChange={(value) => put({ has_images: value })}
            />
            <button type="submit" disabled={isBusy}>
                {t('try.do')}
            </button>
        </form>
    );
}
