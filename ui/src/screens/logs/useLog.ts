// The rows of the logs: a page from the gateway, older pages on demand, newer ones as they happen.
import { useEffect, useRef, useState } from 'preact/hooks';
import { get, query } from '../../api/client';
import type { Trace } from '../../api/types';
import { everythingChanged, link, onRequests, traceKey } from '../../live/store';
import { type LogFilter, matches } from './filter';
import { EMPTY, type Page, refiltered, ROWS_MAX, withLive, withNewest, withOlder } from './log';

const PAGE = 50;
const POLL_MS = 5000;

export function useLog(filter: LogFilter) {
    const [log, setLog] = useState(EMPTY);
    const [isPaused, setPaused] = useState(false);
    const [waiting, setWaiting] = useState(0); // rows that came while paused
    const paused = useRef(isPaused);
    const asking = useRef(new AbortController());
    const arrived = useRef<Trace[]>([]); // since the newest page was asked for
    const shown = useRef('');
    const rows = useRef(log.rows);
    paused.current = isPaused;
    rows.current = log.rows;
    const name = JSON.stringify(filter);
    const changes = everythingChanged.value;
    const isPolling = link.value === 'polling';

    const load = async (before: string | undefined, use: (page: Page) => void) => {
        const { signal } = asking.current;
        try {
            const page = await get<Page>(`/requests${query({ ...filter, limit: PAGE, before })}`, signal);
            if (!signal.aborted) {
                use(page);
            }
        } catch (failed) {
            if (!signal.aborted) {
                setLog((old) => ({ ...old, failed }));
            }
        }
    };
    const loadNewest = () => {
        arrived.current = [];
        return load(undefined, (page) => setLog((old) => withNewest(old, page, arrived.current)));
    };

    // At the start, with other filters, when going on, after a reconnect.
    useEffect(() => {
        const isOther = shown.current !== name;
        shown.current = name;
        asking.current = new AbortController();
        if (isOther) {
            setLog((old) => refiltered(old, filter));
        }
        if (isOther || !isPaused) {
            setWaiting(0);
            void loadNewest();
        }
        const again = isPolling && !isPaused;
        const timer = again ? setInterval(() => void loadNewest(), POLL_MS) : undefined;
        return () => {
            asking.current.abort();
            clearInterval(timer);
        };
    }, [name, changes, isPaused, isPolling]);

    useEffect(
        () =>
            onRequests((fresh) => {
                const wanted = fresh.filter((one) => matches(one, filter));
                if (paused.current) {
                    // The page may have brought a row before the stream tells of it.
                    const known = new Set(rows.current?.map(traceKey));
                    const unseen = wanted.filter((one) => !known.has(traceKey(one)));
                    setWaiting((n) => n + unseen.length);
                } else if (wanted.length > 0) {
                    arrived.current = [...wanted, ...arrived.current];
                    setLog((old) => withLive(old, wanted));
                }
            }),
        [name],
    );

    const more = () => {
        const { next } = log;
        if (next === null) {
            return;
        }
        void load(next, (page) => {
            setLog((old) => withOlder(old, page));
            setPaused((is) => is || (log.rows?.length ?? 0) + page.requests.length > ROWS_MAX);
        });
    };
    return { ...log, waiting, isPaused, setPaused, more };
}
