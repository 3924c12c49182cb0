// Draft scripts that the gateway keeps beside those that run, so that a request can be sent through
// them. The gateway forgets them after a while, and they are old as soon as the draft changes.
import { type Stage, stageScripts } from '../../api/chat';
import { now } from '../../live/clock';
import { edits, running } from '../scripts/draft';

const MARGIN_MS = 10_000;

let staged: { stage: Stage; of: string } | null = null;

const draftNow = () => JSON.stringify([running.value?.generation, edits.value]);

export function forgetStage(): void {
    staged = null;
}

// The id of the draft's stage. Throws what the gateway has against the draft.
export async function stageDraft(): Promise<string> {
    const of = draftNow();
    if (staged?.of !== of || staged.stage.expires_at < now.value + MARGIN_MS) {
        staged = null;
        const { stage } = await stageScripts(edits.value);
        staged = { stage, of };
    }
    return staged.stage.id;
}
