// A chat through the gateway, with the way that each answer took.
import { useSignalEffect } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { t } from '../../i18n';
import { everythingChanged } from '../../live/store';
import { Composer } from './Composer';
import { Conversation } from './Conversation';
import { loadMissing, loadNames } from './models';
import { Settings } from './Settings';
import { TracePanel } from './TracePanel';

export function Playground() {
    const changes = everythingChanged.value;
    useEffect(() => void loadNames(), [changes]);
    useSignalEffect(loadMissing);
    return (
        <div class="play">
            <section class="panel play-chat" aria-label={t('nav.playground')}>
                <Conversation />
                <Composer />
            </section>
            <div class="play-side">
                <TracePanel />
                <Settings />
            </div>
        </div>
    );
}
