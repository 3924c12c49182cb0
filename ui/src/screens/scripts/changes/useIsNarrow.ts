// Whether the window is as narrow as a phone; two texts have no room beside each other there.
import { useEffect, useState } from 'preact/hooks';

const narrow = matchMedia('(max-width: 760px)');

export function useIsNarrow(): boolean {
    const [isNarrow, setNarrow] = useState(narrow.matches);
    useEffect(() => {
        const change = () => setNarrow(narrow.matches);
        change();
        narrow.addEventListener('change', change);
        return () => narrow.removeEventListener('change', change);
    }, []);
    return isNarrow;
}
