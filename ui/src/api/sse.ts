// Reads an event stream from pieces that may be cut anywhere, also inside a character. Only data and
// comments are looked at: chat streams have nothing else.
export interface SseHandlers {
    onData: (data: string) => void;
    onComment: (text: string) => void;
}

export class SseReader {
    private readonly decoder = new TextDecoder();
    private rest = ''; // of a line that has not ended
    private wasCr = false; // a line feed that comes now belongs to that carriage return
    private data: string[] = [];

    constructor(private readonly handlers: SseHandlers) {}

    push(bytes: Uint8Array): void {
        this.read(this.decoder.decode(bytes, { stream: true }));
    }

    private read(piece: string): void {
        if (piece === '') {
            return;
        }
        const text = this.wasCr && piece.startsWith('\n') ? piece.slice(1) : piece;
        this.wasCr = text.endsWith('\r');
        let from = 0;
        for (const { 0: end, index } of text.matchAll(/\r\n?|\n/g)) {
            this.takeLine(this.rest + text.slice(from, index));
            this.rest = '';
            from = index + end.length;
        }
        this.rest += text.slice(from);
    }

    private takeLine(line: string): void {
        if (line === '') {
            this.endEvent();
        } else if (line.startsWith(':')) {
            this.handlers.onComment(line.slice(1).trim());
        } else if (line.startsWith('data:')) {
            this.data.push(line.slice(line[5] === ' ' ? 6 : 5));
        }
    }

    private endEvent(): void {
        if (this.data.length > 0) {
            const data = this.data.join('\n');
            this.data = [];
            this.handlers.onData(data);
        }
    }
}
