// The same request for a shell.
import { t } from '../../i18n';
import { Copy } from '../../parts/Copy';
import { Dialog } from '../../parts/Dialog';

const SHOWN = 'play-curl';

export function CurlDialog({ text, onClose }: { text: string; onClose: () => void }) {
    return (
        <Dialog title={t('play.curl.title')} onClose={onClose}>
            <div class="play-curl">
                <Copy text={text} label={t('play.curl')} shown={SHOWN} />
                <pre id={SHOWN} tabIndex={0} aria-label={t('play.curl.title')}>
                    {text}
                </pre>
                <p class="hint">{t('steps.key')}</p>
            </div>
        </Dialog>
    );
}
