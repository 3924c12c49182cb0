// The answer to one call, asked for again when what it depends on changes.
import { useEffect, useState } from 'preact/hooks';
import { get } from '../../api/client';

export interface Answer<T> {
    data: T | null;
    failed: unknown;
}

export function useAnswer<T>(path: string, changes: number): Answer<T> {
    const [answer, setAnswer] = useState<Answer<T>>({ data: null, failed: null });
    useEffect(() => {
        const stop = new AbortController();
        get<T>(path, stop.signal).then(
            (data) => setAnswer({ data, failed: null }),
            (failed: unknown) => {
                if (!stop.signal.aborted) {
                    setAnswer((old) => ({ ...old, failed }));
                }
            },
        );
        return () => stop.abort();
    }, [path, changes]);
    return answer;
}
