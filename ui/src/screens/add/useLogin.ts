// The login of a dialog: started on demand, and taken back when the dialog closes before it has ended,
// at whatever moment that is. Who closes it does not want the account any more.
import { useLayoutEffect, useRef, useState } from 'preact/hooks';
import { cancelLogin, startLogin } from '../../api/accounts';
import type { Login } from '../../api/types';
import { errorText } from '../../errors';

type Wanted = Parameters<typeof startLogin>[0];

const takeBack = (id: string) => void cancelLogin(id).catch(() => undefined);

export function useLogin() {
    const [login, setLogin] = useState<Login | null>(null);
    const [problem, setProblem] = useState('');
    const [isBusy, setBusy] = useState(false);
    const isStarting = useRef(false);
    const isGone = useRef(false);
    const running = useRef(''); // its id
    // Not a plain effect: those of a dialog that closes at once may never run.
    useLayoutEffect(
        () => () => {
            isGone.current = true;
            if (running.current) {
                takeBack(running.current);
            }
        },
        [],
    );
    const take = (started: Login) => {
        if (isGone.current) {
            takeBack(started.id);
            return;
        }
        running.current = started.id;
        setLogin(started);
    };
    const start = async (wanted: Wanted) => {
        if (isStarting.current) {
            return; // one code is enough
        }
        isStarting.current = true;
        setBusy(true);
        setProblem('');
        try {
            take(await startLogin(wanted));
        } catch (error) {
            setLogin(null);
            setProblem(errorText(error));
        }
        isStarting.current = false;
        setBusy(false);
    };
    const onEnd = () => {
        running.current = '';
    };
    return { login, problem, isBusy, start, onEnd };
}
