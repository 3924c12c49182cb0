// Publishing would overwrite an edit in conf/ that is not in service.
import type { Files, Problem } from '../../../api/scripts';
import { t } from '../../../i18n';
import { Dialog } from '../../../parts/Dialog';
import { putDisk } from '../draft';
import { DiffText } from './DiffText';
import { Problems } from './Problems';
import { conflict } from './publish';
import { replaceDraft } from './replace';

interface Props {
    files: Files;
    problems: Problem[];
    again: () => Promise<void>;
}

export function DiskDialog({ files, problems, again }: Props) {
    const close = () => (conflict.value = null);
    const take = () => {
        replaceDraft(() => putDisk(files), t('scr.disk.loaded'));
        close();
    };
    const overwrite = () => {
        close();
        void again();
    };
    return (
        <Dialog title={t('scr.disk.title')} kind="wide" onClose={close}>
            <div class="form">
                <p>{t('scr.disk.why')}</p>
                <Problems problems={problems} label={t('scr.disk.title')} />
                <h3>{t('scr.disk.changes')}</h3>
                <DiffText from="running" to="disk" label={t('scr.disk.changes')} />
                <footer>
                    <button type="button" class="danger" onClick={overwrite}>
                        {t('scr.disk.over')}
                    </button>
                    <button type="button" class="primary" data-focus onClick={take}>
                        {t('scr.disk.take')}
                    </button>
                </footer>
            </div>
        </Dialog>
    );
}
