// The name as a field. Enter or leaving it keeps the new name, Escape the old one.
import { useLayoutEffect, useRef } from 'preact/hooks';
import { patchAccount } from '../../api/accounts';
import type { Account } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { toastError } from '../../parts/Toasts';

const MAX_ALIAS = 63;

export function Rename({ account, onEnd }: { account: Account; onEnd: () => void }) {
    const field = useRef<HTMLInputElement>(null);
    const isOver = useRef(false);
    useLayoutEffect(() => {
        field.current?.focus();
        field.current?.select();
    }, []);
    const end = (alias: string | null) => {
        if (isOver.current) {
            return; // leaving the field after Enter or Escape
        }
        isOver.current = true;
        onEnd();
        if (alias && alias !== account.alias) {
            patchAccount(account.id, { alias }).catch((error: unknown) => toastError(errorText(error)));
        }
    };
    // Who ends it by keyboard goes on from the row's menu, where the field was asked for.
    const key = (event: KeyboardEvent) => {
        if (event.key !== 'Enter' && event.key !== 'Escape') {
            return;
        }
        event.preventDefault(); // else the button that gets the focus takes the key for its own
        const menu = field.current?.closest('tr')?.querySelector<HTMLElement>('[aria-haspopup]');
        end(event.key === 'Enter' ? (field.current?.value.trim() ?? null) : null);
        menu?.focus();
    };
    return (
        <input
            ref={field}
            class="rename"
            defaultValue={account.alias}
            maxLength={MAX_ALIAS}
            aria-label={t('acc.rename')}
            onBlur={(event) => end(event.currentTarget.value.trim())}
            onKeyDown={key}
        />
    );
}
