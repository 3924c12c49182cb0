// One click, and a note if somebody wants to leave one.
import { useState } from 'preact/hooks';
import { t } from '../../../i18n';
import { isPublishing, rollback } from '../edit/publish';

const NOTE_MAX = 160;

export function RollBack({ generation }: { generation: number }) {
    const [note, setNote] = useState('');
    const submit = async (event: Event) => {
        event.preventDefault();
        await rollback(generation, note);
        setNote('');
    };
    return (
        <form class="roll-back" onSubmit={(event) => void submit(event)}>
            <input
                aria-label={t('hist.note')}
                placeholder={t('hist.note')}
                maxLength={NOTE_MAX}
                value={note}
                onInput={(event) => setNote(event.currentTarget.value)}
            />
            <button class="primary" disabled={isPublishing.value}>
                {t('hist.roll.this')}
            </button>
        </form>
    );
}
