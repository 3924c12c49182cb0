// A question before what cannot be undone; nothing else asks.
import { t } from '../i18n';
import { Dialog } from './Dialog';

interface Props {
    title: string;
    text: string;
    action: string;
    onYes: () => void;
    onClose: () => void;
}

export function Confirm({ title, text, action, onYes, onClose }: Props) {
    const yes = () => {
        onClose();
        onYes();
    };
    return (
        <Dialog title={title} kind="narrow" onClose={onClose}>
            <div class="form">
                <p>{text}</p>
                <footer>
                    <button type="button" data-focus onClick={onClose}>
                        {t('cancel')}
                    </button>
                    <button type="button" class="danger" onClick={yes}>
                        {action}
                    </button>
                </footer>
            </div>
        </Dialog>
    );
}
