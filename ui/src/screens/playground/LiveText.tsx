// Shows a text that grows. What is there already is never touched again: new text goes into new nodes,
// and a long text into several blocks, so that the browser does not lay all of it out for each piece.
import { useLayoutEffect, useRef } from 'preact/hooks';
import type { Growing } from './growing';

const BLOCK = 4000; // characters; a block ends at the first line break after as many
const LONGEST = 16_000; // without a line break it ends here all the same

// Behind a space where there is one, and never inside a character.
function cutBefore(text: string, from: number, limit: number): number {
    const space = text.lastIndexOf(' ', limit - 1);
    if (space > from) {
        return space + 1;
    }
    return /[\ud800-\udbff]/.test(text[limit - 1]) ? limit - 1 : limit;
}

class Writer {
    private block: HTMLElement | null = null;
    private length = 0; // of the block
    written = 0;

    constructor(private readonly element: HTMLElement) {}

    write(text: string): void {
        this.written += text.length;
        let from = 0;
        while (from < text.length) {
            // The end of the block stands for the line break itself.
            const line = text.indexOf('\n', from + Math.max(0, BLOCK - this.length));
            const limit = from + LONGEST - this.length;
            const isTooLong = (line < 0 ? text.length : line) > limit;
            const end = isTooLong ? cutBefore(text, from, limit) : line;
            this.put(text.slice(from, end < 0 ? text.length : end));
            from = end < 0 ? text.length : isTooLong ? end : end + 1;
            if (end >= 0) {
                this.block = null;
                this.length = 0;
            }
        }
    }

    private put(text: string): void {
        if (!this.block) {
            this.block = document.createElement('div');
            this.element.append(this.block);
        }
        this.block.append(text);
        this.length += text.length;
    }
}

interface Props {
    text: Growing;
    id?: string;
    name: string; // class
}

export function LiveText({ text, id, name }: Props) {
    const ref = useRef<HTMLDivElement>(null);
    useLayoutEffect(() => {
        if (!ref.current) {
            return undefined;
        }
        ref.current.replaceChildren();
        const writer = new Writer(ref.current);
        const write = () => writer.write(text.from(writer.written));
        write();
        return text.onGrowth(write);
    }, [text]);
    return <div ref={ref} id={id} class={`live-text ${name}`} />;
}
