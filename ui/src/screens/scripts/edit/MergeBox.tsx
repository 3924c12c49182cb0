// The comparison as a component; it comes with CodeMirror, and is loaded when it is shown.
import { useEffect, useRef } from 'preact/hooks';
import { mountMerge } from './merge';

interface Props {
    file: string;
    theirs: string;
    mine: string; // at first
    onText: (file: string, text: string) => void;
}

export function MergeBox({ file, theirs, mine, onText }: Props) {
    const host = useRef<HTMLDivElement>(null);
    useEffect(
        () =>
            host.current
                ? mountMerge(host.current, { file, theirs, mine, onText: (text) => onText(file, text) })
                : undefined,
        [file, theirs],
    );
    return <div class="merge-box" ref={host} />;
}
