// How much an entry changed; asked for when it comes into sight.
import { useEffect, useRef, useState } from 'preact/hooks';
import { t } from '../../../i18n';
import { Counts } from '../changes/Counts';
import { type Difference, difference } from './differences';

export function DifferenceOf({ from, to }: { from: number; to: number }) {
    const ref = useRef<HTMLSpanElement>(null);
    const [found, setFound] = useState<Difference | null>(null);
    useEffect(() => {
        let isGone = false;
        const sight = new IntersectionObserver((seen) => {
            if (seen.some((one) => one.isIntersecting)) {
                sight.disconnect();
                void difference(from, to).then((one) => !isGone && setFound(one));
            }
        });
        if (ref.current) {
            sight.observe(ref.current);
        }
        return () => {
            isGone = true;
            sight.disconnect();
        };
    }, [from, to]);
    return (
        <span ref={ref} class="difference">
            {found && (
                <>
                    {t('hist.changed', { n: found.files })} <Counts {...found} />
                </>
            )}
        </span>
    );
}
