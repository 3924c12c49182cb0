// How the gateway is now, in one view.
import { present, recent, stats } from '../../live/store';
import { AccountsPanel } from '../accounts/AccountsPanel';
import { Alerts } from './Alerts';
import { Figures } from './Figures';
import { FirstSteps, isFirstStart } from './FirstSteps';
import { Lead } from './Lead';
import { RecentRequests } from './RecentRequests';
import { Traffic } from './Traffic';

export function Overview() {
    const isFirst = isFirstStart(present.value, recent.value, stats.value);
    return (
        <>
            <Lead />
            <Alerts />
            {isFirst && <FirstSteps />}
            <section class="panel traffic">
                <Figures />
                <Traffic />
            </section>
            <AccountsPanel />
            <RecentRequests />
        </>
    );
}
