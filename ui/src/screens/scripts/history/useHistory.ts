// The history as far as it was read, newest first. What is published meanwhile comes on top.
import { useEffect, useState } from 'preact/hooks';
import { type Entry, readHistory } from '../../../api/scripts';
import { everythingChanged } from '../../../live/store';
import { running } from '../draft';

const PAGE = 31;

interface History {
    entries: Entry[] | null; // null: not known yet; the last one only when nothing is older
    hasMore: boolean;
    failed: unknown;
    more: () => void;
}

interface Known {
    entries: Entry[];
    hasMore: boolean;
}

// What is new, and what was known that it goes on with. A gap means that what was known is of no use.
function joined(fresh: Known, old: Known | null): Known {
    const oldest = fresh.entries.at(-1)?.generation;
    const at = old?.entries.findIndex((one) => one.generation === oldest) ?? -1;
    if (!old || at < 0) {
        return fresh;
    }
    return { entries: [...fresh.entries, ...old.entries.slice(at + 1)], hasMore: old.hasMore };
}

async function read(before?: number): Promise<Known> {
    const page = await readHistory(before, PAGE);
    return { entries: page.generations, hasMore: page.next !== null };
}

export function useHistory(): History {
    const [known, setKnown] = useState<Known | null>(null);
    const [failed, setFailed] = useState<unknown>(null);
    const changes = everythingChanged.value;
    const now = running.value?.generation;
    useEffect(() => {
        let isGone = false;
        const load = async () => {
            try {
                const fresh = await read();
                if (!isGone) {
                    setKnown((old) => joined(fresh, old));
                    setFailed(null);
                }
            } catch (error) {
                if (!isGone) {
                    setFailed(error);
                }
            }
        };
        void load();
        return () => {
            isGone = true;
        };
    }, [changes, now]);
    const more = async () => {
        const last = known?.entries.at(-1);
        if (!last) {
            return;
        }
        try {
            const older = await read(last.generation);
            setKnown((now) => {
                const goesOn = now?.entries.at(-1)?.generation === last.generation;
                return now && goesOn ? { ...older, entries: [...now.entries, ...older.entries] } : now;
            });
        } catch (error) {
            setFailed(error);
        }
    };
    return {
        entries: known && (known.hasMore ? known.entries.slice(0, -1) : known.entries),
        hasMore: known?.hasMore ?? false,
        failed,
        more: () => void more(),
    };
}
