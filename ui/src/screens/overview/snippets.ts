// What to paste so that a client speaks to this gateway. The key stands as a variable: the console
// does not know it, and a page must not.
export const CLIENTS = ['curl', 'python', 'js', 'qwen', 'opencode'] as const;
export type Client = (typeof CLIENTS)[number];

export const CLIENT_NAMES: Record<Client, string> = {
    curl: 'curl',
    python: 'Python',
    js: 'JavaScript',
    qwen: 'Qwen Code',
    opencode: 'opencode',
};

const curl = (base: string, model: string) => `curl ${base}/chat/completions \\
    -H "Authorization: Bearer $API_KEY" \\
    -H 'Content-Type: application/json' \\
    -d '{"model": "${model}", "stream": true,
        "messages": [{"role": "user", "content": "Hello"}]}'
`;

const python = (base: string, model: string) => `import os
from openai import OpenAI

client = OpenAI(base_url="${base}", api_key=os.environ["API_KEY"])
answer = client.chat.completions.create(
    model="${model}",
    messages=[{"role": "user", "content": "Hello"}],
)
print(answer.choices[0].message.content)
`;

const js = (base: string, model: string) => `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: '${base}', apiKey: process.env.API_KEY });
const answer = await client.chat.completions.create({
    model: '${model}',
    messages: [{ role: 'user', content: 'Hello' }],
});
console.info(answer.choices[0].message.content);
`;

const qwen = (base: string, model: string) => `export OPENAI_BASE_URL=${base}
export OPENAI_API_KEY=$API_KEY
export OPENAI_MODEL=${model}
qwen
`;

const opencode = (base: string, model: string) =>
    `${JSON.stringify(
        {
            $schema: 'https://opencode.ai/config.json',
            provider: {
                'llm-gate': {
                    npm: '@ai-sdk/openai-compatible',
                    options: { baseURL: base, apiKey: '{env:API_KEY}' },
                    models: { [model]: {} },
                },
            },
            model: `llm-gate/${model}`,
        },
        null,
        4,
    )}\n`;

export const SNIPPETS: Record<Client, (base: string, model: string) => string> = {
    curl,
    python,
    js,
    qwen,
    opencode,
};
