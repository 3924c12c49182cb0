// Signs in again for an account: it keeps its id, name and counters.
import { useEffect } from 'preact/hooks';
import { t } from '../../i18n';
import { Skeleton } from '../../parts/Skeleton';
import type { Renewed } from './AddAccount';
import { LoginFlow } from './LoginFlow';
import { useLogin } from './useLogin';

export function Renew({ account, onClose }: { account: Renewed; onClose: () => void }) {
    const { login, problem, start, onEnd } = useLogin();
    const ask = () => void start({ account: account.id });
    useEffect(ask, []);
    if (login) {
        return <LoginFlow key={login.id} first={login} onEnd={onEnd} onRetry={ask} onClose={onClose} />;
    }
    if (problem === '') {
        return <Skeleton rows={2} />;
    }
    return (
        <div class="form">
            <p class="form-problem" role="alert">
                {problem}
            </p>
            <footer>
                <button type="button" onClick={onClose}>
                    {t('cancel')}
                </button>
                <button class="primary" onClick={ask}>
                    {t('add.retry')}
                </button>
            </footer>
        </div>
    );
}
