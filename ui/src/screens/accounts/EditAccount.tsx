// Tags, weight, limits and key of one account. Only what was changed is sent: what this page does not know
// stays as it is.
import { useState } from 'preact/hooks';
import { type AccountPatch, patchAccount } from '../../api/accounts';
import { type Account, LIMIT_NAMES, type LimitName, type Limits } from '../../api/types';
import { errorText } from '../../errors';
import { type Key, t } from '../../i18n';
import { num } from '../../i18n/format';
import { nameOf } from '../../live/store';
import { Dialog } from '../../parts/Dialog';
import { toast } from '../../parts/Toasts';

type Fields = Record<LimitName, string>;

const readLimits = (limits: Limits): Fields =>
    Object.fromEntries(LIMIT_NAMES.map((name) => [name, String(limits.chat?.[name] ?? '')])) as Fields;

const readTags = (text: string) => [...new Set(text.split(/[\s,\uff0c]+/).filter((tag) => tag !== ''))];

// All limits are replaced by those that are sent: those of search go along unchanged.
function writeLimits(old: Limits, fields: Fields): Limits {
    const given = LIMIT_NAMES.filter((name) => fields[name].trim() !== '');
    const chat = Object.fromEntries(given.map((name) => [name, Number(fields[name])]));
    return { ...old, chat };
}

interface Edited {
    tags: string;
    weight: string;
    key: string; // '': the one that it has
    limits: Fields;
}

function changes(account: Account, before: Edited, after: Edited): AccountPatch {
    const patch: AccountPatch = {};
    if (after.tags !== before.tags) {
        patch.tags = readTags(after.tags);
    }
    if (after.weight !== before.weight) {
        patch.weight = after.weight.trim() === '' ? null : Number(after.weight);
    }
    if (LIMIT_NAMES.some((name) => after.limits[name] !== before.limits[name])) {
        patch.limits = writeLimits(account.limits, after.limits);
    }
    if (after.key !== '') {
        patch.api_key = after.key;
    }
    return patch;
}

interface NumberProps {
    label: string;
    value: string;
    inherited: number | undefined;
    onChange: (value: string) => void;
}

function NumberField({ label, value, inherited, onChange }: NumberProps) {
    return (
        <label>
            {label}
            <input
                type="number"
                min="0"
                step="1"
                inputMode="numeric"
                value={value}
                placeholder={inherited ? num(inherited) : t('acc.nolimit')}
                onInput={(event) => onChange(event.currentTarget.value)}
            />
        </label>
    );
}

interface Props {
    account: Account;
    isKey: boolean; // it is the key that somebody has come for
    onClose: () => void;
}

export function EditAccount({ account, isKey, onClose }: Props) {
    const [before] = useState<Edited>({
        tags: account.tags.join(' '),
        weight: account.weight === null ? '' : String(account.weight),
        key: '',
        limits: readLimits(account.limits),
    });
    const [edited, setEdited] = useState(before);
    const [problem, setProblem] = useState('');
    const save = async (event: Event) => {
        event.preventDefault();
        const patch = changes(account, before, edited);
        try {
            if (Object.keys(patch).length > 0) {
                await patchAccount(account.id, patch);
                toast(t('toast.saved', { a: nameOf(account) }));
            }
            onClose();
        } catch (error) {
            setProblem(errorText(error));
        }
    };
    const setLimit = (name: LimitName, value: string) =>
        setEdited({ ...edited, limits: { ...edited.limits, [name]: value } });
    return (
        <Dialog title={t('edit.title', { a: nameOf(account) })} onClose={onClose}>
            <form class="form" onSubmit={(event) => void save(event)}>
                <label>
                    {t('edit.tags')}
                    <input
                        data-focus={isKey ? undefined : true}
                        value={edited.tags}
                        onInput={(event) => setEdited({ ...edited, tags: event.currentTarget.value })}
                    />
                </label>
                <fieldset class="grid">
                    <legend>{t('edit.limits')}</legend>
                    {LIMIT_NAMES.map((name) => (
                        <NumberField
                            key={name}
                            label={t(`limit.${name}` as Key)}
                            value={edited.limits[name]}
                            inherited={account.effective.limits.chat?.[name]}
                            onChange={(value) => setLimit(name, value)}
                        />
                    ))}
                    <NumberField
                        label={t('edit.weight')}
                        value={edited.weight}
                        inherited={account.effective.weight ?? 1}
                        onChange={(weight) => setEdited({ ...edited, weight })}
                    />
                </fieldset>
                <p class="hint">{t('edit.hint')}</p>
                {account.kind === 'api_key' && account.source === 'stored' && (
                    <label>
                        {t('edit.key')}
                        <input
                            type="password"
                            data-focus={isKey ? true : undefined}
                            autocomplete="off"
                            spellcheck={false}
                            value={edited.key}
                            placeholder={t('add.key.same')}
                            onInput={(event) => setEdited({ ...edited, key: event.currentTarget.value })}
                        />
                    </label>
                )}
                {problem && (
                    <p class="form-problem" role="alert">
                        {problem}
                    </p>
                )}
                <footer>
                    <button type="button" onClick={onClose}>
                        {t('cancel')}
                    </button>
                    <button class="primary">{t('save')}</button>
                </footer>
            </form>
        </Dialog>
    );
}
