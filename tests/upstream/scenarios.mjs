// Everything that is known to go wrong at an upstream, by name. Bodies come from the recordings
// where these are present; otherwise our own bodies of the same shape take their place.
import { recording } from './recordings.mjs';

const error = (code, message, type = 'invalid_request_error') =>
    JSON.stringify({
        error: { code, message, param: null, type },
        request_id: '00000000-1111-2222-3333-444444444444',
    });

const recorded = (name, own) => recording(name)?.body ?? Buffer.from(own);

export function streamOf(...payloads) {
    const text = (payload) => (typeof payload === 'string' ? payload : JSON.stringify(payload));
    return Buffer.from(payloads.map((payload) => `data: ${text(payload)}\n\n`).join(''));
}

// One chunk of a chat stream.
export function chunkOf(delta, finish = null, more = {}) {
    return {
        id: 'chatcmpl-1',
        object: 'chat.completion.chunk',
        created: 1700000000,
        model: 'mock',
        choices: [{ index: 0, delta, finish_reason: finish }],
        ...more,
    };
}

// A whole stream that says this text, a word at a time.
export function chatStream(text) {
    const words = text.match(/\S+\s*|\s+/g) ?? [];
    return streamOf(
        chunkOf({ role: 'assistant', content: '' }),
        ...words.map((word) => chunkOf({ content: word })),
        chunkOf({}, 'stop'),
        '[DONE]',
    );
}

// A whole answer that is not streamed.
export function chatBody(text) {
    return Buffer.from(
        JSON.stringify({
            id: 'chatcmpl-1',
            object: 'chat.completion',
            created: 1700000000,
            model: 'mock',
            choices: [
                {
                    index: 0,
                    message: { role: 'assistant', content: text },
                    finish_reason: 'stop',
                },
            ],
            usage: { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 },
        }),
    );
}

const stream = chatStream('The quick brown fox jumps over the lazy dog.');
const page = (text) =>
    `<!DOCTYPE html>\n<html><head><title>${text}</title></head>` +
    `<body><h1>${text}</h1></body></html>\n`;
const ok = chatBody('Hello.');
const json = 'Content-Type: application/json\r\n';
const rawAnswer = (headers, body = ok) =>
    Buffer.concat([Buffer.from(`HTTP/1.1 200 OK\r\n${json}${headers}\r\n`), Buffer.from(body)]);

// Answers with an error status. `recorded` bodies keep their statuses.
export const refusals = {
    'invalid-token': {
        status: 401,
        body: recorded(
            'quoted-errors/portal-401-invalid-access-token.json',
            error('invalid_api_key', 'invalid access token or token expired'),
        ),
    },
    'wrong-base': { status: 403, body: error('invalid_api_key', 'invalid api-key') },
    'free-quota': {
        status: 429,
        body: recorded(
            'quoted-errors/portal-429-free-allocated-quota.json',
            error('insufficient_quota', 'Free allocated quota exceeded.', 'insufficient_quota'),
        ),
    },
    'minute-quota': {
        status: 429,
        body: recorded(
            'quoted-errors/dashscope-429-tpm-looks-like-quota.json',
            error(
                'insufficient_quota',
                'You exceeded your current quota, please check your plan',
                'insufficient_quota',
            ),
        ),
    },
    'rate-limit-empty': { status: 429, body: '' },
    'rate-limit': {
        status: 429,
        headers: { 'Retry-After': '7' },
        body: error('rate_limit_exceeded', 'Too many requests', 'rate_limit_error'),
    },
    'bad-request': {
        status: 400,
        body: recorded(
            'quoted-errors/portal-400-bad-request.json',
            error('invalid_parameter_error', 'bad request'),
        ),
    },
    'enable-thinking': {
        status: 400,
        body: recorded(
            'quoted-errors/dashscope-400-enable-thinking-nonstream.json',
            error(
                'invalid_parameter_error',
                'parameter.enable_thinking must be set to false for non-streaming calls',
            ),
        ),
    },
    'input-length': {
        status: 400,
        body: recorded(
            'quoted-errors/dashscope-400-input-length.json',
            error('invalid_parameter_error', 'Range of input length should be [1, 1000]'),
        ),
    },
    'server-error': { status: 500, body: error('internal_error', 'Internal error', 'api_error') },
    overloaded: { status: 503, body: error('overloaded', 'Please try later', 'api_error') },
    'stream-timeout': {
        status: 504,
        body: 'stream timeout',
        headers: { 'Content-Type': 'text/plain' },
    },
};

// Pages of firewalls and proxies where an answer was expected.
export const pages = {
    'captcha-json': {
        status: 200,
        body: recorded(
            'quoted-errors/chat-qwen-ai-200-x5sec-captcha.json',
            JSON.stringify({
                ret: ['FAIL_SYS_USER_VALIDATE', 'RGV587_ERROR::SM::busy, try again later'],
                data: { url: 'https://example.invalid/punish?action=captcha' },
            }),
        ),
    },
    'html-200': { status: 200, body: page('Verification') },
    'html-403': { status: 403, body: page('Forbidden') },
    'html-502': { status: 502, body: page('Bad Gateway') },
    redirect: {
        status: 302,
        headers: { Location: 'http://127.0.0.1:1/elsewhere' },
        body: page('Found'),
    },
};

