// The session is over, was revoked, or never was: what happened and how to come back.
import { useState } from 'preact/hooks';
import { get } from '../api/client';
import { t } from '../i18n';
import { Mark } from './Mark';

export function SessionOver() {
    const [isStillOver, setStillOver] = useState(false);
    // Somebody may have come back in another tab. A reload without a session shows nothing at all.
    const again = () =>
        get('/session').then(
            () => location.reload(),
            () => setStillOver(true),
        );
    return (
        <main id="main" class="over" tabIndex={-1}>
            <section class="panel" role="alert">
                <Mark />
                <h1>{t('over.title')}</h1>
                <p>{t('over.why')}</p>
                <ul>
                    <li>
                        {t('over.key')} <code>{`${location.origin}/<key>/ui`}</code>
                    </li>
                    <li>
                        {t('over.link')} <code>llm-gate ui-link</code>
                    </li>
                </ul>
                <button class="primary" onClick={() => void again()}>
                    {t('over.again')}
                </button>
                {isStillOver && <p class="hint">{t('over.still')}</p>}
            </section>
        </main>
    );
}
