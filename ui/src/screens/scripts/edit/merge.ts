// Two texts of one file side by side: theirs, and mine, which can be edited.
import { defaultKeymap, history, historyKeymap } from '@codemirror/commands';
import { MergeView, unifiedMergeView } from '@codemirror/merge';
import { EditorState, type Extension } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { lang, t } from '../../../i18n';
import { luaBase, shadowBox } from './look';
import { enPhrases, zhPhrases } from './phrases';

const NARROW = 760;

interface Texts {
    theirs: string;
    mine: string;
    file: string;
    onText: (text: string) => void;
}

const named = (label: string): Extension =>
    EditorView.contentAttributes.of({ 'aria-label': label, 'tabindex': '0' });

// Returns how to take it away.
export function mountMerge(host: HTMLElement, { theirs, mine, file, onText }: Texts): () => void {
    const { root, box } = shadowBox(host);
    const words = EditorState.phrases.of(lang.value === 'zh' ? zhPhrases : enPhrases);
    const own: Extension[] = [
        luaBase,
        words,
        history(),
        keymap.of([...defaultKeymap, ...historyKeymap]),
        named(t('scr.merge.mine', { f: file })),
        EditorView.updateListener.of((update) => {
            if (update.docChanged) {
                onText(update.state.doc.toString());
            }
        }),
    ];
    if (innerWidth < NARROW) {
        const unified = unifiedMergeView({ original: theirs, collapseUnchanged: { margin: 3 } });
        const view = new EditorView({ root, parent: box, doc: mine, extensions: [own, unified] });
        return () => view.destroy();
    }
    const view = new MergeView({
        root,
        parent: box,
        a: {
            doc: theirs,
            extensions: [
                luaBase,
                words,
                EditorState.readOnly.of(true),
                EditorView.editable.of(false),
                named(t('scr.merge.theirs', { f: file })),
            ],
        },
        b: { doc: mine, extensions: own },
        revertControls: 'a-to-b',
        collapseUnchanged: { margin: 3 },
    });
    return () => view.destroy();
}
