// How Lua looks in CodeMirror: the page's own colours, which reach through the shadow root.
import { HighlightStyle, StreamLanguage, syntaxHighlighting } from '@codemirror/language';
import { lua } from '@codemirror/legacy-modes/mode/lua';
import { EditorState, type Extension } from '@codemirror/state';
import { drawSelection, EditorView, highlightSpecialChars, lineNumbers } from '@codemirror/view';
import { tags } from '@lezer/highlight';

const colors = HighlightStyle.define([
    { tag: tags.keyword, color: 'var(--syn-keyword)' },
    { tag: [tags.string, tags.special(tags.string)], color: 'var(--syn-string)' },
    { tag: tags.comment, color: 'var(--syn-comment)', fontStyle: 'italic' },
    { tag: [tags.number, tags.bool, tags.atom], color: 'var(--syn-number)' },
    { tag: [tags.standard(tags.variableName), tags.standard(tags.name)], color: 'var(--syn-name)' },
]);

const tooltips = {
    '.cm-tooltip': {
        backgroundColor: 'var(--surface)',
        border: '1px solid var(--line-2)',
        borderRadius: '6px',
        color: 'var(--ink)',
        boxShadow: 'var(--shadow)',
        overflow: 'hidden',
    },
    '.cm-tooltip.cm-tooltip-autocomplete > ul': { fontFamily: 'var(--mono)', maxHeight: '15em' },
    '.cm-tooltip.cm-tooltip-autocomplete > ul > li': { padding: '3px 10px' },
    '.cm-tooltip-autocomplete ul li[aria-selected]': {
        backgroundColor: 'var(--btn)',
        color: 'var(--btn-ink)',
    },
    '.cm-completionDetail': { fontStyle: 'normal', opacity: '0.7', marginLeft: '1.2em' },
    '.cm-diagnostic': { padding: '6px 10px', fontFamily: 'var(--sans)', maxWidth: '60ch' },
    '.cm-diagnostic-error': { borderLeft: '3px solid var(--err-fill)' },
    '.cm-diagnostic-warning': { borderLeft: '3px solid var(--warn-fill)' },
    '.cm-diagnostic-info': { borderLeft: '3px solid var(--link)' },
};

const panels = {
    '.cm-panels': {
        backgroundColor: 'var(--sunken)',
        color: 'var(--ink)',
        fontFamily: 'var(--sans)',
        borderColor: 'var(--line) !important',
    },
    '.cm-panel.cm-search': { padding: '8px 34px 8px 12px' },
    '.cm-panel.cm-search input, .cm-panel.cm-search button, .cm-panel.cm-search label': {
        fontSize: '12.5px',
        margin: '2px 6px 2px 0',
    },
    '.cm-textfield': {
        backgroundColor: 'var(--surface)',
        border: '1px solid var(--line-2)',
        borderRadius: '4px',
        padding: '4px 7px',
    },
    '.cm-button': {
        background: 'var(--surface)',
        border: '1px solid var(--line-2)',
        borderRadius: '4px',
        padding: '4px 9px',
    },
    '.cm-panel.cm-search [name=close]': {
        color: 'var(--ink-2)',
        fontSize: '18px',
        width: '28px',
        height: '28px',
        top: '4px',
        right: '4px',
    },
    '.cm-searchMatch': { backgroundColor: 'var(--add-mark)' },
    '.cm-searchMatch-selected': { backgroundColor: 'var(--select)' },
};

