// Runs before anything is painted, so that the page never flashes in the wrong theme or language.
try {
    const theme = localStorage.getItem('gate.theme');
    if (theme === 'light' || theme === 'dark') {
        document.documentElement.dataset.theme = theme;
    }
    const kept = localStorage.getItem('gate.lang');
    document.documentElement.lang = kept ?? (navigator.language.startsWith('zh') ? 'zh-CN' : 'en');
} catch {
    // Storage may be forbidden; the system's choice holds then.
}
