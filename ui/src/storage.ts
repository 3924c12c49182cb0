// What the browser remembers: theme, language, small choices of the page, and the draft of the scripts.
// Never a key.
// Storage may be forbidden or full: then the choice lasts as long as the page.

export function recall(name: string): string | null {
    try {
        return localStorage.getItem(`gate.${name}`);
    } catch {
        return null;
    }
}

export function remember(name: string, value: string | null): void {
    try {
        if (value === null) {
            localStorage.removeItem(`gate.${name}`);
        } else {
            localStorage.setItem(`gate.${name}`, value);
        }
    } catch {
        // see above
    }
}

// Calls with what another tab has remembered under a name.
export function whenRemembered(name: string, told: (value: string | null) => void): void {
    addEventListener('storage', (event) => {
        if (event.key === `gate.${name}`) {
            told(event.newValue);
        }
    });
}