// The marks of what is wrong: a shape for each kind.
const marks = {
    '.cm-gutter-lint': { width: '18px' },
    '.cm-gutter-lint .cm-gutterElement': { padding: '0 4px', display: 'flex', alignItems: 'center' },
    '.cm-lint-marker': {
        boxSizing: 'border-box',
        content: 'none',
        flex: 'none',
        width: '9px',
        height: '9px',
    },
    '.cm-lint-marker-error': { backgroundColor: 'var(--err-fill)', rotate: '45deg', borderRadius: '1px' },
    '.cm-lint-marker-warning': {
        backgroundColor: 'var(--warn-fill)',
        clipPath: 'polygon(50% 0, 100% 100%, 0 100%)',
    },
    '.cm-lint-marker-info': { border: '2px solid var(--link)', borderRadius: '9px' },
    '.cm-lintRange': { backgroundImage: 'none', paddingBottom: '0' },
    '.cm-lintRange-error': { textDecoration: 'underline wavy var(--err-fill)', textUnderlineOffset: '4px' },
    '.cm-lintRange-warning': {
        textDecoration: 'underline wavy var(--warn-fill)',
        textUnderlineOffset: '4px',
    },
    '.cm-lintRange-info': { textDecoration: 'underline dotted var(--link)', textUnderlineOffset: '4px' },
    '.cm-lintPoint::after': { borderBottomColor: 'var(--err-fill)' },
};

const changes = {
    '.cm-changedLine': { backgroundColor: 'var(--add-bg) !important' },
    '.cm-changedText': { background: 'var(--add-mark) !important' },
    '.cm-deletedChunk': { backgroundColor: 'var(--del-bg) !important' },
    '.cm-deletedChunk .cm-chunkButtons button': {
        background: 'var(--btn) !important',
        color: 'var(--btn-ink) !important',
        font: '12px/20px var(--sans)',
        padding: '2px 8px',
        borderRadius: '4px',
    },
    '&.cm-merge-a .cm-changedLine': { backgroundColor: 'var(--del-bg) !important' },
    '&.cm-merge-a .cm-changedText': { background: 'var(--del-mark) !important' },
    '.cm-collapsedLines': {
        background: 'var(--sunken)',
        color: 'var(--ink-2)',
        padding: '4px 12px',
        font: '12px var(--sans)',
    },
};

const sheet = EditorView.theme({
    '&': {
        height: '100%',
        fontSize: '13px',
        backgroundColor: 'var(--surface)',
        color: 'var(--ink)',
    },
    '&.cm-focused': { outline: 'none' },
    '.cm-scroller': { fontFamily: 'var(--mono)', lineHeight: '1.6' },
    '.cm-content': { padding: '10px 0', caretColor: 'var(--ink)' },
    '.cm-line': { padding: '0 14px 0 6px' },
    '.cm-gutters': { backgroundColor: 'var(--surface)', color: 'var(--ink-3)', border: 'none' },
    '.cm-lineNumbers .cm-gutterElement': { padding: '0 6px 0 8px', minWidth: '36px' },
    '.cm-activeLine, .cm-activeLineGutter': { backgroundColor: 'var(--line-tint)' },
    '.cm-cursor': { borderLeftColor: 'var(--ink)' },
    '.cm-selectionBackground, &.cm-focused > .cm-scroller > .cm-selectionLayer .cm-selectionBackground': {
        backgroundColor: 'var(--select)',
    },
    '&.cm-focused .cm-matchingBracket': { backgroundColor: 'var(--select)' },
    '&.cm-focused .cm-nonmatchingBracket': { backgroundColor: 'var(--del-mark)' },
    '.cm-selectionMatch': { backgroundColor: 'var(--sunken)' },
    ...tooltips,
    ...panels,
    ...marks,
    ...changes,
});

export const luaBase: Extension[] = [
    lineNumbers(),
    highlightSpecialChars(),
    drawSelection(),
    StreamLanguage.define(lua),
    syntaxHighlighting(colors),
    EditorState.tabSize.of(4),
    EditorView.lineWrapping,
    sheet,
];

// A place in a shadow root, where the editor's style sheets are allowed under the page's policy.
export function shadowBox(host: HTMLElement): { root: ShadowRoot; box: HTMLElement } {
    const root = host.shadowRoot ?? host.attachShadow({ mode: 'open' });
    const box = document.createElement('div');
    box.className = 'host';
    root.replaceChildren(box);
    return { root, box };
}