// Failures inside a 200.
export const inStream = {
    'event-error': {
        body: recorded(
            'quoted-errors/anthropic-compat-200-midstream-throttle.sse',
            'event: error\ndata: {"type":"error","error":{"type":"invalid_request_error",' +
                '"message":"Too many requests, please wait before trying again."}}\n\n',
        ),
    },
    'error-object': {
        body: streamOf(
            chunkOf({ role: 'assistant', content: 'The quick' }),
            error('internal_error', 'The engine failed', 'api_error'),
        ),
    },
    'error-finish': {
        body: streamOf(
            chunkOf({ role: 'assistant', content: '' }),
            chunkOf({ content: 'Too many requests. Please retry later.' }, 'error_finish'),
            '[DONE]',
        ),
    },
    'no-content': { body: streamOf(chunkOf({ role: 'assistant' })) },
    'only-done': { body: streamOf('[DONE]') },
    'empty-stream': {
        headers: { 'Content-Type': 'text/event-stream' },
        body: '',
    },
};

// The message breaks off.
export const broken = {
    'close-at-once': { raw: '', end: 'close' },
    'reset-at-once': { raw: '', end: 'reset' },
    'close-in-head': { raw: 'HTTP/1.1 200 OK\r\nContent-Ty', end: 'close' },
    'reset-in-head': { raw: 'HTTP/1.1 200 OK\r\nContent-Ty', end: 'reset' },
    'close-before-body': { body: stream, stopAfter: 0, end: 'close' },
    'truncated-chunked': { body: stream, stopAfter: 700, end: 'close' },
    'truncated-length': { body: ok, declaredLength: ok.length + 100, end: 'close' },
    'truncated-close': { body: stream.subarray(0, 700), framing: 'close' },
    'reset-in-body': { body: stream, stopAfter: 700, end: 'reset' },
    'cut-in-chunk': {
        raw:
            'HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n' +
            'Transfer-Encoding: chunked\r\n\r\nff\r\ndata: {"cho',
        end: 'close',
    },
};

// Silence.
export const stalls = {
    'stall-silent': { raw: '', end: 'stall' },
    'stall-after-head': { body: stream, stopAfter: 0, end: 'stall' },
    'stall-in-head': { raw: 'HTTP/1.1 200 OK\r\nContent-Ty', end: 'stall' },
    'stall-in-body': { body: stream, stopAfter: 700, end: 'stall' },
    'stall-in-length': { body: ok, stopAfter: 20, end: 'stall' },
};

// What is not HTTP/1.1, or has a framing that cannot be trusted.
export const garbage = {
    'not-http': { raw: 'SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n\r\n' },
    binary: { raw: Buffer.from('160301020001fc0303ff00ff00deadbeef0d0a0d0a', 'hex') },
    zeros: { raw: Buffer.alloc(4096) },
    http2: { raw: Buffer.from('00001204000000000000030000006400040010000000060001000000', 'hex') },
    'http-0.9': { raw: '<html>hello</html>' },
    'bad-status': { raw: `HTTP/1.1 2x0 OK\r\n${json}Content-Length: 2\r\n\r\n{}` },
    'header-without-colon': {
        raw: `HTTP/1.1 200 OK\r\n${json}no colon here\r\nContent-Length: 2\r\n\r\n{}`,
    },
    'oversized-header': {
        raw: `HTTP/1.1 200 OK\r\n${json}X-Filler: ${'x'.repeat(2 << 20)}\r\n\r\n{}`,
    },
    'endless-header': { raw: `HTTP/1.1 200 OK\r\nX-Filler: ${'x'.repeat(2 << 20)}` },
    'many-headers': {
        raw: `HTTP/1.1 200 OK\r\n${json}${'X-A: b\r\n'.repeat(20000)}Content-Length: 2\r\n\r\n{}`,
    },
    'two-lengths': { raw: rawAnswer(`Content-Length: 2\r\nContent-Length: ${ok.length}\r\n`) },
    'length-and-chunked': {
        raw: rawAnswer(
            `Content-Length: 5\r\nTransfer-Encoding: chunked\r\n`,
            '2\r\n{}\r\n0\r\n\r\n',
        ),
    },
    'negative-length': { raw: rawAnswer('Content-Length: -1\r\n') },
    'length-not-a-number': { raw: rawAnswer('Content-Length: 12abc\r\n') },
    'huge-length': { raw: rawAnswer('Content-Length: 99999999999999999999999\r\n') },
    'unknown-coding': { raw: rawAnswer('Transfer-Encoding: gzip, chunked\r\n', '0\r\n\r\n') },
    'bad-chunk-size': { raw: rawAnswer('Transfer-Encoding: chunked\r\n', 'zz\r\n{}\r\n0\r\n\r\n') },
    'huge-chunk-size': {
        raw: rawAnswer('Transfer-Encoding: chunked\r\n', 'fffffffffffffffff\r\n{}\r\n0\r\n\r\n'),
    },
    'folded-header': {
        raw: rawAnswer(`X-Folded: one\r\n two\r\nContent-Length: ${ok.length}\r\n`),
    },
};

// Unusual, and fine.
export const legal = {
    plain: { body: ok },
    stream: { body: stream },
    'stream-until-close': { body: stream, framing: 'close' },
    'stream-with-length': { body: stream, framing: 'length' },
    'interim-100': { interim: ['HTTP/1.1 100 Continue\r\n\r\n'], body: ok },
    'interim-many': {
        interim: [
            'HTTP/1.1 100 Continue\r\n\r\n',
            'HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n',
            'HTTP/1.1 102 Processing\r\n\r\n',
        ],
        body: stream,
    },
    'chunk-extensions': {
        raw: rawAnswer(
            'Transfer-Encoding: chunked\r\n',
            `${ok.length.toString(16).toUpperCase()};name="va;lue"\r\n${ok}\r\n` +
                '0\r\nX-Trailer: 1\r\n\r\n',
        ),
        end: 'keep',
    },
    slow: { body: stream, cut: 'events', gap: 20 },
    'byte-by-byte': { body: stream, wire: 'bytes' },
};

export const all = {
    ...refusals,
    ...pages,
    ...inStream,
    ...broken,
    ...stalls,
    ...garbage,
    ...legal,
};
