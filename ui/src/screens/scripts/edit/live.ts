// Keeps what runs up to date while the scripts are shown.
import { useEffect } from 'preact/hooks';
import { everythingChanged, onScript } from '../../../live/store';
import { loadRunning } from '../draft';

const REFRESH_MS = 5000; // of what no event tells: memory, and requests that still run

export function useLive(): void {
    const changes = everythingChanged.value;
    useEffect(() => void loadRunning(), [changes]);
    useEffect(() => onScript(() => void loadRunning()), []);
    useEffect(() => {
        const timer = setInterval(() => {
            if (!document.hidden) {
                void loadRunning();
            }
        }, REFRESH_MS);
        return () => clearInterval(timer);
    }, []);
}
