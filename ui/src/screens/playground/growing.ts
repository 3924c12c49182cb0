// A text that grows while somebody looks at it. However often it grows, who shows it is told once a
// frame.
export class Growing {
    private text = '';
    private frame = 0;
    private readonly listeners = new Set<() => void>();

    get length(): number {
        return this.text.length;
    }

    add(piece: string): void {
        this.text += piece;
        if (this.listeners.size > 0 && this.frame === 0) {
            this.frame = requestAnimationFrame(() => {
                this.frame = 0;
                this.listeners.forEach((tell) => tell());
            });
        }
    }

    from(start: number): string {
        return this.text.slice(start);
    }

    toString(): string {
        return this.text;
    }

    // Returns how to stop listening.
    onGrowth(listener: () => void): () => void {
        this.listeners.add(listener);
        return () => this.listeners.delete(listener);
    }
}
