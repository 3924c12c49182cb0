// Ends sessions of the console.
import { call, sessionOver } from '../../api/client';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { sessionsChanged } from '../../live/store';
import { toast, toastError } from '../../parts/Toasts';

async function end(path: string): Promise<boolean> {
    try {
        await call('DELETE', path);
        sessionsChanged.value++;
        return true;
    } catch (error) {
        toastError(errorText(error));
        return false;
    }
}

// This browser's own.
export async function signOut(): Promise<void> {
    if (await end('/sessions/current')) {
        sessionOver.value = true;
    }
}

export const revoke = (id: string) => end(`/sessions/${encodeURIComponent(id)}`);

export async function revokeOthers(): Promise<void> {
    if (await end('/sessions')) {
        toast(t('ses.others.done'));
    }
}
