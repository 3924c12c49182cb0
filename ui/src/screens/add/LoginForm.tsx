// A new account by a login: a name, then the code.
import { useState } from 'preact/hooks';
import { t } from '../../i18n';
import { AliasField } from './AliasField';
import { LoginFlow } from './LoginFlow';
import { ProviderField, takers } from './ProviderField';
import { useLogin } from './useLogin';

export function LoginForm({ onClose }: { onClose: () => void }) {
    const from = takers('login');
    const [chosen, setChosen] = useState('');
    const [alias, setAlias] = useState('');
    const { login, problem, isBusy, start, onEnd } = useLogin();
    const provider = chosen || (from[0]?.name ?? '');
    const ask = () => void start(alias ? { provider, alias } : { provider });
    if (login) {
        return <LoginFlow key={login.id} first={login} onEnd={onEnd} onRetry={ask} onClose={onClose} />;
    }
    const submit = (event: Event) => {
        event.preventDefault();
        ask();
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
