// Why nothing was tried: the draft's mistakes, or what else went wrong.
import { ApiError } from '../../../api/client';
import type { Refusal } from '../../../api/scripts';
import { errorText } from '../../../errors';
import { t } from '../../../i18n';
import { Problems } from '../edit/Problems';

export function Refused({ error }: { error: unknown }) {
    const body: Refusal = error instanceof ApiError ? error.body : {};
    const problems = body.report?.problems ?? body.problems ?? [];
    if (problems.length === 0) {
        return (
            <p class="form-problem panel-note" role="alert">
                {errorText(error)}
            </p>
        );
    }
    return (
        <div role="alert">
            <p class="panel-note">{t('dry.refused')}</p>
            <Problems problems={problems} label={t('dry.refused')} isLinked />
        </div>
    );
}
