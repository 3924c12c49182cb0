// Line icons on a grid of 16.
const PATHS = {
    overview: 'M2.5 9.5h4v4h-4zM9.5 2.5h4v11h-4zM2.5 2.5h4v4h-4z',
    accounts: 'M8 7.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5zM3 13.5c.4-2.5 2.4-4 5-4s4.6 1.5 5 4',
    scripts: 'M5.5 4.5L2 8l3.5 3.5M10.5 4.5L14 8l-3.5 3.5',
    playground: 'M2.5 3.5h11v7.5H8L5 13.5V11H2.5z',
    logs: 'M3 4h10M3 8h10M3 12h6',
    settings: 'M2.5 5h6M11.5 5h2M2.5 11h2M7.5 11h6M10 3.5v3M6 9.5v3',
    search: 'M7 11.5a4.5 4.5 0 1 0 0-9 4.5 4.5 0 0 0 0 9zM10.5 10.5l3 3',
    plus: 'M8 3v10M3 8h10',
    more: 'M3.5 8h.01M8 8h.01M12.5 8h.01',
    theme: 'M13 9.5A5.5 5.5 0 0 1 6.5 3a5.5 5.5 0 1 0 6.5 6.5z',
    close: 'M4 4l8 8M12 4l-8 8',
    copy: 'M5.5 5.5h7v7h-7zM3.5 10.5v-7h7',
    check: 'M3 8.5l3.5 3.5L13 5',
    alert: 'M8 2.5l6 11H2zM8 6.5v3.5M8 12h.01',
    pause: 'M5.5 3.5v9M10.5 3.5v9',
    play: 'M5 3.5l7 4.5-7 4.5z',
    file: 'M4 2.5h5l3 3v8H4zM9 2.5v3h3',
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name }: { name: IconName }) {
    return (
        <svg class="icon" viewBox="0 0 16 16" width="16" height="16" aria-hidden="true">
            <path
                d={PATHS[name]}
                fill="none"
                stroke="currentColor"
                stroke-width={name === 'more' ? 2.2 : 1.4}
                stroke-linecap="round"
                stroke-linejoin="round"
            />
        </svg>
    );
}
