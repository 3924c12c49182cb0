// What the draft would do: to the requests of late, and to one that can be made up.
import { running } from '../draft';
import { Replay } from './Replay';
import { TryOne } from './TryOne';

export function DryRun() {
    if (!running.value) {
        return null; // the screen waits for it
    }
    return (
        <div class="dry">
            <Replay />
            <TryOne />
        </div>
    );
}
