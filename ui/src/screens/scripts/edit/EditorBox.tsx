// The editor as a component. All of CodeMirror comes with this file: it is loaded when it is shown.
import { useEffect, useLayoutEffect, useRef, useState } from 'preact/hooks';
import { report, setText, textOf } from '../draft';
import { type Editor, mountEditor } from './editor';
import { problemsOf } from './marks';
import { jump } from './selection';

interface Props {
    file: string;
    text: string;
}

// The page's own shortcuts of a single key are not for what is typed here.
const keepKeys = (event: KeyboardEvent) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) {
        event.stopPropagation();
    }
};

export function EditorBox({ file, text }: Props) {
    const host = useRef<HTMLDivElement>(null);
    const [editor, setEditor] = useState<Editor | null>(null);
    const checked = report.value;
    const to = jump.value;
    useEffect(() => {
        if (!host.current) {
            return undefined;
        }
        const made = mountEditor(host.current, setText);
        setEditor(made);
        return () => made.destroy();
    }, []);
    // With the rest of the page: what is typed a moment later is meant for this file.
    useLayoutEffect(() => {
        // As it is now: more may have been typed since this was rendered.
        editor?.show(file, textOf(file) ?? text);
    }, [editor, file, text]);
    useEffect(() => editor?.mark(problemsOf(checked?.problems ?? [], file)), [editor, file, checked]);
    useEffect(() => {
        if (editor && to?.file === file) {
            editor.goTo(to.line, to.column);
            jump.value = null;
        }
    }, [editor, file, to]);
    return <div class="code-editor" ref={host} onKeyDown={keepKeys} />;
}
