// Signs in again for an account: it keeps its id, name and counters.
import { useEffect, useRef, useState } from 'preact/hooks';
import { startLogin } from '../../api/accounts';
import type { Login } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { Skeleton } from '../../parts/Skeleton';
import type { Renewed } from './AddAccount';
import { LoginFlow } from './LoginFlow';

export function Renew({ account, onClose }: { account: Renewed; onClose: () => void }) {
    const [login, setLogin] = useState<Login | null>(null);
    const [problem, setProblem] = useState('');
    const isBusy = useRef(false);
    const start = async () => {
        if (isBusy.current) {
            return; // one code is enough
        }
        isBusy.current = true;
        setProblem('');
        try {
            setLogin(await startLogin({ account: account.id }));
        } catch (error) {
            setLogin(null);
            setProblem(errorText(error));
        }
        isBusy.current = false;
    };
    useEffect(() => void start(), []);
    if (login) {
        return <LoginFlow key={login.id} first={login} onRetry={() => void start()} onClose={onClose} />;
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
                <button class="primary" onClick={() => void start()}>
                    {t('add.retry')}
                </button>
            </footer>
        </div>
    );
}
