// Another API key: a question first, as clients stop working, then the key, shown this once.
import { useState } from 'preact/hooks';
import { call } from '../../api/client';
import { errorText } from '../../errors';
import { type Key, t } from '../../i18n';
import { moment } from '../../i18n/format';
import { Copy } from '../../parts/Copy';
import { Dialog } from '../../parts/Dialog';

const MINUTE = 60_000;
const GRACES: [number, Key][] = [
    [0, 'key.old.0'],
    [10 * MINUTE, 'key.old.10m'],
    [60 * MINUTE, 'key.old.1h'],
    [1440 * MINUTE, 'key.old.1d'],
];

interface Made {
    key: string;
    old_until: number | null;
    warning?: string;
}

function Result({ made, onClose }: { made: Made; onClose: () => void }) {
    return (
        <div class="form">
            <p>{t('key.made')}</p>
            <div class="new-key">
                <code id="new-key">{made.key}</code>
                <Copy text={made.key} label={t('copy')} shown="new-key" />
            </div>
            <p class="hint">
                {made.old_until ? t('key.until', { at: moment(made.old_until) }) : t('key.over')}
            </p>
            {made.warning && (
                <p class="form-problem" role="alert">
                    {made.warning}
                </p>
            )}
            <footer>
                <button type="button" class="primary" onClick={onClose}>
                    {t('key.done')}
                </button>
            </footer>
        </div>
    );
}

export function NewKey({ hasAdminKey, onClose }: { hasAdminKey: boolean; onClose: () => void }) {
    const [grace, setGrace] = useState(0);
    const [made, setMade] = useState<Made | null>(null);
    const [failed, setFailed] = useState('');
    const [isBusy, setBusy] = useState(false);
    const submit = async (event: Event) => {
        event.preventDefault();
        setBusy(true);
        setFailed('');
        try {
            setMade(await call<Made>('POST', '/key', { old_key_ms: grace }));
        } catch (error) {
            setFailed(errorText(error));
        }
        setBusy(false);
    };
    return (
        <Dialog title={t('key.title.new')} kind="narrow" onClose={onClose}>
            {made ? (
                <Result made={made} onClose={onClose} />
            ) : (
                <form class="form" onSubmit={(event) => void submit(event)}>
                    <p>{t(hasAdminKey ? 'key.why.admin' : 'key.why')}</p>
                    <label>
                        {t('key.old')}
                        <select
                            data-focus
                            value={grace}
                            onChange={(event) => setGrace(Number(event.currentTarget.value))}
                        >
                            {GRACES.map(([ms, name]) => (
                                <option key={ms} value={ms}>
                                    {t(name)}
                                </option>
                            ))}
                        </select>
                    </label>
                    {failed && (
                        <p class="form-problem" role="alert">
                            {failed}
                        </p>
                    )}
                    <footer>
                        <button type="button" onClick={onClose}>
                            {t('cancel')}
                        </button>
                        <button class="danger" disabled={isBusy}>
                            {t('key.make')}
                        </button>
                    </footer>
                </form>
            )}
        </Dialog>
    );
}
