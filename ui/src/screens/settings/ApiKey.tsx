// The clients' key: where it comes from, and another one in its place.
import { useState } from 'preact/hooks';
import type { Config } from '../../api/types';
import { t } from '../../i18n';
import { everythingChanged } from '../../live/store';
import { Panel } from '../../parts/Panel';
import { NewKey } from './NewKey';
import { useAnswer } from './useAnswer';

function source({ api_key_file: file }: Config): string {
    return file ? t('key.file', { file }) : t('key.env');
}

export function ApiKey() {
    const { data } = useAnswer<Config>('/config', everythingChanged.value);
    const [isOpen, setOpen] = useState(false);
    const aside = data?.api_key_file && (
        <button class="small" onClick={() => setOpen(true)}>
            {t('key.new')}
        </button>
    );
    return (
        <Panel title={t('key.title')} aside={aside}>
            <p class="hint panel-note">{data && source(data)}</p>
            {data?.admin_key && <p class="hint panel-note">{t('key.admin')}</p>}
            {isOpen && <NewKey hasAdminKey={!!data?.admin_key} onClose={() => setOpen(false)} />}
        </Panel>
    );
}
