// The browsers that are signed in. Each can be signed out from here.
import type { Session } from '../../api/types';
import { errorText } from '../../errors';
import { t } from '../../i18n';
import { moment } from '../../i18n/format';
import { everythingChanged, sessionsChanged } from '../../live/store';
import { Panel } from '../../parts/Panel';
import { Skeleton } from '../../parts/Skeleton';
import { agentName } from './agent';
import { revoke, revokeOthers, signOut } from './signOut';
import { useAnswer } from './useAnswer';

function Row({ session }: { session: Session }) {
    return (
        <tr>
            <th scope="row">
                <span title={session.agent ?? ''}>{agentName(session.agent)}</span>
                {session.current && <span class="tag">{t('ses.current')}</span>}
            </th>
            <td class="wide-only">{session.peer || '–'}</td>
            <td class="wide-only">{moment(session.created)}</td>
            <td>{moment(session.last_seen)}</td>
            <td class="wide-only">{moment(session.expires)}</td>
            <td class="col-actions">
                <button class="small" onClick={() => void (session.current ? signOut() : revoke(session.id))}>
                    {t('ses.revoke')}
                </button>
            </td>
        </tr>
    );
}

export function Sessions() {
    const changes = sessionsChanged.value + everythingChanged.value;
    const { data, failed } = useAnswer<{ sessions: Session[] }>('/sessions', changes);
    const aside = data && data.sessions.length > 1 && (
        <button class="small" onClick={() => void revokeOthers()}>
            {t('ses.others')}
        </button>
    );
    return (
        <Panel title={t('ses.title')} aside={aside}>
            {failed ? <p class="hint panel-note">{errorText(failed)}</p> : null}
            {!data && !failed && <Skeleton rows={1} />}
            {data && (
                <div class="scroll" tabIndex={0} role="group" aria-label={t('ses.title')}>
                    <table>
                        <thead>
                            <tr>
                                <th scope="col">{t('ses.agent')}</th>
                                <th scope="col" class="wide-only">
                                    {t('ses.peer')}
                                </th>
                                <th scope="col" class="wide-only">
                                    {t('ses.created')}
                                </th>
                                <th scope="col">{t('ses.seen')}</th>
                                <th scope="col" class="wide-only">
                                    {t('ses.expires')}
                                </th>
                                <td />
                            </tr>
                        </thead>
                        <tbody>
                            {data.sessions.map((one) => (
                                <Row key={one.id} session={one} />
                            ))}
                        </tbody>
                    </table>
                </div>
            )}
        </Panel>
    );
}
