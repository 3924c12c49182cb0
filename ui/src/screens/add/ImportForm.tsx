// Logins that Qwen Code has made: paste oauth_creds.json, choose files, or drop them.
import { useState } from 'preact/hooks';
import { importLogins } from '../../api/accounts';
import type { ImportResult } from '../../api/types';
import { bodyText, errorText } from '../../errors';
import { t } from '../../i18n';
import { syncAccounts } from '../../live/sync';
import { Icon } from '../../parts/Icon';
import { toast } from '../../parts/Toasts';
import { aliasOf, type Creds, readCreds } from './creds';
import { ProviderField, takers } from './ProviderField';

const SHOWN = 5; // refusals

interface Chosen {
    id: number;
    name: string;
    creds: Creds[];
}

interface Refusal {
    name: string; // of the file or the login, else its number
    why: string;
}

let files = 0; // ever chosen: two may have one name

function Refused({ all }: { all: Refusal[] }) {
    return (
        <div class="form-problem" role="alert">
            <p>{t('import.refused', { n: all.length })}</p>
            <ul>
                {all.slice(0, SHOWN).map(({ name, why }, at) => (
                    <li key={at}>{t('pair', { a: name, b: why })}</li>
                ))}
            </ul>
        </div>
    );
}

function FileList({ list, onDrop }: { list: Chosen[]; onDrop: (id: number) => void }) {
    return (
        <ul class="file-list">
            {list.map(({ id, name }) => (
                <li key={id}>
                    {name}
                    <button
                        type="button"
                        class="icon-button"
                        aria-label={t('import.drop', { f: name })}
                        onClick={() => onDrop(id)}
                    >
                        <Icon name="close" />
                    </button>
                </li>
            ))}
        </ul>
    );
}

// What was refused, by the names of what was sent.
function refusals({ results }: ImportResult, sent: Creds[]): Refusal[] {
    return results
        .map(({ ok, error }, at) => ({ ok, name: sent[at]?.alias ?? `#${at + 1}`, why: bodyText(error) }))
        .filter((one) => !one.ok);
}

// The files that are what they must be, and the names of the others.
async function readAll(list: File[]): Promise<[Chosen[], string[]]> {
    const good: Chosen[] = [];
    const bad: string[] = [];
    for (const file of list) {
        try {
            const creds = readCreds(await file.text(), aliasOf(file.name));
            good.push({ id: ++files, name: file.name, creds });
        } catch {
            bad.push(file.name);
        }
    }
    return [good, bad];
}

export function ImportForm({ onClose }: { onClose: () => void }) {
    const from = takers('import');
    const [chosen, setChosen] = useState('');
    const [text, setText] = useState('');
    const [taken, setTaken] = useState<Chosen[]>([]);
    const [problem, setProblem] = useState('');
    const [refused, setRefused] = useState<Refusal[]>([]);
    const [isBusy, setBusy] = useState(false);
    const provider = chosen || (from[0]?.name ?? '');

    const take = async (list: FileList | null | undefined) => {
        setProblem('');
        const [good, bad] = await readAll([...(list ?? [])]);
        setTaken((old) => [...old, ...good]);
        if (bad.length > 0) {
            setProblem(t('import.nojson', { f: bad.join(t('join')) }));
        }
    };
    const send = async (event: Event) => {
        event.preventDefault();
        setProblem('');
        setRefused([]);
        let pasted: Creds[] = [];
        try {
            pasted = text.trim() === '' ? [] : readCreds(text);
        } catch {
            setProblem(t('import.nojson', { f: t('import.paste') }));
            return;
        }
        setBusy(true);
        try {
            const all = [...taken.flatMap((file) => file.creds), ...pasted];
            const answer = await importLogins(provider, all);
            await syncAccounts();
            // Tokens stay in the page no longer than they must.
            setText('');
            setTaken([]);
            if (answer.added > 0) {
                toast(t('import.added', { n: answer.added }));
            }
            if (answer.added === answer.results.length) {
                onClose();
            } else {
                setRefused(refusals(answer, all));
            }
        } catch (error) {
            setProblem(errorText(error));
        }
        setBusy(false);
    };
    const drop = (event: DragEvent) => {
        event.preventDefault();
        void take(event.dataTransfer?.files);
    };
    const isEmpty = text.trim() === '' && taken.length === 0;
    return (
        <form
            class="form"
            onSubmit={(event) => void send(event)}
            onDragOver={(event) => event.preventDefault()}
            onDrop={drop}
        >
            <ProviderField from={from} value={provider} onChange={setChosen} />
            <label>
                {t('import.paste')}
                <textarea
                    data-focus
                    rows={6}
                    class="mono"
                    spellcheck={false}
                    autocomplete="off"
                    value={text}
                    placeholder={'{ "access_token": "…", "refresh_token": "…", … }'}
                    onInput={(event) => setText(event.currentTarget.value)}
                />
            </label>
            <label class="file">
                <Icon name="file" />
                <span>{t('import.files')}</span>
                <input
                    type="file"
                    multiple
                    accept=".json,application/json"
                    onChange={(event) => {
                        const field = event.currentTarget;
                        // The same file may be chosen again, once it was mended.
                        void take(field.files).then(() => (field.value = ''));
                    }}
                />
            </label>
            {taken.length > 0 && (
                <FileList
                    list={taken}
                    onDrop={(id) => setTaken((old) => old.filter((one) => one.id !== id))}
                />
            )}
            {problem && (
                <p class="form-problem" role="alert">
                    {problem}
                </p>
            )}
            {refused.length > 0 && <Refused all={refused} />}
            {!problem && refused.length === 0 && <p class="hint">{t('import.hint')}</p>}
            <footer>
                <button type="button" onClick={onClose}>
                    {t('cancel')}
                </button>
                <button class="primary" disabled={isBusy || isEmpty || provider === ''}>
                    {t('import.do')}
                </button>
            </footer>
        </form>
    );
}
