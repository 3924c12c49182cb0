// What was tried besides reading: policy tests, sample requests, recent requests.
import type { Report } from '../../../api/scripts';
import { t } from '../../../i18n';
import { took } from '../../../i18n/format';
import { report } from '../draft';

function tests({ cases, failed }: Report['tests']): string {
    if (cases === 0) {
        return t('scr.tests.none');
    }
    return failed > 0
        ? t('scr.tests.failed', { n: failed, of: cases })
        : t('scr.tests.passed', { n: cases });
}

export function CheckFoot() {
    const last = report.value;
    if (!last) {
        return null;
    }
    return (
        <p class={last.tests.failed > 0 ? 'check-foot is-failed' : 'check-foot'}>
            <span>{tests(last.tests)}</span>
            {last.samples > 0 && (
                <span>{t('scr.tried', { samples: last.samples, recorded: last.recorded })}</span>
            )}
            <span class="wide-only">{took(last.took_us / 1000)}</span>
            <span class="wide-only keys">{t('scr.keys')}</span>
        </p>
    );
}
