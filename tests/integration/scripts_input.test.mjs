// What is wrong with what is sent to /admin/api/scripts, and who may send it.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { API_KEY, assertError } from './helper.mjs';
import { ScriptsRig, saying, withRig } from './scripts_rig.mjs';

const one = { files: { 'routing.lua': saying('one') } };

let rig;
before(async () => {
    rig = await ScriptsRig.start(one);
});
after(() => rig.stop());

const draft = { 'routing.lua': 'return nil' };
const bytes = (...parts) => Buffer.concat(parts.map((part) => Buffer.from(part)));
const wrong = [
    ['/publish', '', 'invalid_body'],
    ['/publish', 'nonsense', 'invalid_body'],
    ['/publish', '[]', 'invalid_body'],
    ['/publish', '{"files":{"routing.lua":"a","routing.lua":"b"}}', 'invalid_body'],
    ['/publish', '{"files":{"routing.lua":"return nil\\u0000"}}', 'invalid_body'],
    [
        '/publish',
        bytes('{"files":{"routing.lua":"-- ', [0xff, 0xfe], '"}}'),
        'invalid_body',
        /UTF-8/,
    ],
    ['/publish', {}, 'missing_parameter', /files/],
    ['/publish', { files: 7 }, 'invalid_type', /files/],
    ['/publish', { files: [] }, 'invalid_type', /files/],
    ['/publish', { files: null }, 'invalid_type', /files/],
    ['/publish', { files: { 'routing.lua': 7 } }, 'invalid_type', /routing\.lua/],
    ['/publish', { files: { 'routing.lua': {} } }, 'invalid_type', /routing\.lua/],
    ['/publish', { files: { 'route.lua': 'x' } }, 'invalid_value', /routing\.lua/],
    ['/publish', { files: { 'tests/../routing.lua': 'x' } }, 'invalid_value', /tests\//],
    ['/publish', { files: { 'tests/A.lua': 'x' } }, 'invalid_value', /tests\//],
    ['/publish', { files: { '/etc/passwd': 'x' } }, 'invalid_value', /tests\//],
    ['/publish', { files: { [`tests/${'x'.repeat(60)}.lua`]: 'x' } }, 'invalid_value', /64/],
    ['/publish', { files: { 'models.lua': ' '.repeat(1 << 20) } }, 'invalid_value', /1048576/],
    [
        '/publish',
        { files: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`tests/${i}.lua`, ''])) },
        'invalid_value',
        /64 files/,
    ],
    ['/publish', { files: draft, base: '1' }, 'invalid_value', /base/],
    ['/publish', { files: draft, base: 0 }, 'invalid_value', /base/],
    ['/publish', { files: draft, base: 1.5 }, 'invalid_value', /base/],
    ['/publish', { files: draft, base: null }, 'invalid_value', /base/],
    ['/publish', { files: draft, complete: 'yes' }, 'invalid_type', /complete/],
    ['/publish', { files: draft, over_disk: 1 }, 'invalid_type', /over_disk/],
    ['/publish', { files: draft, note: 7 }, 'invalid_value', /note/],
    ['/publish', { files: draft, note: 'x'.repeat(501) }, 'invalid_value', /500/],
    ['/publish', { files: draft, author: 'x'.repeat(65) }, 'invalid_value', /64/],
    ['/publish', { files: draft, noet: 'x' }, 'unknown_key', /noet/],
    ['/check', { files: 7 }, 'invalid_type', /files/],
    ['/check', { file: draft }, 'unknown_key', /"file"/],
    ['/check', { files: draft, complete: 1 }, 'invalid_type', /complete/],
    ['/rollback', {}, 'missing_parameter', /generation/],
    ['/rollback', { generation: '1' }, 'invalid_value', /generation/],
    ['/rollback', { generation: 0 }, 'invalid_value', /generation/],
    ['/rollback', { generation: 1, files: draft }, 'unknown_key', /files/],
    ['/dry-run', { requests: 0 }, 'invalid_value', /requests/],
    ['/dry-run', { requests: 2001 }, 'invalid_value', /2000/],
    ['/dry-run', { model: 'm' }, 'unknown_key', /model/],
    ['/route', {}, 'missing_parameter', /model/],
    ['/route', { model: 7 }, 'invalid_value', /model/],
    ['/route', { model: 'm'.repeat(257) }, 'invalid_value', /256/],
    ['/route', { model: 'm', stream: 'yes' }, 'invalid_type', /stream/],
    ['/route', { model: 'm', tools: -1 }, 'invalid_value', /tools/],
    ['/route', { model: 'm', prompt_tokens: 1.5 }, 'invalid_value', /prompt_tokens/],
    ['/route', { model: 'm', headers: { a: 1 } }, 'invalid_value', /headers/],
    ['/route', { model: 'm', tokens: 1 }, 'unknown_key', /tokens/],
];

test('wrong bodies are refused, and say what is expected', async () => {
    for (const [path, body, code, message] of wrong) {
        const what = `${path} ${String(JSON.stringify(body)).slice(0, 100)}`;
        assertError(await rig.call('POST', path, body), 400, { code, message }, what);
    }
    const large = `{"files":{"models.lua":"${' '.repeat(4 << 20)}"}}`;
    assertError(await rig.call('POST', '/publish', large), 413, {
        code: 'request_too_large',
    });
    assertError(await rig.call('POST', '/rollback', { generation: 99 }), 404, {
        code: 'not_found',
        message: /99/,
    });
    assert.equal(await rig.running(), 1);
});

test('wrong addresses, parameters and methods', async () => {
    for (const [path, status, code] of [
        ['?x=1', 400, 'unknown_parameter'],
        ['/history?limit=0', 400, 'invalid_value'],
        ['/history?limit=201', 400, 'invalid_value'],
        ['/history?before=x', 400, 'invalid_value'],
        ['/history?after=1', 400, 'unknown_parameter'],
        ['/history/x', 400, 'invalid_value'],
        ['/history/1/2', 400, 'invalid_value'],
        ['/history/11111111111111111', 400, 'invalid_value'],
        ['/history/99', 404, 'not_found'],
        ['/history/0', 404, 'not_found'],
        ['/history/1?x=1', 400, 'unknown_parameter'],
        ['/diff?from=x', 400, 'invalid_value'],
        ['/diff?to=99', 404, 'not_found'],
        ['/diff?of=1', 400, 'unknown_parameter'],
        ['/nothing', 404, 'not_found'],
        ['/check', 405, 'method_not_allowed'],
        ['/publish', 405, 'method_not_allowed'],
        ['/rollback', 405, 'method_not_allowed'],
        ['/dry-run', 405, 'method_not_allowed'],
        ['/route', 405, 'method_not_allowed'],
    ]) {
        assertError(await rig.call('GET', path), status, { code }, path);
    }
});

test('the key: without it, or with the clients’ where there is another, nothing is shown or done', () =>
    withRig({ ...one, env: { ADMIN_KEY: 'admin-it-5d2c7e90b1f4' } }, async (other) => {
        for (const key of [null, API_KEY]) {
            assertError(await other.call('GET', '', undefined, { key }), 401);
            const body = { files: { 'routing.lua': saying('two') } };
            assertError(await other.call('POST', '/publish', body, { key }), 401);
        }
        assert.equal(await other.running(), 1);
    }));
