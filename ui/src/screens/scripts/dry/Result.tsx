// What a dry run found.
import { useState } from 'preact/hooks';
import type { DryRow } from '../../../api/scripts';
import { t } from '../../../i18n';
import { Empty } from '../../../parts/Empty';
import { go } from '../../../router';
import { RequestDrawer } from '../../logs/RequestDrawer';
import { DryDrawer } from './DryDrawer';
import { DryTable } from './DryTable';
import { KindChips } from './KindChips';
import { ScriptErrors } from './ScriptErrors';
import { Summary } from './Summary';
import type { Replayed } from './run';
import type { Kind } from './words';

function Nothing() {
    return (
        <Empty text={t('dry.nothing')}>
            <button onClick={() => go('#/playground')}>{t('dry.nothing.do')}</button>
        </Empty>
    );
}

export function Result({ result }: { result: Replayed }) {
    const [kind, setKind] = useState<Kind | null>(null);
    const [opened, setOpened] = useState<DryRow | null>(null);
    const [explained, setExplained] = useState<string | null>(null);
    const explain = () => {
        setExplained(opened?.id ?? null);
        setOpened(null);
    };
    if (result.requests === 0) {
        return <Nothing />;
    }
    const shown = kind && result.changes[kind] > 0 ? kind : null;
    const rows = shown ? result.rows.filter((row) => row.change === shown) : result.rows;
    const all = shown ? result.changes[shown] : result.changed;
    return (
        <>
            <Summary result={result} />
            <KindChips changes={result.changes} value={shown} onChange={setKind} />
            <ScriptErrors rows={rows} />
            {rows.length > 0 && <DryTable rows={rows} onOpen={setOpened} />}
            {all > rows.length && (
                <p class="hint panel-note">{t('dry.cut', { n: rows.length, all })}</p>
            )}
            {result.stopped && <p class="hint panel-note">{t('dry.stopped')}</p>}
            {result.changed === 0 && <Empty text={t('dry.unchanged', { n: result.requests })} />}
            {opened && <DryDrawer row={opened} onExplain={explain} onClose={() => setOpened(null)} />}
            {explained && <RequestDrawer id={explained} onClose={() => setExplained(null)} />}
        </>
    );
}
