// A short number for a text (FNV-1a), to know it again; no secret depends on it. Never 0.
export function hashOf(text: string): number {
    let hash = 0x811c9dc5;
    for (let at = 0; at < text.length; at++) {
        hash = Math.imul(hash ^ text.charCodeAt(at), 0x01000193);
    }
    return hash >>> 0 || 1;
}
