// A login that runs: QR code, link, code and the time that is left. The gateway polls the service;
// the page asks the gateway how it stands.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { readLogin, reloadAccount } from '../../api/accounts';
import { ApiError } from '../../api/client';
import type { Login } from '../../api/types';
import { errorText } from '../../errors';
import { type Key, t } from '../../i18n';
import { countdown } from '../../i18n/format';
import { now } from '../../live/clock';
import { syncAccounts } from '../../live/sync';
import { Copy } from '../../parts/Copy';
import { lazy } from '../../parts/lazy';
import { toast, toastError } from '../../parts/Toasts';

const ASK_MS = 1500;
const LazyQr = lazy(async () => (await import('../../parts/Qr')).Qr, <div class="qr" />);

// Only an address of the web is made a link: it comes from another service.
const isWeb = (uri: string | null): uri is string => uri !== null && /^https?:\/\//.test(uri);

function Left({ until }: { until: number }) {
    return <>{t('add.wait', { t: countdown(until - now.value) })}</>;
}

function Waiting({ login }: { login: Login }) {
    const ref = useRef<HTMLDivElement>(null);
    const uri = login.verification_uri_complete ?? login.verification_uri;
    // The button that asked for the code is gone: what came in its place is read out.
    useEffect(() => ref.current?.focus(), []);
    return (
        <div class="login" ref={ref} tabIndex={-1}>
            {isWeb(uri) && <LazyQr text={uri} />}
            {isWeb(uri) && (
                <p>
                    {t('add.scan')}{' '}
                    <a href={uri} target="_blank" rel="noreferrer noopener">
                        {t('add.open')}
                    </a>
                </p>
            )}
            {login.user_code && (
                <>
                    <p>{t('add.code')}</p>
                    <div class="login-code">
                        <output id="user-code">{login.user_code}</output>
                        <Copy text={login.user_code} label={t('add.code.copy')} shown="user-code" />
                    </div>
                </>
            )}
            <p class="hint">
                <span class="pulse" />
                {login.expires_at ? <Left until={login.expires_at} /> : t('add.wait.plain')}
            </p>
        </div>
    );
}

interface OverProps {
    login: Login;
    onRetry: () => void;
    onClose: () => void;
}

// What ended without an account, and the way on.
function Over({ login, onRetry, onClose }: OverProps) {
    const retry = useRef<HTMLButtonElement>(null);
    useEffect(() => retry.current?.focus(), []);
    return (
        <div class="form">
            <p class="form-problem" role="alert">
                {t(`login.${login.state}` as Key)}
            </p>
            {login.message && <p class="hint">{login.message}</p>}
            <footer>
                <button type="button" onClick={onClose}>
                    {t('close')}
                </button>
                <button class="primary" ref={retry} onClick={onRetry}>
                    {t('add.retry')}
                </button>
            </footer>
        </div>
    );
}

async function finish(login: Login): Promise<void> {
    const account = login.account ? await reloadAccount(login.account) : null;
    await syncAccounts();
    toast(t('add.done', { a: account?.alias ?? login.provider }));
}

interface Props {
    first: Login;
    onEnd: () => void; // one way or the other
    onRetry: () => void;
    onClose: () => void;
}

export function LoginFlow({ first, onEnd, onRetry, onClose }: Props) {
    const [login, setLogin] = useState(first);
    const state = useRef(first.state);
    state.current = login.state;
    useEffect(() => {
        let isGone = false;
        const ask = async () => {
            try {
                const next = await readLogin(first.id);
                if (!isGone) {
                    setLogin(next);
                }
            } catch (error) {
                // The gateway may be away for a moment; one that was started anew knows of no login.
                if (!isGone && error instanceof ApiError && error.status === 404) {
                    setLogin((old) => ({ ...old, state: 'failed', message: t('login.forgotten') }));
                }
            }
        };
        const timer = setInterval(() => {
            if (state.current === 'pending') {
                void ask();
            }
        }, ASK_MS);
        return () => {
            isGone = true;
            clearInterval(timer);
        };
    }, []);
    useLayoutEffect(() => {
        if (login.state !== 'pending') {
            onEnd();
        }
    }, [login.state]);
    useEffect(() => {
        if (login.state === 'done') {
            onClose();
            finish(login).catch((error: unknown) => toastError(errorText(error)));
        }
    }, [login.state]);
    if (login.state === 'pending' || login.state === 'done') {
        return <Waiting login={login} />;
    }
    return <Over login={login} onRetry={onRetry} onClose={onClose} />;
}
