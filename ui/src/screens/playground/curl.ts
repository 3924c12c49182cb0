// A request as a command for a shell. The key stands as a variable: the console does not know it.
import type { ChatBody } from '../../api/chat';

// Nothing is special between these quotes but the quote itself.
const quoted = (text: string) => `'${text.replaceAll("'", `'\\''`)}'`;

export function curlOf(body: ChatBody): string {
    const url = new URL('../v1/chat/completions', location.href).href;
    const stream = body.stream ? ' -N' : '';
    return `curl${stream} ${url} \\
    -H "Authorization: Bearer $API_KEY" \\
    -H 'Content-Type: application/json' \\
    -d ${quoted(JSON.stringify(body, null, 2))}
`;
}
