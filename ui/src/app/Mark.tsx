// The sign of the gateway: two posts, and what passes between them.
export function Mark() {
    return (
        <svg width="20" height="20" viewBox="0 0 20 20" aria-hidden="true">
            <path d="M3 17V3h5M17 3v14h-5" fill="none" stroke="currentColor" stroke-width="2" />
            <path d="M7 10h6" fill="none" stroke="var(--ok)" stroke-width="2.4" />
        </svg>
    );
}
