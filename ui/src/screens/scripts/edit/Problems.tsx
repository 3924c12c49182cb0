// What the gateway has against a draft. A click goes to the place.
import { Fragment } from 'preact';
import type { Problem } from '../../../api/scripts';
import { t } from '../../../i18n';
import { isAtOpener } from './marks';
import { openPlace } from './selection';

interface Place {
    file: string;
    line: number | null;
    column: number | null;
}

const placeOf = ({ file }: Problem, { line, column }: Omit<Place, 'file'>): Place | null =>
    file === null ? null : { file, line, column };

function PlaceName({ file, line }: Place) {
    return <b>{line === null ? file : `${file}:${line}`}</b>;
}

interface RowProps {
    kind: 'error' | 'warning' | 'opener';
    place: Place | null;
    message: string;
    stack?: string | null;
    isLink: boolean;
}

function Row({ kind, place, message, stack, isLink }: RowProps) {
    const words = (
        <>
            <i aria-hidden="true" />
            <span class="unseen">{t(`scr.kind.${kind}`)}</span>
            {place && <PlaceName {...place} />}
            <span>
                {message}
                {stack && <small>{stack}</small>}
            </span>
        </>
    );
    return (
        <li class={`is-${kind}`}>
            {isLink && place ? (
                <button onClick={() => openPlace(place.file, place.line, place.column)}>{words}</button>
            ) : (
                <p>{words}</p>
            )}
        </li>
    );
}

interface Props {
    problems: Problem[];
    label: string;
    isLinked?: boolean; // places are those of the draft
}

export function Problems({ problems, label, isLinked = false }: Props) {
    return (
        <ul class="problems" aria-label={label}>
            {problems.map((one, at) => (
                <Fragment key={at}>
                    <Row
                        kind={one.severity}
                        place={placeOf(one, one)}
                        message={one.message}
                        stack={one.stack}
                        isLink={isLinked}
                    />
                    {one.opener && !isAtOpener(one) && (
                        <Row
                            kind="opener"
                            place={placeOf(one, one.opener)}
                            message={t('scr.opener')}
                            isLink={isLinked}
                        />
                    )}
                </Fragment>
            ))}
        </ul>
    );
}
