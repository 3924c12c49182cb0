// The ways to the screens: at the side, on a phone as tabs at the bottom.
import { type Key, t } from '../i18n';
import { wantsSignIn } from '../live/store';
import { Icon } from '../parts/Icon';
import { address, type Screen, SCREENS } from '../router';
import { Mark } from './Mark';

function Entry({ screen, isCurrent }: { screen: Screen; isCurrent: boolean }) {
    const isWanted = screen === 'accounts' && wantsSignIn.value;
    return (
        <a href={address(screen)} aria-current={isCurrent ? 'page' : undefined}>
            <Icon name={screen} />
            <span>{t(`nav.${screen}` as Key)}</span>
            {isWanted && (
                <i class="dot" title={t('nav.attention')}>
                    <span class="unseen">{t('nav.attention')}</span>
                </i>
            )}
        </a>
    );
}

export function Sidebar({ screen }: { screen: Screen }) {
    return (
        <header class="side">
            <a class="brand" href={address('overview')}>
                <Mark />
                llm-gate
            </a>
            <nav aria-label={t('nav.label')}>
                {SCREENS.map((one) => (
                    <Entry key={one} screen={one} isCurrent={one === screen} />
                ))}
            </nav>
        </header>
    );
}
