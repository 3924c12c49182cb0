import { t } from '../../i18n';

const MAX_ALIAS = 63;

export function AliasField({ value, onChange }: { value: string; onChange: (alias: string) => void }) {
    return (
        <label>
            {t('add.alias')}
            <input
                value={value}
                maxLength={MAX_ALIAS}
                autocomplete="off"
                placeholder={t('add.alias.example')}
                onInput={(event) => onChange(event.currentTarget.value)}
            />
        </label>
    );
}
