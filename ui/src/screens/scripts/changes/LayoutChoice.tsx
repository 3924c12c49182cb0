import { t } from '../../../i18n';
import { Segments } from '../../../parts/Segments';
import { LAYOUTS, setLayout, useLayout } from './layout';

export function LayoutChoice() {
    const layout = useLayout();
    return (
        <div class="wide-only">
            <Segments
                label={t('chg.layout')}
                values={LAYOUTS}
                value={layout}
                name={(one) => t(`chg.layout.${one}`)}
                onChange={setLayout}
            />
        </div>
    );
}
