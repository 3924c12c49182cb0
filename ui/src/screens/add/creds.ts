// Reads what somebody pastes or drops: an oauth_creds.json, or a list of such.

export interface Creds {
    alias?: string;
    oauth: object;
}

const isObject = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value);

// A list as the gateway itself takes it has its logins under "oauth".
function one(value: unknown, alias: string | undefined): Creds {
    if (!isObject(value)) {
        throw new SyntaxError('{}');
    }
    if (isObject(value.oauth)) {
        return { alias: typeof value.alias === 'string' ? value.alias : alias, oauth: value.oauth };
    }
    return { alias, oauth: value };
}

// Throws SyntaxError where the text is no such thing.
export function readCreds(text: string, alias?: string): Creds[] {
    const value: unknown = JSON.parse(text);
    const list = isObject(value) && Array.isArray(value.accounts) ? value.accounts : value;
    return Array.isArray(list) ? list.map((item) => one(item, undefined)) : [one(value, alias)];
}

// "qwen_creds_work.json" is the login "work"; the name that Qwen Code itself writes says nothing.
export function aliasOf(file: string): string | undefined {
    const stem = file.replace(/\.json$/i, '').replace(/^qwen_creds_?/i, '');
    return stem === '' || stem === 'oauth_creds' ? undefined : stem.slice(0, 63);
}
