// POST /scripts/route: where a request would go. Nothing is sent.
import { call } from '../../../api/client';
import type { Decision, Edits } from '../../../api/scripts';

export interface Facts {
    model: string;
    prompt_tokens: number;
    tools: number;
    stream: boolean;
    has_images: boolean;
    key?: string;
}

interface Answer {
    generation: number | null;
    decision: Decision;
}

// files: a draft that decides in place of what runs.
export const routeScripts = (facts: Facts, files?: Edits) =>
    call<Answer>('POST', '/scripts/route', { ...facts, files });
