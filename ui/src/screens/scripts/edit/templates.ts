// What a new file has in it.
const TEMPLATES: Record<string, string> = {
    'routing.lua': 'return function(_req)\n    return nil\nend\n',
    'tests': [
        '-- Cases that this policy must pass.',
        'return {',
        '    { name = "echo is as it is", map = "echo", expect = { model = "echo" } },',
        '}',
        '',
    ].join('\n'),
};

export const templateOf = (file: string) =>
    TEMPLATES[file] ?? (file.startsWith('tests/') ? TEMPLATES.tests : 'return {\n}\n');
