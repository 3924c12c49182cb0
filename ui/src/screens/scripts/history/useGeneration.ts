// A generation with its texts, and the one before it.
import { useEffect, useState } from 'preact/hooks';
import { type Entry, type Files, readGeneration, readHistory } from '../../../api/scripts';

export interface Generation {
    entry: Entry;
    files: Files;
    previous: { generation: number; files: Files } | null; // null: it is the oldest that is kept
}

async function read(generation: number): Promise<Generation> {
    const [{ published: entry, files }, older] = await Promise.all([
        readGeneration(generation),
        readHistory(generation, 1),
    ]);
    const before = older.generations[0]?.generation;
    if (before === undefined) {
        return { entry, files, previous: null };
    }
    return { entry, files, previous: { generation: before, files: (await readGeneration(before)).files } };
}

export function useGeneration(generation: number): { found: Generation | null; failed: unknown } {
    const [found, setFound] = useState<Generation | null>(null);
    const [failed, setFailed] = useState<unknown>(null);
    useEffect(() => {
        let isGone = false;
        setFound(null);
        setFailed(null);
        read(generation).then(
            (one) => !isGone && setFound(one),
            (error: unknown) => !isGone && setFailed(error),
        );
        return () => {
            isGone = true;
        };
    }, [generation]);
    return { found, failed };
}
