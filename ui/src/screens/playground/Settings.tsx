// What is sent beside the conversation.
import { useId } from 'preact/hooks';
import { t } from '../../i18n';
import { Panel } from '../../parts/Panel';
import { DraftSwitch } from './DraftSwitch';
import { options, others, setOptions } from './options';

function Other() {
    const hint = useId();
    const isWrong = others.value === null;
    return (
        <label>
            {t('play.more')}
            <textarea
                rows={2}
                class="mono"
                spellcheck={false}
                placeholder={'{"top_p": 0.9}'}
                aria-invalid={isWrong}
                aria-describedby={isWrong ? hint : undefined}
                value={options.value.more}
                onInput={(event) => setOptions({ more: event.currentTarget.value })}
            />
            {isWrong && (
                <span id={hint} class="form-problem">
                    {t('play.more.wrong')}
                </span>
            )}
        </label>
    );
}

export function Settings() {
    const { system, isStreamed, temperature, maxTokens } = options.value;
    return (
        <Panel title={t('play.settings')} name="play-settings">
            <div class="form">
                <label>
                    {t('play.system')}
                    <textarea
                        rows={2}
                        placeholder={t('play.system.example')}
                        value={system}
                        onInput={(event) => setOptions({ system: event.currentTarget.value })}
                    />
                </label>
                <div class="grid">
                    <label>
                        {t('play.temperature')}
                        <input
                            type="number"
                            min={0}
                            max={2}
                            step="any"
                            placeholder={t('play.default')}
                            value={temperature}
                            onInput={(event) => setOptions({ temperature: event.currentTarget.value })}
                        />
                    </label>
                    <label>
                        {t('play.max')}
                        <input
                            type="number"
                            min={1}
                            step={1}
                            placeholder={t('play.default')}
                            value={maxTokens}
                            onInput={(event) => setOptions({ maxTokens: event.currentTarget.value })}
                        />
                    </label>
                </div>
                <Other />
                <label class="play-check">
                    <input
                        type="checkbox"
                        checked={isStreamed}
                        onChange={(event) => setOptions({ isStreamed: event.currentTarget.checked })}
                    />
                    {t('play.stream')}
                </label>
                <DraftSwitch />
            </div>
        </Panel>
    );
}
