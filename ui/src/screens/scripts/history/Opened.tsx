// One generation: what it changed, how it differs from what runs, and its texts.
import { useState } from 'preact/hooks';
import type { Files } from '../../../api/scripts';
import { errorText } from '../../../errors';
import { t } from '../../../i18n';
import { Empty } from '../../../parts/Empty';
import { Segments } from '../../../parts/Segments';
import { Skeleton } from '../../../parts/Skeleton';
import { FileDiff } from '../changes/FileDiff';
import { changesBetween } from '../changes/files';
import { LayoutChoice } from '../changes/LayoutChoice';
import { running } from '../draft';
import { editFrom } from './back';
import { EntryFacts } from './EntryFacts';
import { FileTexts } from './FileTexts';
import { RollBack } from './RollBack';
import { RunsNow } from './RunsNow';
import { type Generation, useGeneration } from './useGeneration';
import { noteOf } from './words';

const VIEWS = ['previous', 'running', 'files'] as const;
type View = (typeof VIEWS)[number];

const title = (generation: number) => t('hist.generation', { g: String(generation) });

interface SideProps {
    generation: number;
    files: Files;
}

// The first of them is the older one, as it was published.
function Between({ before, after }: { before: SideProps; after: SideProps }) {
    const changes = changesBetween(before.files, after.files);
    if (changes.length === 0) {
        return <Empty text={t('hist.same', { a: title(before.generation), b: title(after.generation) })} />;
    }
    return (
        <>
            {changes.map((change) => (
                <FileDiff
                    key={change.name}
                    change={change}
                    titles={[title(before.generation), title(after.generation)]}
                />
            ))}
        </>
    );
}

function Body({ found, view }: { found: Generation; view: View }) {
    const { entry, files, previous } = found;
    const own = { generation: entry.generation, files };
    if (view === 'files') {
        return <FileTexts files={files} />;
    }
    if (view === 'running') {
        return running.value ? <Between before={own} after={running.value} /> : <Skeleton rows={4} />;
    }
    return previous ? <Between before={previous} after={own} /> : <FileTexts files={files} />;
}

function Head({ found, isRunning }: { found: Generation; isRunning: boolean }) {
    const { entry, files } = found;
    return (
        <header class="entry-head">
            <div>
                <h2>{title(entry.generation)}</h2>
                {noteOf(entry) && <p>{noteOf(entry)}</p>}
                <small>
                    <EntryFacts entry={entry} />
                </small>
            </div>
            <div class="entry-actions">
                <button onClick={() => editFrom(entry.generation, files)}>{t('hist.edit')}</button>
                {isRunning ? <RunsNow /> : <RollBack generation={entry.generation} />}
            </div>
        </header>
    );
}

export function Opened({ generation }: { generation: number }) {
    const { found, failed } = useGeneration(generation);
    const [view, setView] = useState<View>('previous');
    const isRunning = running.value?.generation === generation;
    const views = VIEWS.filter(
        (one) => (one !== 'running' || !isRunning) && (one !== 'previous' || found?.previous),
    );
    const shown = views.includes(view) ? view : 'files';
    return (
        <div class="entry">
            <nav class="panel-note">
                <a href="#/scripts/history">{t('hist.back')}</a>
            </nav>
            {failed ? (
                <p class="form-problem panel-note" role="alert">
                    {errorText(failed)}
                </p>
            ) : null}
            {!found && !failed && <Skeleton rows={6} />}
            {found && (
                <>
                    <Head found={found} isRunning={isRunning} />
                    <div class="view-head">
                        <Segments
                            label={t('hist.view')}
                            values={views}
                            value={shown}
                            name={(one) => t(`hist.view.${one}`)}
                            onChange={setView}
                        />
                        {shown !== 'files' && <LayoutChoice />}
                    </div>
                    <Body found={found} view={shown} />
                </>
            )}
        </div>
    );
}
