// What the mock login service of oauth.mjs answers, as scenarios of reply.mjs.
import { chunkOf, streamOf } from './scenarios.mjs';

export const DEAD_REFRESH = 'Invalid refresh token or client_id';
export const BAD_TOKEN = 'invalid access token or token expired';

const WAF_PAGE = '<!doctype html><html><head><title>Checking your browser</title></head></html>';

export const json = (status, value) => ({ status, body: JSON.stringify(value) });
export const oauthError = (status, error, text) =>
    json(status, { error, error_description: text ?? `mock: ${error}` });
export const apiError = (status, code, message) =>
    json(status, {
        error: { code, message, param: null, type: 'invalid_request_error' },
        request_id: '00000000-1111-2222-3333-444444444444',
    });
export const page = (status = 200) => ({ status, body: WAF_PAGE });
export const HANG = { hang: true }; // for the service: no answer at all

// What a poll may be answered. Each is also a name for polls().
export const pollAnswers = {
    pending: () => oauthError(400, 'authorization_pending'),
    slow_down: () => oauthError(429, 'slow_down'),
    slow_down_400: () => oauthError(400, 'slow_down'),
    denied: () => oauthError(400, 'access_denied'),
    expired: () => oauthError(400, 'expired_token'),
    unauthorized: () => oauthError(401, 'invalid_client'),
    html: () => page(),
    500: () => ({ status: 500, body: '' }),
    hang: () => HANG,
};

// An answer of chat as the request wants it: JSON or a stream, which reports usage when asked.
export function completion(text, { stream, stream_options: options }) {
    const usage = { prompt_tokens: 5, completion_tokens: 7, total_tokens: 12 };
    if (!stream) {
        const message = { role: 'assistant', content: text };
        return json(200, {
            ...chunkOf({}),
            object: 'chat.completion',
            choices: [{ index: 0, message, finish_reason: 'stop' }],
            usage,
        });
    }
    const events = [
        chunkOf({ role: 'assistant', content: '' }),
        ...text.match(/\S+\s*/g).map((word) => chunkOf({ content: word })),
        chunkOf({}, 'stop'),
    ];
    if (options?.include_usage) {
        events.push({ ...chunkOf({}), choices: [], usage });
    }
    return { body: streamOf(...events, '[DONE]') };
}
