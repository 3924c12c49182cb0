// One call of the admin API. The session is a cookie that no script can read; the header X-Gate-UI
// and the JSON content type are what a page of another origin cannot send along with it.
import { signal } from '@preact/signals';
import type { ErrorBody } from './types';

const base = new URL('../admin/api', location.href).pathname;

// The session is over, or was revoked: nothing more can be asked for.
export const sessionOver = signal(false);

export class ApiError extends Error {
    constructor(
        readonly status: number, // 0: no answer at all
        readonly code: string,
        message: string,
        readonly param: string | null = null,
        readonly body: object = {}, // the whole answer: some errors say more
    ) {
        super(message);
    }
}

// A test wants to be told which model to ask for.
export const isModelWanted = (error: unknown) => error instanceof ApiError && error.param === 'model';

async function failure(answer: Response): Promise<ApiError> {
    let body: { error?: Partial<ErrorBody> } = {};
    try {
        body = (await answer.json()) as { error?: ErrorBody };
    } catch {
        // A proxy in between may answer with its own page.
    }
    const error = body.error ?? {};
    const message = error.message ?? `${answer.status} ${answer.statusText}`;
    return new ApiError(answer.status, error.code ?? '', message, error.param ?? null, body);
}

function prepare(method: string, body: unknown, signal?: AbortSignal): RequestInit {
    const headers: Record<string, string> = { 'X-Gate-UI': '1' };
    if (method !== 'GET') {
        headers['Content-Type'] = 'application/json';
    }
    const text = body === undefined ? undefined : JSON.stringify(body);
    return { method, headers, body: text, signal, credentials: 'same-origin', cache: 'no-store' };
}

export async function call<T>(
    method: string,
    path: string,
    body?: unknown,
    signal?: AbortSignal,
): Promise<T> {
    let answer: Response;
    try {
        answer = await fetch(base + path, prepare(method, body, signal));
    } catch (error) {
        if (signal?.aborted) {
            throw error;
        }
        throw new ApiError(0, 'unreachable', 'The gateway does not answer.');
    }
    if (!answer.ok) {
        const error = await failure(answer);
        if (error.status === 401) {
            sessionOver.value = true;
        }
        throw error;
    }
    return (await answer.json()) as T;
}

export const get = <T>(path: string, signal?: AbortSignal) => call<T>('GET', path, undefined, signal);

export const eventsAddress = `${base}/events`;

// "?a=b&c=d" of what is given; '' if nothing is.
export function query(params: Record<string, string | number | undefined>): string {
    const given = Object.entries(params).filter(([, value]) => value !== undefined && value !== '');
    const text = new URLSearchParams(given.map(([name, value]) => [name, String(value)])).toString();
    return text ? `?${text}` : '';
}
