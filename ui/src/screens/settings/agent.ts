// A browser's own description in a few words: "Chrome 156, Linux". What is not known is shown as it is.
const BROWSERS: [RegExp, string][] = [
    [/Edg(?:A|iOS)?\/(\d+)/, 'Edge'],
    [/OPR\/(\d+)/, 'Opera'],
    [/(?:Firefox|FxiOS)\/(\d+)/, 'Firefox'],
    [/(?:Chrome|CriOS)\/(\d+)/, 'Chrome'],
    [/Version\/(\d+)[\d.]* .*Safari/, 'Safari'],
];

const SYSTEMS: [RegExp, string][] = [
    [/iPhone|iPad/, 'iOS'],
    [/Android/, 'Android'],
    [/Windows/, 'Windows'],
    [/Mac OS X/, 'macOS'],
    [/CrOS/, 'ChromeOS'],
    [/Linux/, 'Linux'],
];

export function agentName(agent: string | null): string {
    const text = agent ?? '';
    const browser = BROWSERS.find(([pattern]) => pattern.test(text));
    const version = browser?.[0].exec(text)?.[1];
    const system = SYSTEMS.find(([pattern]) => pattern.test(text))?.[1];
    const name = browser ? `${browser[1]} ${version}` : '';
    return [name, system].filter(Boolean).join(', ') || text.slice(0, 60) || '–';
}
