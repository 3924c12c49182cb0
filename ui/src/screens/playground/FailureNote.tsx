// Why there is no answer, or not all of it: in words, then as the gateway names it.
import type { Problem } from '../../api/scripts';
import { type Key, maybe, t } from '../../i18n';
import { address } from '../../router';
import type { Failure } from './answer';

const SHOWN = 8; // problems

function words({ code, message }: Failure): string {
    const known = maybe(`play.err.${code}` as Key, '');
    return code === 'not_understood' ? `${known} ${message}` : known || message || t('play.err.unknown');
}

function Place({ file, line }: Pick<Problem, 'file' | 'line'>) {
    if (!file) {
        return <a href={address('scripts')}>{t('play.draft.edit')}</a>;
    }
    const at = line === null ? '' : String(line);
    return (
        <a class="mono" href={address('scripts', { file, line: at })}>
            {at ? `${file}:${at}` : file}
        </a>
    );
}

function Problems({ problems }: Pick<Failure, 'problems'>) {
    return (
        <ul>
            {problems.slice(0, SHOWN).map((one, at) => (
                <li key={at}>
                    <Place {...one} /> {one.message}
                </li>
            ))}
        </ul>
    );
}

export function FailureNote({ failure }: { failure: Failure }) {
    const { status, type, code, problems } = failure;
    const names = new Set([status >= 400 ? String(status) : '', type, code].filter(Boolean));
    return (
        <div class="play-failure" role="alert">
            <p>{words(failure)}</p>
            {names.size > 0 && (
                <p>
                    {[...names].map((name) => (
                        <code key={name}>{name}</code>
                    ))}
                </p>
            )}
            {problems.length > 0 && <Problems problems={problems} />}
        </div>
    );
}
