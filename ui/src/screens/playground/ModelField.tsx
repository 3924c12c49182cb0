// Which model is asked: one of those that are served, or any name, as scripts may know patterns.
import { t } from '../../i18n';
import { groups, model, type ModelGroup } from './models';
import { options, setOptions } from './options';

const OTHER = '\n'; // no model has this name

function Group({ name, models }: ModelGroup) {
    return (
        <optgroup label={name || t('play.model.names')}>
            {models.map((one) => (
                <option key={one}>{one}</option>
            ))}
        </optgroup>
    );
}

function Typed() {
    return (
        <span class="play-typed">
            <input
                autoFocus
                aria-label={t('log.model')}
                placeholder={t('play.model.example')}
                spellcheck={false}
                value={options.value.model}
                onInput={(event) => setOptions({ model: event.currentTarget.value.trim() })}
            />
            <button type="button" class="small ghost" onClick={() => setOptions({ isTyped: false })}>
                {t('play.model.list')}
            </button>
        </span>
    );
}

export function ModelField() {
    const isListed = groups.value.some(({ models }) => models.includes(model.value));
    if (options.value.isTyped) {
        return <Typed />;
    }
    const choose = (value: string) =>
        setOptions(value === OTHER ? { model: '', isTyped: true } : { model: value });
    return (
        <label class="inline-label">
            {t('log.model')}
            <select value={model.value} onChange={(event) => choose(event.currentTarget.value)}>
                {!isListed && <option value={model.value}>{model.value || '–'}</option>}
                {groups.value.map((one) => (
                    <Group key={one.name} {...one} />
                ))}
                <option value={OTHER}>{t('play.model.other')}</option>
            </select>
        </label>
    );
}
