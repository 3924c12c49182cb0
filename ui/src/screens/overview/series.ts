// The series of one range, asked for again as it grows.
import { type Signal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { get } from '../../api/client';
import type { Range, Series } from '../../api/types';
import { everythingChanged } from '../../live/store';

const AGAIN_MS: Record<Range, number> = { '1h': 10_000, '6h': 30_000, '24h': 60_000, '30d': 300_000 };

export interface Loaded {
    series: Series | null;
    failed: unknown;
}

export function useSeries(range: Range, againMs = AGAIN_MS[range]): Signal<Loaded> {
    const loaded = useSignal<Loaded>({ series: null, failed: null });
    const changes = everythingChanged.value;
    useEffect(() => {
        const stop = new AbortController();
        const load = async () => {
            if (document.hidden) {
                return;
            }
            try {
                const series = await get<Series>(`/series?range=${range}`, stop.signal);
                loaded.value = { series, failed: null };
            } catch (failed) {
                if (!stop.signal.aborted) {
                    loaded.value = { series: loaded.value.series, failed };
                }
            }
        };
        void load();
        const timer = setInterval(() => void load(), againMs);
        return () => {
            stop.abort();
            clearInterval(timer);
        };
    }, [range, againMs, changes]);
    return loaded;
}
