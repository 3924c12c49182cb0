// Which account of a provider is asked: the strategies of accounts.lua.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refusals } from '../upstream/scenarios.mjs';
import { withPool } from './accounts.mjs';
import { slow, until } from './helper.mjs';

const strategy = (name, more = '') => `return { strategy = "${name}", ${more} }`;
const tally = (names) => {
    const counts = {};
    for (const name of names) {
        counts[name] = (counts[name] ?? 0) + 1;
    }
    return counts;
};

test('round_robin: each in turn, by default and by name', async () => {
    for (const policy of ['return {}', strategy('round_robin')]) {
        await withPool({ accounts: ['a', 'b', 'c'], policy }, async (pool) => {
            assert.equal((await pool.sequence(9)).join(''), 'abcabcabc');
        });
    }
});

test('round_robin: what one account cannot take is spread over the others', () =>
    withPool({ accounts: ['a', 'b', 'c'] }, async (pool) => {
        pool.upstream.always('b', refusals['server-error']);
        const names = await pool.sequence(30);
        assert.equal(pool.upstream.count('b'), 1);
        const { a, c } = tally(names);
        assert.ok(Math.abs(a - c) <= 2, names.join(''));
    }));

test('weighted: in each round exactly the shares, and not in blocks', () =>
    withPool(
        {
            accounts: [{ alias: 'a', weight: 5 }, 'b', { alias: 'c', weight: 2 }],
            policy: strategy('weighted', 'accounts = { b = { weight = 3 } }'),
        },
        async (pool) => {
            for (let round = 0; round < 4; round++) {
                const names = await pool.sequence(10);
                assert.deepEqual(tally(names), { a: 5, b: 3, c: 2 }, names.join(''));
                assert.doesNotMatch(names.join(''), /aaa|bbb|cc/);
            }
        },
    ));

test('a weight of 0: never, not even when all others fail', async () => {
    for (const name of ['round_robin', 'weighted', 'sticky', 'least_used']) {
        const policy = strategy(name, 'accounts = { ["pool/b"] = { weight = 0 } }');
        await withPool({ policy }, async (pool) => {
            assert.equal((await pool.sequence(4)).join(''), 'aaaa');
            pool.upstream.always('a', refusals['server-error']);
            assert.match(await pool.ask(), /^50\d accounts_failed$/);
            assert.equal(pool.upstream.count('b'), 0);
        });
    }
});

test('least_used: who has fewest requests of the day catches up', () =>
    withPool({ accounts: ['a', 'b', 'c'], policy: strategy('least_used') }, async (pool) => {
        assert.deepEqual(tally(await pool.sequence(6)), { a: 2, b: 2, c: 2 });
        pool.upstream.next('b', refusals['server-error']);
        const names = [];
        pool.clock.at(0);
        while (pool.upstream.count('b') < 3) {
            names.push(await pool.ask());
        }
        names.push(...(await pool.sequence(6)));
        assert.equal(tally(names).b, undefined);
        pool.clock.at(2000);
        names.push(...(await pool.sequence(tally(names).a - 1)));
        assert.ok(names.slice(-2).every((name) => name === 'b'), names.join(''));
    }));

test('least_inflight: who has fewest running requests', () =>
    withPool({ accounts: ['a', 'b', 'c'], policy: strategy('least_inflight') }, async (pool) => {
        const held = ['a', 'b', 'c'].map((name) => pool.upstream.hold(name));
        const answers = [];
        for (let i = 0; i < 3; i++) {
            answers.push(pool.ask());
            await until(() => pool.upstream.asked.length === i + 1);
        }
        assert.deepEqual([...pool.upstream.asked].sort(), ['a', 'b', 'c']);
        held[1].release();
        assert.equal(await Promise.any(answers), 'b');
        assert.equal((await pool.sequence(5)).join(''), 'bbbbb');
        held[0].release();
        held[2].release();
        await Promise.all(answers);
    }));

test('fastest: who answered soonest of late, and now and then another to measure it', () =>
    withPool({ accounts: ['a', 'b', 'c'], policy: strategy('fastest') }, async (pool) => {
        const body = '{"choices":[{"message":{"content":"late"}}]}';
        pool.upstream.always('a', { delay: 30 * slow, body });
        pool.upstream.always('c', { delay: 30 * slow, body });
        await pool.sequence(3); // each is measured once
        assert.deepEqual([...pool.upstream.asked].sort(), ['a', 'b', 'c']);
        pool.upstream.forget();
        await pool.sequence(126);
        const { b } = tally(pool.upstream.asked);
        assert.ok(b >= 124, `b was asked ${b} times of 126`);
    }));

test('reset_first: what has a daily quota is spent before what keeps', () =>
    withPool(
        {
            accounts: [
                'a',
                { alias: 'b', limits: { chat: { rpd: 3 } } },
                { alias: 'c', limits: { chat: { rpd: 2 } } },
            ],
            policy: strategy('reset_first'),
        },
        async (pool) => {
            const names = await pool.sequence(8);
            assert.deepEqual(tally(names.slice(0, 5)), { b: 3, c: 2 });
            assert.deepEqual(tally(names.slice(5)), { a: 3 });
        },
    ));

const conversation = (i, turns) => ({
    messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: `Question ${i}` },
        ...Array.from({ length: turns }, (_, turn) => ({
            role: turn % 2 ? 'user' : 'assistant',
            content: `Turn ${turn}`,
        })),
    ],
});

test('sticky: a conversation stays, many are spread, and a failure moves only its own', () =>
    withPool(
        { accounts: ['a', 'b', 'c', 'd', 'e'], policy: strategy('sticky') },
        async (pool) => {
            const COUNT = 60;
            const homes = [];
            pool.clock.at(0);
            for (let i = 0; i < COUNT; i++) {
                homes.push(await pool.ask(conversation(i, 0)));
            }
            const shares = tally(homes);
            assert.equal(Object.keys(shares).length, 5, JSON.stringify(shares));
            assert.ok(Math.max(...Object.values(shares)) <= COUNT / 2, JSON.stringify(shares));
            for (let i = 0; i < COUNT; i += 3) {
                assert.equal(await pool.ask(conversation(i, 1)), homes[i]);
                assert.equal(await pool.ask(conversation(i, 6)), homes[i]);
            }

            pool.upstream.next('c', refusals['server-error']);
            const moved = new Map();
            const asked = pool.upstream.count('c');
            for (let i = 0; i < COUNT; i++) {
                const name = await pool.ask(conversation(i, 1));
                assert.notEqual(name, 'c');
                if (homes[i] === 'c') {
                    moved.set(i, name);
                } else {
                    assert.equal(name, homes[i]);
                }
            }
            assert.equal(moved.size, shares.c);
            assert.equal(pool.upstream.count('c') - asked, 1, 'only one request met the failure');
            assert.ok(new Set(moved.values()).size > 1, 'one account does not get all of them');
            for (const [i, name] of moved) {
                assert.equal(await pool.ask(conversation(i, 2)), name, 'it stays where it went');
            }

            pool.clock.at(3000);
            for (let i = 0; i < COUNT; i++) {
                assert.equal(await pool.ask(conversation(i, 3)), homes[i], 'and comes back');
            }
        },
    ));
