// What became of one file.
import type { ComponentChildren } from 'preact';
import { useId, useMemo } from 'preact/hooks';
import { t } from '../../../i18n';
import { Counts } from './Counts';
import { DiffTable } from './DiffTable';
import type { FileChange } from './files';
import { useLayout } from './layout';
import { compareTexts } from './rows';

interface Props {
    change: FileChange;
    titles: [string, string];
    children?: ComponentChildren; // what can be done with it
}

export function FileDiff({ change, titles, children }: Props) {
    const { name, before, after } = change;
    const id = useId();
    const layout = useLayout();
    const { rows, added, removed } = useMemo(() => compareTexts(before, after), [before, after]);
    return (
        <article class="file-diff" aria-labelledby={id}>
            <header>
                <h2 id={id}>{name}</h2>
                {before === null && <span class="tag">{t('chg.new')}</span>}
                {after === null && <span class="tag">{t('chg.gone')}</span>}
                <Counts added={added} removed={removed} />
                {children}
            </header>
            {rows.length > 0 ? (
                <DiffTable name={name} titles={titles} rows={rows} layout={layout} />
            ) : (
                <p class="hint panel-note">{t('chg.blank')}</p>
            )}
        </article>
    );
}
