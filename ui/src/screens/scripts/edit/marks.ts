// Where a problem is in the text of the editor.
import type { Problem } from '../../../api/scripts';

const encoder = new TextEncoder();

// The gateway counts columns in bytes from 1; the editor counts UTF-16 units from 0.
export function columnOf(line: string, byteColumn: number | null): number {
    if (byteColumn === null) {
        return 0;
    }
    let bytes = 0;
    let at = 0;
    for (const char of line) {
        if (bytes >= byteColumn - 1) {
            break;
        }
        bytes += encoder.encode(char).length;
        at += char.length;
    }
    return at;
}

// The problem is what is never closed, not what came in place of its end.
export const isAtOpener = ({ line, column, opener }: Problem) =>
    opener?.line === line && opener?.column === column;

export const problemsOf = (problems: Problem[], file: string) =>
    problems.filter((one) => one.file === file);

// Errors and warnings of each file, to be shown beside its name.
export function countByFile(problems: Problem[]): Map<string, { errors: number; warnings: number }> {
    const counts = new Map<string, { errors: number; warnings: number }>();
    for (const { file, severity } of problems) {
        const count = counts.get(file ?? '') ?? { errors: 0, warnings: 0 };
        count[severity === 'error' ? 'errors' : 'warnings']++;
        counts.set(file ?? '', count);
    }
    return counts;
}
