// Times of the history: the year too, where it is another one.
import { lang, LOCALES } from '../../../i18n';
import { moment } from '../../../i18n/format';
import { now } from '../../../live/clock';

export function fullMoment(at: number): string {
    if (new Date(at).getFullYear() === new Date(now.peek()).getFullYear()) {
        return moment(at);
    }
    const options = { year: 'numeric', month: 'short', day: 'numeric' } as const;
    return new Intl.DateTimeFormat(LOCALES[lang.value], options).format(at);
}
