// What holds for the gateway, and where it comes from.
import type { Config, Stats } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { duration, moment, num } from '../../i18n/format';
import { slowNow } from '../../live/clock';
import { everythingChanged, stats } from '../../live/store';
import { Panel } from '../../parts/Panel';
import { Skeleton } from '../../parts/Skeleton';
import { useAnswer } from './useAnswer';

function lines(config: Config, now: Stats | null): [string, string][] {
    const up = now ? duration(slowNow.value - now.started_at) : '';
    return [
        [t('gw.version'), now ? now.version : '–'],
        [t('gw.up'), now ? t('aside', { a: moment(now.started_at), b: up }) : '–'],
        [t('gw.listen'), `${config.listen_host}:${config.listen_port}`],
        [t('gw.workers'), num(config.workers)],
        [t('gw.generation'), now ? num(now.generation) : '–'],
        [t('gw.strategy'), config.strategy],
        [t('gw.data'), config.data_dir],
        [t('gw.conf'), config.conf_dir ?? '–'],
        [t('gw.retention'), t('gw.days', { n: config.audit_retention_days })],
        [t('gw.key'), t(config.admin_key ? 'gw.key.own' : 'gw.key.shared')],
    ];
}

export function Gateway() {
    const { data, failed } = useAnswer<Config>('/config', everythingChanged.value);
    return (
        <Panel title={t('gw.title')}>
            {failed ? <p class="hint panel-note">{errorText(failed)}</p> : null}
            {!data && !failed && <Skeleton rows={3} />}
            {data && (
                <dl class="facts">
                    {lines(data, stats.value).map(([name, value]) => (
                        <div key={name}>
                            <dt>{name}</dt>
                            <dd>{value}</dd>
                        </div>
                    ))}
                </dl>
            )}
            <p class="hint panel-note">
                <a href="licenses.txt">{t('gw.licenses')}</a>
            </p>
            {data && data.warnings.length > 0 && (
                <ul class="warnings" aria-label={t('gw.warnings')}>
                    {data.warnings.map((one) => (
                        <li key={one}>{one}</li>
                    ))}
                </ul>
            )}
        </Panel>
    );
}
