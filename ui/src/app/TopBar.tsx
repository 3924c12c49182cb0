// Search, the state of the live link, theme and language.
import { type Key, lang, setLang, t } from '../i18n';
import { isOutdated, link } from '../live/store';
import { Icon } from '../parts/Icon';
import { flipTheme } from '../theme';

function LinkState() {
    const state = link.value;
    return (
        <span class={`link is-${state}`} role="status">
            <i aria-hidden="true" />
            <span>{t(`link.${state}` as Key)}</span>
        </span>
    );
}

function LangButton() {
    const other = lang.value === 'en' ? 'zh' : 'en';
    return (
        <button class="small ghost" lang={other} onClick={() => setLang(other)}>
            {other === 'zh' ? '中文' : 'English'}
        </button>
    );
}

export function TopBar({ onSearch }: { onSearch: () => void }) {
    return (
        <div class="top">
            <button class="search" aria-keyshortcuts="Control+K" onClick={onSearch}>
                <Icon name="search" />
                <span>{t('palette.title')}</span>
                <kbd>Ctrl K</kbd>
            </button>
            {isOutdated.value && (
                <button class="small" onClick={() => location.reload()}>
                    {t('outdated')}
                </button>
            )}
            <LinkState />
            <button
                class="icon-button"
                aria-label={t('theme.flip')}
                title={t('theme.flip')}
                onClick={flipTheme}
            >
                <Icon name="theme" />
            </button>
            <LangButton />
        </div>
    );
}
