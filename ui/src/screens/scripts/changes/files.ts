// Which files differ between two sets of texts.
import type { Edits } from '../../../api/scripts';

// null: the file is not there.
export interface FileChange {
    name: string;
    before: string | null;
    after: string | null;
}

export function changesBetween(before: Edits, after: Edits): FileChange[] {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
    return names
        .map((name) => ({ name, before: before[name] ?? null, after: after[name] ?? null }))
        .filter((one) => one.before !== one.after);
}
