// Short runs of the three long tests (./dev chaos, ./dev crash, ./dev publish): failing accounts under
// load, a gateway that is killed under load, scripts that are published under load.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chaos } from '../chaos/chaos.mjs';
import { crash } from '../chaos/crash.mjs';
import { publish } from '../chaos/publish.mjs';
import { sanitized } from './helper.mjs';

const seed = Number(process.env.GATE_TEST_SEED ?? Date.now() % 1000000);
const show = (result) => `GATE_TEST_SEED=${seed}\n${JSON.stringify(result, null, 1)}`;

test('accounts that fail in every way: only honest failures reach the client', async (t) => {
    const result = await chaos({
        seconds: sanitized ? 10 : 6, accounts: 12, clients: sanitized ? 8 : 24, seed,
    });
    const { requests, ok, begun, allDown, wrong, broken, unexplained } = result;
    t.diagnostic(`seed ${seed}: ${requests} requests, ${ok} answered, ${begun} broken off after ` +
        `output had begun, ${allDown} with every account down`);
    assert.deepEqual({ wrong, broken, unexplained }, { wrong: 0, broken: 0, unexplained: 0 },
        show(result));
    assert.equal(ok + begun + allDown, requests, show(result));
    assert.ok(ok > 100, `hardly anything was answered: ${show(result)}`);
    assert.ok(Object.keys(result.byKind).length > 0, `nothing failed: ${show(result)}`);
});

test('kill -9 under load: no account, no credential and no count before the last second is lost',
    async (t) => {
        const rounds = sanitized ? 3 : 5;
        const result = await crash({ rounds, seed });
        t.diagnostic(`seed ${seed}: ${JSON.stringify(result)}`);
        assert.deepEqual(result.problems, [], show(result));
        assert.equal(result.kills, rounds);
        assert.ok(result.requests > 0 && result.added > 0, `nothing was going on: ${show(result)}`);
    });

test('scripts published under load: every answer is of exactly one generation', async (t) => {
    const result = await publish({
        publishes: sanitized ? 30 : 80, seconds: sanitized ? 6 : 8, clients: sanitized ? 6 : 16,
    });
    const { publishes, requests, mixed, failed, stale, problems } = result;
    t.diagnostic(JSON.stringify(result));
    assert.deepEqual({ mixed, failed, stale }, { mixed: 0, failed: 0, stale: 0 },
        problems.join('\n'));
    assert.deepEqual(problems, []);
    assert.equal(publishes, sanitized ? 30 : 80);
    assert.ok(requests > 10 * publishes, `hardly anything was asked: ${requests}`);
});
