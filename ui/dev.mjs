// Serves dist/ as the gateway does, with the same headers, and passes /admin/api and /v1 on to a
// gateway that runs. For work on the console only: whoever reaches this port is signed in.
//
//     GATE=http://127.0.0.1:8080 GATE_KEY=... node dev.mjs [port]
import { readFile } from 'node:fs/promises';
import http from 'node:http';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(fileURLToPath(import.meta.url));
const gate = new URL(process.env.GATE ?? 'http://127.0.0.1:8080');
const key = process.env.GATE_KEY ?? '';
const port = Number(process.argv[2] ?? 8788);

const SECURITY = {
    'Content-Security-Policy': [
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "font-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    ].join('; '),
    'Referrer-Policy': 'no-referrer',
    'X-Content-Type-Options': 'nosniff',
    'Cross-Origin-Opener-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cache-Control': 'no-store',
};

function passOn(request, response) {
    const headers = { ...request.headers, host: gate.host, authorization: `Bearer ${key}` };
    delete headers.cookie;
    const { hostname, port: to } = gate;
    const onward = http.request(
        { hostname, port: to, method: request.method, path: request.url, headers },
        (answer) => {
            response.writeHead(answer.statusCode, answer.headers);
            answer.pipe(response);
        },
    );
    onward.on('error', () => {
        if (!response.headersSent) {
            response.writeHead(502);
        }
        response.end();
    });
    response.on('close', () => onward.destroy());
    request.pipe(onward);
}

async function sendFile(name, accepts, response) {
    const { files } = JSON.parse(await readFile(path.join(root, 'dist/manifest.json'), 'utf8'));
    const file = files.find((one) => one.path === name);
    if (!file) {
        response.writeHead(404, SECURITY).end();
        return;
    }
    const isBrotli = /\bbr\b/.test(accepts ?? '');
    const body = await readFile(path.join(root, 'dist', name + (isBrotli ? '.br' : '')));
    response.writeHead(200, {
        ...SECURITY,
        'Content-Type': file.type,
        ...(isBrotli ? { 'Content-Encoding': 'br' } : {}),
    });
    response.end(body);
}

const server = http.createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    if (pathname.startsWith('/admin/api/') || pathname.startsWith('/v1/')) {
        passOn(request, response);
    } else if (pathname.startsWith('/ui/')) {
        sendFile(
            pathname.slice(4) || 'index.html',
            request.headers['accept-encoding'],
            response,
        ).catch((error) => response.writeHead(500, SECURITY).end(String(error)));
    } else {
        response.writeHead(302, { Location: '/ui/' }).end();
    }
});
server.listen(port, '127.0.0.1', () =>
    console.log(`http://127.0.0.1:${port}/ui/ -> ${gate.origin}`),
);
