import { type Key, lang, setLang, t } from '../../i18n';
import { Panel } from '../../parts/Panel';
import { Segments } from '../../parts/Segments';
import { setTheme, theme } from '../../theme';

const THEMES = ['system', 'light', 'dark'] as const;
const LANGS = ['en', 'zh'] as const;
const LANG_NAMES = { en: 'English', zh: '中文' };

export function Appearance() {
    return (
        <Panel title={t('set.look')}>
            <div class="settings">
                <span>{t('set.theme')}</span>
                <Segments
                    label={t('set.theme')}
                    values={THEMES}
                    value={theme.value}
                    name={(one) => t(`theme.${one}` as Key)}
                    onChange={setTheme}
                />
                <span>{t('set.lang')}</span>
                <Segments
                    label={t('set.lang')}
                    values={LANGS}
                    value={lang.value}
                    name={(one) => LANG_NAMES[one]}
                    onChange={setLang}
                />
            </div>
        </Panel>
    );
}
