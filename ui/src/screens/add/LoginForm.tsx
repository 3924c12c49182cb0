// A new account by a login: a name, then the code.
import { useState } from 'preact/hooks';
import { startLogin } from '../../api/accounts';
import type { Login } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { AliasField } from './AliasField';
import { LoginFlow } from './LoginFlow';
import { ProviderField, takers } from './ProviderField';

export function LoginForm({ onClose }: { onClose: () => void }) {
    const from = takers('login');
    const [chosen, setChosen] = useState('');
    const [alias, setAlias] = useState('');
    const [login, setLogin] = useState<Login | null>(null);
    const [problem, setProblem] = useState('');
    const [isBusy, setBusy] = useState(false);
    const provider = chosen || (from[0]?.name ?? '');
    const start = async () => {
        if (isBusy) {
            return; // one code is enough
        }
        setBusy(true);
        setProblem('');
        try {
            setLogin(await startLogin(alias ? { provider, alias } : { provider }));
        } catch (error) {
            setLogin(null);
            setProblem(errorText(error));
        }
        setBusy(false);
    };
    if (login) {
        return <LoginFlow key={login.id} first={login} onRetry={() => void start()} onClose={onClose} />;
    }
    const submit = (event: Event) => {
        event.preventDefault();
        void start();
    };
    return (
        <form class="form" onSubmit={submit}>
            <ProviderField from={from} value={provider} onChange={setChosen} />
            <AliasField value={alias} onChange={setAlias} />
            {problem ? (
                <p class="form-problem" role="alert">
                    {problem}
                </p>
            ) : (
                <p class="hint">{t('add.alias.hint')}</p>
            )}
            <footer>
                <button type="button" onClick={onClose}>
                    {t('cancel')}
                </button>
                <button class="primary" data-focus disabled={isBusy || provider === ''}>
                    {t('add.code.get')}
                </button>
            </footer>
        </form>
    );
}
