// What a script stumbled over: where, what, and how it got there.
import { SourceLink } from './SourceLink';
import { placeOf } from './place';

export function ScriptError({ message, stack }: { message: string; stack?: string | null }) {
    const place = placeOf(message);
    return (
        <div class="script-error">
            <p>
                {place && <SourceLink file={place.file} line={place.line} />} {place ? place.rest : message}
            </p>
            {stack && <pre>{stack}</pre>}
        </div>
    );
}
