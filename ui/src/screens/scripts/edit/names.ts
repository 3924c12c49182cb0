// What scripts can use, for completion: the gateway's functions and the fields of what they are given.
// docs/scripting.md explains them.
import type { Completion, CompletionContext, CompletionResult } from '@codemirror/autocomplete';

// Of each table its members: a name, then behind a space what it is.
const MEMBERS: Record<string, string[]> = {
    'gate': [
        'log (level, message)',
        'hash (text) → integer',
        'random (a, b) → number',
        'now () → ms',
        'time (zone) → table',
        'provider (name) → provider or nil',
        'accounts (name) → list or nil',
        'counter (name, delta) → integer',
        'kv table',
    ],
    'gate.kv': ['get (key)', 'set (key, value, ttl_ms)', 'add (key, delta, ttl_ms) → number'],
    'req': [
        'model string',
        'stream boolean',
        'messages integer',
        'tools integer',
        'has_tools boolean',
        'has_images boolean',
        'body_bytes integer',
        'prompt_tokens integer',
        'max_tokens integer',
        'key string',
        'path string',
        'headers ["x-team"]',
    ],
    'account': [
        'id string',
        'alias string',
        'provider string',
        'kind string',
        'tags list',
        'has_tag (tag) → boolean',
        'weight integer',
        'in_flight integer',
        'latency_ms number or nil',
        'requests_minute integer',
        'requests_day integer',
        'tokens_minute integer',
        'tokens_day integer',
        'resets_in_ms integer',
        'limits table',
        'cooling boolean',
        'state string',
        'until_ms integer or nil',
    ],
    'limits': ['rpm integer', 'rpd integer', 'tpm integer', 'tpd integer', 'concurrency integer'],
    'provider': [
        'accounts integer',
        'serving integer',
        'in_flight integer',
        'requests_minute integer',
        'requests_day integer',
        'tokens_day integer',
        'requests_left_today integer or nil',
        'latency_ms number or nil',
    ],
    'failure': [
        'kind string',
        'status integer',
        'code string',
        'message string',
        'retry_after_ms integer or nil',
    ],
    'attempt': [
        'number integer',
        'account string',
        'alias string',
        'provider string',
        'model string',
        'elapsed_ms integer',
        'default string',
        'cooldown_ms integer',
    ],
    'response': [
        'status integer',
        'stream boolean',
        'first_token_ms integer or nil',
        'total_ms integer',
        'prompt_tokens integer',
        'completion_tokens integer',
        'estimated boolean',
        'headers ["x-ratelimit-…"]',
    ],
    'fallback': ['chain (target, …) → function', 'with (options, target, …) → function'],
    'canary': ['percent (percent, name) → function', 'split (shares, name) → function'],
    'windows': [
        'between (from, to, zone, days) → function',
        'weekdays (days, zone) → function',
        'any (window, …) → function',
        'all (window, …) → function',
        'outside (window) → function',
    ],
    'tiers': ['cheapest (tiers, keep) → function'],
    'size': ['first (rules) → function'],
    'tags': ['rules (rules) → function', 'target (rules) → function'],
    'balance': ['least (field) → function', 'most_left (what) → function', 'prefer_tag (tag, …) → function'],
    'match': [
        'glob (glob, name) → boolean',
        'first (rules, name)',
        'matcher (glob) → function',
        'rules (list) → function',
    ],
    'string': 'byte char find format gmatch gsub len lower match rep reverse sub upper'.split(' '),
    'table': 'concat insert move pack remove sort unpack'.split(' '),
    'math': 'abs ceil floor fmod huge max maxinteger min mininteger modf pi sqrt tointeger type'.split(' '),
};

// Names that people give to such a table.
const ALSO: Record<string, string> = { a: 'account', account: 'account', p: 'provider' };

const LIBRARY = 'fallback canary windows tiers size tags balance match'.split(' ');

const WORDS = (
    'and break do else elseif end false for function if in local nil not or repeat return then true ' +
    'until while'
).split(' ');
const GLOBALS = 'assert error ipairs next pairs pcall require select tonumber tostring type'.split(' ');
const FIELDS = (
    'model first_token_ms idle_ms total_ms retries strategy tags headers body reason reject status code ' +
    'message retry_after_ms action cooldown_ms set remove append_system max_tokens limits accounts weight ' +
    'select on_error on_response chat search rpm rpd tpm tpd concurrency'
).split(' ');

function member(text: string): Completion {
    const [label, ...rest] = text.split(' ');
    const detail = rest.join(' ');
    return { label, detail, type: detail.startsWith('(') ? 'function' : 'property' };
}

const plain: Completion[] = [
    ...WORDS.map((label) => ({ label, type: 'keyword' })),
    ...[...GLOBALS, 'gate', 'string', 'table', 'math'].map((label) => ({ label, type: 'variable' })),
    ...['req', 'failure', 'attempt', 'response'].map((label) => ({ label, type: 'variable' })),
    ...FIELDS.map((label) => ({ label, type: 'property', boost: -1 })),
];

const modules: Completion[] = LIBRARY.map((name) => ({ label: `gate.${name}`, type: 'namespace' }));

function membersOf(path: string): string[] | undefined {
    const last = path.slice(path.lastIndexOf('.') + 1);
    return MEMBERS[path] ?? MEMBERS[last] ?? MEMBERS[ALSO[last] ?? ''];
}

export function complete(context: CompletionContext): CompletionResult | null {
    const module = context.matchBefore(/require\s*\(?\s*["'][\w.]*/);
    if (module) {
        const from = module.from + module.text.search(/["']/) + 1;
        return { from, options: modules, validFor: /^[\w.]*$/ };
    }
    const word = context.matchBefore(/(?:[A-Za-z_]\w*[.:])*\w*/);
    if (!word || (word.from === word.to && !context.explicit) || /^\d/.test(word.text)) {
        return null;
    }
    const line = context.state.doc.lineAt(context.pos);
    if (line.text.slice(0, context.pos - line.from).includes('--')) {
        return null;
    }
    const dot = Math.max(word.text.lastIndexOf('.'), word.text.lastIndexOf(':'));
    if (dot < 0) {
        return { from: word.from, options: plain, validFor: /^\w*$/ };
    }
    const members = membersOf(word.text.slice(0, dot).replaceAll(':', '.'));
    return members
        ? { from: word.from + dot + 1, options: members.map(member), validFor: /^\w*$/ }
        : null;
}
