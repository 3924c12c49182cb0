// Where a script's message says that something is.

export interface Place {
    file: string;
    line: number;
    rest: string;
}

// "routing.lua:2: oops"
export function placeOf(message: string): Place | null {
    const found = /^([\w./-]+\.lua):(\d+): ?([^]*)$/.exec(message);
    return found ? { file: found[1], line: Number(found[2]), rest: found[3] } : null;
}
