// The draft in the browser's storage, so that it survives a reload. All tabs of a browser write the same
// one, and hear at once what another has written.
import type { Edits } from '../../../api/scripts';
import { recall, remember, whenRemembered } from '../../../storage';

export interface KeptDraft {
    base: number;
    edits: Edits;
    origins: Edits;
    fromDisk: number;
}

// Several gateways may stand behind one origin, each with a path of its own.
const NAME = `draft ${location.pathname}`;

const isEdits = (value: unknown): value is Edits =>
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => text === null || typeof text === 'string');

function parse(text: string | null): KeptDraft | null {
    try {
        const draft = JSON.parse(text ?? 'null') as Partial<KeptDraft> | null;
        if (draft && isEdits(draft.edits) && isEdits(draft.origins)) {
            const { edits, origins } = draft;
            return { base: Number(draft.base), edits, origins, fromDisk: Number(draft.fromDisk) };
        }
    } catch {
        // Somebody else's, or half written: there is no draft.
    }
    return null;
}

export const readKept = () => parse(recall(NAME));

export const keep = (draft: KeptDraft | null) => remember(NAME, draft && JSON.stringify(draft));

// Calls when another tab has written; a tab that was frozen meanwhile hears it when it wakes.
export const onKept = (told: (draft: KeptDraft | null) => void) =>
    whenRemembered(NAME, (text) => told(parse(text)));
