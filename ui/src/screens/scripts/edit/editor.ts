// The text editor: CodeMirror in a shadow root, one text for each file with a history of its own.
import {
    autocompletion,
    closeBrackets,
    closeBracketsKeymap,
    completionKeymap,
} from '@codemirror/autocomplete';
import { defaultKeymap, history, historyKeymap, indentWithTab } from '@codemirror/commands';
import { bracketMatching, indentOnInput, indentUnit } from '@codemirror/language';
import { type Diagnostic, lintGutter, lintKeymap, setDiagnostics } from '@codemirror/lint';
import { highlightSelectionMatches, search, searchKeymap } from '@codemirror/search';
import { Annotation, EditorState, type Extension, type Text, Transaction } from '@codemirror/state';
import {
    EditorView,
    highlightActiveLine,
    highlightActiveLineGutter,
    keymap,
} from '@codemirror/view';
import type { Problem } from '../../../api/scripts';
import { lang, t } from '../../../i18n';
import { luaBase, shadowBox } from './look';
import { columnOf, isAtOpener } from './marks';
import { complete } from './names';
import { zhPhrases } from './phrases';

export interface Editor {
    // Goes to a file; its text is set where it is not what the editor has.
    show(file: string, text: string): void;
    mark(problems: Problem[]): void;
    goTo(line: number, column: number | null): void;
    destroy(): void;
}

// What was not typed here: it is not told back, and not undone.
const isOutside = Annotation.define<boolean>();

function placeOf(doc: Text, line: number, column: number | null): number {
    const { from, text } = doc.line(Math.max(1, Math.min(line, doc.lines)));
    return from + columnOf(text, column);
}

// A word, or the line without its indent where nothing better is known.
function range(doc: Text, line: number, column: number | null, end: number | null) {
    const { from: start, to: stop, text } = doc.line(Math.max(1, Math.min(line, doc.lines)));
    if (column === null) {
        return { from: start + (text.length - text.trimStart().length), to: stop };
    }
    const from = start + columnOf(text, column);
    const word = /^\w+/.exec(text.slice(from - start))?.[0].length ?? 1;
    const to = end === null ? from + word : start + columnOf(text, end);
    return { from, to: Math.min(stop, Math.max(to, from)) };
}

function diagnosticsOf(doc: Text, problem: Problem): Diagnostic[] {
    const { line, column, end_column: end, opener, severity, message } = problem;
    const found: Diagnostic[] = [{ ...range(doc, line ?? 1, column, end), severity, message }];
    if (opener && !isAtOpener(problem)) {
        const place = range(doc, opener.line, opener.column, null);
        found.push({ ...place, severity: 'info', message: t('scr.opener') });
    }
    return found;
}

// The smallest change that makes one text the other, so that the cursor stays where it is.
function difference(old: string, text: string) {
    const shorter = Math.min(old.length, text.length);
    let from = 0;
    while (from < shorter && old[from] === text[from]) {
        from++;
    }
    let same = 0;
    while (same < shorter - from && old[old.length - 1 - same] === text[text.length - 1 - same]) {
        same++;
    }
    return { from, to: old.length - same, insert: text.slice(from, text.length - same) };
}

// Typing over a selection is done here: the browser would keep the looks of what it replaces, in an
// inline style, which the page's policy forbids.
const typeOver = EditorView.domEventHandlers({
    beforeinput(event, view) {
        const { from, to, empty } = view.state.selection.main;
        const text = event.inputType === 'insertText' ? event.data : null;
        if (!text || empty || event.isComposing || view.state.selection.ranges.length > 1) {
            return false;
        }
        event.preventDefault();
        const typed = () =>
            view.state.update(view.state.replaceSelection(text), {
                userEvent: 'input.type',
                scrollIntoView: true,
            });
        const handlers = view.state.facet(EditorView.inputHandler);
        if (!handlers.some((handle) => handle(view, from, to, text, typed))) {
            view.dispatch(typed());
        }
        return true;
    },
});

function extensions(file: string, onText: (file: string, text: string) => void): Extension {
    return [
        luaBase,
        history(),
        indentOnInput(),
        indentUnit.of('    '),
        bracketMatching(),
        closeBrackets(),
        typeOver,
        autocompletion({ override: [complete], icons: false }),
        highlightActiveLine(),
        highlightActiveLineGutter(),
        highlightSelectionMatches(),
        search({ top: true }),
        lintGutter(),
        EditorState.phrases.of(lang.value === 'zh' ? zhPhrases : {}),
        EditorView.contentAttributes.of({ 'aria-label': t('scr.editor', { f: file }) }),
        // Tab indents; after Escape it goes on to what is next, as everywhere.
        keymap.of([
            ...closeBracketsKeymap,
            ...defaultKeymap,
            ...searchKeymap,
            ...historyKeymap,
            ...lintKeymap,
            ...completionKeymap,
            indentWithTab,
        ]),
        EditorView.updateListener.of((update) => {
            const isTyped = update.transactions.some((one) => !one.annotation(isOutside));
            if (update.docChanged && isTyped) {
                onText(file, update.state.doc.toString());
            }
        }),
    ];
}

export function mountEditor(host: HTMLElement, onText: (file: string, text: string) => void): Editor {
    const { root, box } = shadowBox(host);
    const states = new Map<string, EditorState>();
    const view = new EditorView({ root, parent: box });
    let shown = '';

    const put = (text: string) => {
        const old = view.state.doc.toString();
        if (old !== text) {
            view.dispatch({
                changes: difference(old, text),
                annotations: [isOutside.of(true), Transaction.addToHistory.of(false)],
            });
        }
    };
    return {
        show(file, text) {
            if (file !== shown) {
                states.set(shown, view.state);
                shown = file;
                const fresh = () => EditorState.create({ doc: text, extensions: extensions(file, onText) });
                view.setState(states.get(file) ?? fresh());
            }
            put(text);
        },
        mark(problems) {
            const { doc } = view.state;
            const found = problems.flatMap((one) => diagnosticsOf(doc, one));
            view.dispatch(setDiagnostics(view.state, found));
        },
        goTo(line, column) {
            const anchor = placeOf(view.state.doc, line, column);
            view.dispatch({
                selection: { anchor },
                effects: EditorView.scrollIntoView(anchor, { y: 'center' }),
            });
            view.focus();
        },
        destroy: () => view.destroy(),
    };
}
