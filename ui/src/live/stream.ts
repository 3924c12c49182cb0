// An event stream that comes back by itself. The browser's own reconnecting gives up for ever on any
// answer that is not 200 (a gateway that restarts, a proxy's error page), hence this one's.
import { get } from '../api/client';

const FIRST_WAIT_MS = 500;
const SILENT_MS = 40_000; // the gateway says something every 15 s: this connection is dead
const LONGEST_WAIT_MS = 5000; // as often as the page asks without a stream

export type Handlers = Record<string, (data: unknown) => void>;

function receive(event: MessageEvent, handle: (data: unknown) => void): void {
    let data: unknown;
    try {
        data = JSON.parse(event.data as string);
    } catch {
        return; // cut short: the next one, or a resync, makes up for it
    }
    handle(data);
}

export class Stream {
    onState: (isOpen: boolean) => void = () => undefined;
    isOpen = false;
    private source: EventSource | null = null;
    private timer: ReturnType<typeof setTimeout> | undefined;
    private silence: ReturnType<typeof setTimeout> | undefined;
    private wait = FIRST_WAIT_MS;

    constructor(
        private readonly address: string,
        private readonly handlers: Handlers,
    ) {}

    start(): void {
        this.stop();
        const source = new EventSource(this.address);
        this.source = source;
        source.onopen = () => {
            this.wait = FIRST_WAIT_MS;
            this.hear();
            this.setOpen(true);
        };
        source.onerror = () => this.retry();
        source.addEventListener('ping', () => this.hear());
        for (const [name, handle] of Object.entries(this.handlers)) {
            source.addEventListener(name, (event) => {
                this.hear();
                receive(event, handle);
            });
        }
    }

    stop(): void {
        clearTimeout(this.timer);
        clearTimeout(this.silence);
        this.source?.close();
        this.source = null;
        this.setOpen(false);
    }

    // A connection whose other end is gone without a word looks open for hours.
    private hear(): void {
        clearTimeout(this.silence);
        this.silence = setTimeout(() => this.retry(), SILENT_MS);
    }

    // Random, so that the tabs of a whole office do not come back at the same moment.
    private retry(): void {
        this.stop();
        this.timer = setTimeout(() => this.start(), this.wait * (0.5 + Math.random()));
        this.wait = Math.min(LONGEST_WAIT_MS, this.wait * 2);
        // A refused stream does not say why: an ordinary call finds out whether the session is over.
        get('/session').catch(() => undefined);
    }

    private setOpen(isOpen: boolean): void {
        if (this.isOpen !== isOpen) {
            this.isOpen = isOpen;
            this.onState(isOpen);
        }
    }
}
