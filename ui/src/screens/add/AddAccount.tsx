// Adds an account by a key, by a login in the browser, or from the files of Qwen Code; or signs in
// again for an account that is there.
import { signal } from '@preact/signals';
import { useEffect, useState } from 'preact/hooks';
import type { Way } from '../../api/types';
import { type Key, t } from '../../i18n';
import { providers } from '../../live/store';
import { loadProviders } from '../../live/sync';
import { Dialog } from '../../parts/Dialog';
import { Segments } from '../../parts/Segments';
import { ImportForm } from './ImportForm';
import { KeyForm } from './KeyForm';
import { LoginForm } from './LoginForm';
import { takers } from './ProviderField';
import { Renew } from './Renew';

export interface Renewed {
    id: string;
    alias: string;
    provider: string;
}

// What is being added; null: the dialog is closed.
export const adding = signal<{ renew?: Renewed } | null>(null);

const WAYS: Way[] = ['api_key', 'login', 'import'];
const FORMS = { api_key: KeyForm, login: LoginForm, import: ImportForm };
const NAMES: Record<Way, Key> = { api_key: 'way.key', login: 'way.login', import: 'way.import' };

// Those that some provider takes; all of them while the providers are not known.
function waysNow(): Way[] {
    const ways = WAYS.filter((one) => takers(one).length > 0);
    return ways.length > 0 ? ways : WAYS;
}

interface Props {
    renew?: Renewed;
    onClose: () => void;
}

export function AddAccount({ renew, onClose }: Props) {
    const [chosen, setChosen] = useState<Way>('api_key');
    useEffect(() => {
        if (providers.value === null) {
            loadProviders().catch(() => undefined);
        }
    }, []);
    if (renew) {
        return (
            <Dialog title={t('add.renew', { a: renew.alias })} kind="narrow" onClose={onClose}>
                <Renew account={renew} onClose={onClose} />
            </Dialog>
        );
    }
    const ways = waysNow();
    const way = ways.includes(chosen) ? chosen : (ways[0] ?? chosen);
    const Form = FORMS[way];
    return (
        <Dialog title={t('acc.add')} kind="narrow" onClose={onClose}>
            <div class="ways">
                <Segments
                    label={t('add.way')}
                    values={ways}
                    value={way}
                    name={(one) => t(NAMES[one])}
                    onChange={setChosen}
                />
            </div>
            <Form key={way} onClose={onClose} />
        </Dialog>
    );
}
