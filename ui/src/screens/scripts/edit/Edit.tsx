// The view Edit: the text of one file, what is wrong with the draft, and what publishing it will say.
import { lang, t } from '../../../i18n';
import { Empty } from '../../../parts/Empty';
import { lazy } from '../../../parts/lazy';
import { Skeleton } from '../../../parts/Skeleton';
import { report, running, setText, textOf } from '../draft';
import { CheckFoot } from './CheckFoot';
import { Problems } from './Problems';
import { PublishBar } from './PublishBar';

const EditorBox = lazy(() => import('./EditorBox').then((part) => part.EditorBox), <Skeleton rows={8} />);

function Removed({ file }: { file: string }) {
    return (
        <Empty text={t('scr.removed', { f: file })}>
            <button onClick={() => setText(file, running.value?.files[file] ?? '')}>
                {t('scr.restore')}
            </button>
        </Empty>
    );
}

export function Edit({ file }: { file: string }) {
    const text = textOf(file);
    const problems = report.value?.problems ?? [];
    return (
        <>
            {text === null ? (
                <Removed file={file} />
            ) : (
                <EditorBox key={lang.value} file={file} text={text} />
            )}
            {problems.length > 0 && <Problems problems={problems} label={t('scr.problems')} isLinked />}
            <CheckFoot />
            <PublishBar />
        </>
    );
}
