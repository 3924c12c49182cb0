// The provider plugins that are loaded, with what each instance serves.
import { t } from '../../i18n';
import { num } from '../../i18n/format';
import { providers } from '../../live/store';
import { Panel } from '../../parts/Panel';
import { Skeleton } from '../../parts/Skeleton';

export function Plugins() {
    const all = providers.value;
    return (
        <Panel title={t('plug.title')}>
            {all === null && <Skeleton rows={3} />}
            {all && (
                <div class="scroll" tabIndex={0} role="group" aria-label={t('plug.title')}>
                    <table>
                        <thead>
                            <tr>
                                <th scope="col">{t('add.provider')}</th>
                                <th scope="col">{t('plug.plugin')}</th>
                                <th scope="col" class="wide-only">
                                    {t('plug.summary')}
                                </th>
                                <th scope="col" class="number">
                                    {t('nav.accounts')}
                                </th>
                                <th scope="col" class="number">
                                    {t('plug.models')}
                                </th>
                            </tr>
                        </thead>
                        <tbody>
                            {all.map((one) => (
                                <tr key={one.name}>
                                    <th scope="row">{one.name}</th>
                                    <td>
                                        <code>
                                            {one.plugin} {one.version}
                                        </code>
                                    </td>
                                    <td class="wide-only">{one.summary}</td>
                                    <td class="number">{num(one.accounts)}</td>
                                    <td class="number" title={one.models.join(', ')}>
                                        {one.models.length > 0 ? num(one.models.length) : '–'}
                                    </td>
                                </tr>
                            ))}
                        </tbody>
                    </table>
                </div>
            )}
        </Panel>
    );
}
