// Certificates for TLS tests, made by openssl when they are needed. Keys never leave the directory
// that the caller gives (and removes).
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

function openssl(dir, args) {
    execFileSync('openssl', args, { cwd: dir, stdio: ['ignore', 'ignore', 'pipe'] });
}

const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'];

// An authority. Returns { dir, cert: path of its certificate }.
export function makeAuthority(dir) {
    openssl(dir, [
        'req',
        '-x509',
        ...newKey,
        '-keyout',
        'ca.key',
        '-out',
        'ca.pem',
        '-days',
        '2',
        '-subj',
        '/CN=test authority',
        '-addext',
        'keyUsage=critical,keyCertSign',
    ]);
    return { dir, cert: join(dir, 'ca.pem') };
}

// A server certificate. names: ["DNS:localhost", "IP:127.0.0.1"]. Without an authority it signs
// itself; days < 0 makes one that has expired. Returns { key, cert } as PEM for tls.createServer.
export function makeCertificate(dir, name, names, { authority, expired = false } = {}) {
    const key = `${name}.key`;
    const cert = `${name}.pem`;
    const extension = `subjectAltName=${names.join(',')}`;
    if (!authority) {
        openssl(dir, [
            'req',
            '-x509',
            ...newKey,
            '-keyout',
            key,
            '-out',
            cert,
            '-days',
            '2',
            '-subj',
            '/CN=test server',
            '-addext',
            extension,
        ]);
    } else {
        writeFileSync(join(dir, `${name}.ext`), `${extension}\n`);
        openssl(dir, [
            'req',
            ...newKey,
            '-keyout',
            key,
            '-out',
            `${name}.csr`,
            '-subj',
            '/CN=test server',
        ]);
        const sign = [
            'x509',
            '-req',
            '-in',
            `${name}.csr`,
            '-CA',
            authority.cert,
            '-CAkey',
            join(authority.dir, 'ca.key'),
            '-CAcreateserial',
            '-out',
            cert,
            '-extfile',
            `${name}.ext`,
        ];
        openssl(dir, [...sign, '-days', expired ? '-1' : '2']);
    }
    return { key: readFileSync(join(dir, key)), cert: readFileSync(join(dir, cert)) };
}
