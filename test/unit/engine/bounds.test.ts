/**
 * Goal: nothing grows without a bound, and each bound is a coded refusal that names it.
 * Method: requests up to each bound and one beyond.
 */
import { expect, test } from '@jest/globals';
import { LIMITS } from '../../../src/api/limits.ts';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness({ tokenBlock: 1_000_000 });
  world.pool('jobs', { maxWaiters: 3 });
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

test('a queue takes as many waiters as its policy says', () => {
  const { alice, bob } = setup();
  alice.tries('jobs/a');
  for (let index = 0; index < 3; index++) bob.waits('jobs/a', { ownerId: `owner-${index}` });
  const beyond = bob.waits('jobs/a');
  expect(beyond.code).toBe('QUEUE_FULL');
  expect(beyond.details).toMatchObject({ what: 'waiters of this lock', limit: 3, retryAfterMs: 1_000 });
});

test('a pool without waiters refuses every wait', () => {
  const { world, alice, bob } = setup();
  world.pool('jobs', { maxWaiters: 0 });
  alice.tries('jobs/a');
  expect(bob.waits('jobs/a').code).toBe('QUEUE_FULL');
});

test('a time to live has the maximum of its policy', () => {
  const { world, alice } = setup();
  world.pool('jobs', { maxLeaseDurationMs: 30_000 });
  expect(alice.tries('jobs/a', { ttlMs: 30_000 }).isGranted).toBe(true);
  expect(alice.tries('jobs/b', { ttlMs: 30_001 }).details).toMatchObject({ field: 'ttlMs' });
});

test('a durable lock has at most 256 holders; a try-lock is told, a waiter waits', () => {
  const { world, alice, bob } = setup();
  const held = Array.from({ length: LIMITS.durableHoldersMax }, (_, index) =>
    alice.tries('migrations', { mode: 'shared', ownerId: `reader-${index}` }),
  );
  expect(held.every((ask) => ask.isGranted)).toBe(true);
  const beyond = bob.tries('migrations', { mode: 'shared' });
  expect(beyond.code).toBe('QUEUE_FULL');
  expect(beyond.details).toMatchObject({ limit: 256 });
  const waiting = bob.waits('migrations', { mode: 'shared' });
  expect(waiting.isWaiting).toBe(true);
  alice.releases(held[100]!);
  expect(waiting.isGranted).toBe(true);
  expect(world.lease('migrations').holders.length).toBe(256);
});

test('a request that waits can be repeated eight times at most', () => {
  const { alice, bob } = setup();
  alice.tries('jobs/a');
  for (let repetition = 0; repetition < 8; repetition++) bob.waits('jobs/a', { requestId: 'r' });
  const beyond = bob.waits('jobs/a', { requestId: 'r' });
  expect(beyond.details).toMatchObject({ what: 'repeated requests', limit: 8 });
});

test('so can one that waits for its write, and a re-entry that waits for its record', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  const asks = Array.from({ length: 9 }, () => alice.tries('migrations', { requestId: 'r' }));
  expect(asks[8]!.code).toBe('QUEUE_FULL');
  world.write('migrations').lands();
  expect(asks.slice(0, 8).every((ask) => ask.depth === 1)).toBe(true);
  const inner = Array.from({ length: 9 }, () => alice.tries('migrations', { requestId: 'inner', ttlMs: 60_000 }));
  expect(inner[8]!.code).toBe('QUEUE_FULL');
  world.write('migrations').lands();
  expect(inner.slice(0, 8).every((ask) => ask.depth === 2)).toBe(true);
});

test('a long hold does not collect the ids of its inner sections', () => {
  const { world, alice } = setup();
  alice.tries('jobs/a', { requestId: 'outer', ttlMs: 60_000 });
  for (let section = 0; section < 200; section++)
    alice.releases(alice.tries('jobs/a', { requestId: `section-${section}`, ttlMs: 60_000 }));
  world.apply({ kind: 'freeze' });
  const [lock] = world.engine.exportSnapshot(world.nowMs).locks.filter(({ key }) => key === 'ns/jobs/a');
  expect(lock?.holds[0]).toMatchObject({ depth: 1, requestIds: ['outer'], requestDepths: [1] });
});

test('a ref that still waits cannot be used again: the first request would be out of reach', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a');
  const first = bob.waits('jobs/a');
  const acquire = { op: 'acquire', ownerId: 'other', mode: 'exclusive', timeoutMs: -1, key: 'ns/jobs/a' } as const;
  const { id: sessionId, connection } = bob;
  const operation = { ...acquire, ref: first.ref };
  world.apply({ kind: 'operation', sessionId, connection, frame: 9, operation });
  expect(first.replies.at(-1)).toMatchObject({ kind: 'error', code: 'INVALID_ARGUMENT', details: { field: 'ref' } });
  expect(world.engine.waiterCount).toBe(1);
  bob.closes('lost');
  expect(world.engine.waiterCount).toBe(0);
  expect(alice.releases(held).depth).toBe(0);
});

test('an inspection names a hundred holders and waiters, and counts them all', () => {
  const { world, alice, bob } = setup();
  world.pool('jobs', { maxWaiters: 1_000 });
  for (let index = 0; index < 150; index++) alice.tries('jobs/a', { mode: 'shared', ownerId: `reader-${index}` });
  for (let index = 0; index < 120; index++) bob.waits('jobs/a', { ownerId: `writer-${index}` });
  const inspection = world.inspect('jobs/a');
  expect([inspection.holders.length, inspection.holderCount]).toEqual([100, 150]);
  expect([inspection.waiters.length, inspection.waiterCount]).toEqual([100, 120]);
  expect(inspection.waiters[99]?.ownerId).toBe('writer-99');
});

test('what left leaves nothing behind', () => {
  const { world, alice, bob } = setup();
  for (let index = 0; index < 150; index++) {
    const held = alice.tries(`jobs/${index}`, { requestId: `r${index}` });
    const waiting = bob.waits(`jobs/${index}`, { requestId: `w${index}`, timeoutMs: 1_000 });
    if (index % 3 === 0) alice.releases(held);
    else if (index % 3 === 1) bob.cancels(waiting);
  }
  world.passes(600_000);
  alice.closes('lost');
  bob.closes('lost');
  expect([world.engine.holdCount, world.engine.waiterCount, world.engine.sessionCount]).toEqual([0, 0, 0]);
  expect(world.engine.listKeys('ns/jobs', '', 10)).toEqual([]);
});
