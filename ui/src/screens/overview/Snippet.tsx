// One of the snippets, with a model that can be asked now.
import { useState } from 'preact/hooks';
import { t } from '../../i18n';
import { providers } from '../../live/store';
import { Copy } from '../../parts/Copy';
import { Segments } from '../../parts/Segments';
import { type Client, CLIENT_NAMES, CLIENTS, SNIPPETS } from './snippets';

// Any service may come in with any name; what is written into code must need no quoting.
const isPlain = (model: string) => /^[\w./:@-]{1,128}$/.test(model);

// Models of providers that have accounts; the built-in one last, as it needs none.
function models(): string[] {
    const usable = (providers.value ?? []).filter((one) => one.accounts > 0);
    const own = usable.filter((one) => one.plugin !== 'echo').flatMap((one) => one.models);
    const builtIn = usable.filter((one) => one.plugin === 'echo').flatMap((one) => one.models);
    return [...new Set([...own, ...builtIn])].filter(isPlain);
}

export function Snippet() {
    const [client, setClient] = useState<Client>('curl');
    const [chosen, setChosen] = useState('');
    const all = models();
    const model = all.includes(chosen) ? chosen : (all[0] ?? 'echo');
    const text = SNIPPETS[client](new URL('../v1', location.href).href, model);
    return (
        <div class="snippet">
            <div class="snippet-head">
                <Segments
                    label={t('steps.client')}
                    values={CLIENTS}
                    value={client}
                    name={(one) => CLIENT_NAMES[one]}
                    onChange={setClient}
                />
                <label class="inline-label">
                    {t('log.model')}
                    <select value={model} onChange={(event) => setChosen(event.currentTarget.value)}>
                        {all.map((one) => (
                            <option key={one}>{one}</option>
                        ))}
                    </select>
                </label>
                <Copy text={text} label={t('copy')} shown="snippet-text" />
            </div>
            <pre id="snippet-text" tabIndex={0} aria-label={CLIENT_NAMES[client]}>
                {text}
            </pre>
            <p class="hint">{t('steps.key')}</p>
        </div>
    );
}
