// An account by its key. It is added disabled, tested with one real request, and serves once the test
// was good: a wrong key never costs a client's request.
import { useState } from 'preact/hooks';
import { addAccount, modelsOf, patchAccount, purgeAccount, testAccount } from '../../api/accounts';
import { isModelWanted } from '../../api/client';
import type { Account } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { took } from '../../i18n/format';
import { dropAccount } from '../../live/store';
import { toast } from '../../parts/Toasts';
import { AliasField } from './AliasField';
import { ProviderField, takers } from './ProviderField';

interface Problem {
    text: string;
    isKept: boolean; // the account is there, and disabled
}

export function KeyForm({ onClose }: { onClose: () => void }) {
    const from = takers('api_key');
    const [chosen, setChosen] = useState('');
    const [alias, setAlias] = useState('');
    const [key, setKey] = useState('');
    const [model, setModel] = useState('');
    const [models, setModels] = useState<string[] | null>(null); // null: not wanted
    const [account, setAccount] = useState<Account | null>(null);
    const [problem, setProblem] = useState<Problem | null>(null);
    const [isBusy, setBusy] = useState(false);
    const provider = chosen || (from[0]?.name ?? '');

    const finish = async (made: Account, text: string) => {
        await patchAccount(made.id, { enabled: true });
        toast(text);
        onClose();
    };
    // The account as the form has it now: made, or given the key that was corrected.
    const store = async (): Promise<Account> => {
        if (account) {
            return key ? patchAccount(account.id, { api_key: key }) : account;
        }
        const wanted = { provider, api_key: key, enabled: false };
        const made = await addAccount(alias ? { ...wanted, alias } : wanted);
        setAccount(made);
        return made;
    };
    const check = async (made: Account) => {
        try {
            const result = await testAccount(made.id, model);
            if (result.ok) {
                const values = { a: made.alias, model: result.model, took: took(result.latency_ms) };
                await finish(made, t('test.good', values));
            } else {
                const why = result.message ?? result.code ?? result.verdict;
                setProblem({ text: t('test.bad', { a: made.alias, why }), isKept: true });
            }
        } catch (error) {
            const isWanted = isModelWanted(error);
            if (isWanted) {
                const listed = await modelsOf(made.id).catch(() => []);
                setModels(listed);
                setModel(listed[0] ?? '');
            }
            setProblem({ text: isWanted ? t('add.model.which') : errorText(error), isKept: true });
        }
    };
    const submit = async (event: Event) => {
        event.preventDefault();
        setBusy(true);
        setProblem(null);
        try {
            await check(await store());
        } catch (error) {
            setProblem({ text: errorText(error), isKept: account !== null });
        }
        setBusy(false);
    };
    const keep = () => {
        if (account) {
            finish(account, t('add.kept', { a: account.alias })).catch((error: unknown) =>
                setProblem({ text: errorText(error), isKept: true }),
            );
        }
    };
    const discard = () => {
        if (account) {
            const { id } = account;
            purgeAccount(id).then(
                () => {
                    dropAccount(id);
                    onClose();
                },
                (error: unknown) => setProblem({ text: errorText(error), isKept: true }),
            );
        }
    };
    return (
        <form class="form" onSubmit={(event) => void submit(event)}>
            {!account && <ProviderField from={from} value={provider} onChange={setChosen} />}
            {!account && <AliasField value={alias} onChange={setAlias} />}
            <label>
                {t('way.key')}
                <input
                    data-focus
                    type="password"
                    autocomplete="off"
                    spellcheck={false}
                    required={!account}
                    value={key}
                    placeholder={account ? t('add.key.same') : 'sk-…'}
                    onInput={(event) => setKey(event.currentTarget.value)}
                />
            </label>
            {models && (
                <label>
                    {t('add.model')}
                    <input
                        required
                        list="models-listed"
                        value={model}
                        onInput={(event) => setModel(event.currentTarget.value)}
                    />
                    <datalist id="models-listed">
                        {models.map((one) => (
                            <option key={one} value={one} />
                        ))}
                    </datalist>
                </label>
            )}
            {problem ? (
                <p class="form-problem" role="alert">
                    {problem.text}
                </p>
            ) : (
                <p class="hint">{t('add.key.hint')}</p>
            )}
            <footer>
                {problem?.isKept ? (
                    <>
                        <button type="button" class="ghost" onClick={discard}>
                            {t('add.discard')}
                        </button>
                        <button type="button" onClick={keep}>
                            {t('add.keep')}
                        </button>
                    </>
                ) : (
                    <button type="button" onClick={onClose}>
                        {t('cancel')}
                    </button>
                )}
                <button class="primary" disabled={isBusy || provider === ''}>
                    {isBusy ? t('add.testing') : t(account ? 'add.again' : 'add.test')}
                </button>
            </footer>
        </form>
    );
}
