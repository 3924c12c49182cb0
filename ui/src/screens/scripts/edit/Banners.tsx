// What has happened to the scripts outside of this page, and what can be done about it.
import { signal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { type Entry, type Files, readGeneration } from '../../../api/scripts';
import { errorText } from '../../../errors';
import { t } from '../../../i18n';
import { moment } from '../../../i18n/format';
import { Icon } from '../../../parts/Icon';
import { toastError } from '../../../parts/Toasts';
import { isStale, mayOverwriteDisk, putDisk, putTexts, running } from '../draft';
import { Problems } from './Problems';
import { conflict, isPublishing } from './publish';
import { replaceDraft } from './replace';
import { publishedTitle } from './words';

const PROBLEMS_SHOWN = 5;

const dismissed = signal(0); // the takeover that was read

interface BannerProps {
    tone: 'error' | 'warning';
    title: string;
    children?: ComponentChildren;
    actions: ComponentChildren;
}

function Banner({ tone, title, children, actions }: BannerProps) {
    return (
        <section class={`banner is-${tone}`} role="status">
            <Icon name="alert" />
            <div>
                <strong>{title}</strong>
                {children}
            </div>
            <div class="banner-actions">{actions}</div>
        </section>
    );
}

async function loadFailed(generation: number): Promise<void> {
    try {
        const { files } = await readGeneration(generation);
        replaceDraft(() => putTexts(files), t('scr.loaded', { g: String(generation) }));
    } catch (error) {
        toastError(errorText(error));
    }
}

function Takeover({ entry }: { entry: Entry }) {
    const failed = entry.base ?? 0;
    return (
        <Banner
            tone="error"
            title={t('scr.takeover', { g: String(failed) })}
            actions={
                <>
                    <button class="small" onClick={() => void loadFailed(failed)}>
                        {t('scr.takeover.load')}
                    </button>
                    <button class="small ghost" onClick={() => (dismissed.value = entry.generation)}>
                        {t('close')}
                    </button>
                </>
            }
        >
            <p>
                {t('scr.takeover.now', {
                    of: String(entry.of ?? 0),
                    g: String(entry.generation),
                    time: moment(entry.at),
                })}
            </p>
            {entry.note && <p class="mono">{entry.note}</p>}
        </Banner>
    );
}

function DiskEdit({ files }: { files: Files }) {
    const problems = running.value?.disk.problems ?? [];
    const load = () => replaceDraft(() => putDisk(files), t('scr.disk.loaded'));
    return (
        <Banner
            tone="error"
            title={t('scr.disk')}
            actions={
                <button class="small" onClick={load}>
                    {t('scr.disk.load')}
                </button>
            }
        >
            <Problems problems={problems.slice(0, PROBLEMS_SHOWN)} label={t('scr.disk')} />
        </Banner>
    );
}

function Stale() {
    const now = running.value;
    if (!now) {
        return null;
    }
    return (
        <Banner
            tone="warning"
            title={publishedTitle(now)}
            actions={
                <button class="small" onClick={() => (conflict.value = { kind: 'stale' })}>
                    {t('scr.stale.show')}
                </button>
            }
        >
            {now.published?.note && <p>{now.published.note}</p>}
        </Banner>
    );
}

export function Banners() {
    const now = running.value;
    const entry = now?.published;
    const files = now?.disk.files;
    return (
        <>
            {entry?.origin === 'takeover' && dismissed.value !== entry.generation && (
                <Takeover entry={entry} />
            )}
            {now?.disk.differs && files && !mayOverwriteDisk() && <DiskEdit files={files} />}
            {isStale.value && !isPublishing.value && <Stale />}
        </>
    );
}
