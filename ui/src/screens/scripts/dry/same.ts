import type { Edits } from '../../../api/scripts';

export function sameEdits(a: Edits, b: Edits): boolean {
    const names = Object.keys(a);
    return names.length === Object.keys(b).length && names.every((name) => name in b && a[name] === b[name]);
}
