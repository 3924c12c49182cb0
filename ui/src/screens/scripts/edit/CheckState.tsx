// What the last check said, in a few words.
import { errorText } from '../../../errors';
import { t } from '../../../i18n';
import { isDirty, report } from '../draft';
import { checkError, isChecking } from './check';

function words(): { tone: string; text: string } {
    const last = report.value;
    if (checkError.value !== null) {
        return { tone: 'error', text: t('scr.unchecked') };
    }
    if (!last || (isChecking.value && last.errors === 0 && isDirty.value)) {
        return { tone: 'wait', text: t('scr.checking') };
    }
    if (last.errors > 0) {
        return { tone: 'error', text: t('scr.errors', { n: last.errors }) };
    }
    return last.warnings > 0
        ? { tone: 'warning', text: t('scr.warnings', { n: last.warnings }) }
        : { tone: 'good', text: t('scr.valid') };
}

export function CheckState() {
    const { tone, text } = words();
    const why = checkError.value === null ? undefined : errorText(checkError.value);
    return (
        <span class={`check is-${tone}`} role="status" title={why}>
            <i aria-hidden="true" />
            {text}
        </span>
    );
}
