// A component that is loaded when it is first shown. A gateway that was away just then is asked again
// when it is back.
import type { ComponentChildren, ComponentType } from 'preact';
import { useEffect, useState } from 'preact/hooks';
import { everythingChanged } from '../live/store';

export function lazy<P extends object>(
    load: () => Promise<ComponentType<P>>,
    meanwhile: ComponentChildren,
) {
    let loaded: ComponentType<P> | null = null;
    return function Lazy(props: P) {
        const [Part, setPart] = useState<ComponentType<P> | null>(() => loaded);
        const changes = everythingChanged.value;
        useEffect(() => {
            if (Part) {
                return;
            }
            load().then(
                (part) => {
                    loaded = part;
                    setPart(() => part);
                },
                () => undefined, // what stands here meanwhile stays
            );
        }, [changes]);
        return Part ? <Part {...props} /> : <>{meanwhile}</>;
    };
}
