// A QR code, black on white in every theme: cameras want it so. Loaded when the first one is shown.
import { encode } from 'uqr';
import { t } from '../i18n';

export function Qr({ text }: { text: string }) {
    const { data, size } = encode(text, { ecc: 'M', border: 2 });
    const dots = data.flatMap((row, y) => row.map((isDark, x) => (isDark ? `M${x} ${y}h1v1h-1z` : '')));
    return (
        <svg
            class="qr"
            viewBox={`0 0 ${size} ${size}`}
            role="img"
            aria-label={t('add.qr')}
            shape-rendering="crispEdges"
        >
            <rect width="100%" height="100%" fill="#fff" />
            <path d={dots.join('')} fill="#000" />
        </svg>
    );
}
