/**
 * Goal: one ownership has one token whatever its depth, ends with its last depth, and is joined only by its own owner.
 * Method: nested acquires and releases of one owner on locks that are, and that are not, re-entrant.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup(reentrant: boolean) {
  const world = new EngineHarness();
  world.pool('jobs', { reentrant });
  world.lock('migrations', { reentrant });
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('re-entrant, %s', (_kind, lockId) => {
  test('the same owner joins with the same token, one deeper', () => {
    const { alice } = setup(true);
    const outer = alice.tries(lockId);
    const inner = alice.tries(lockId);
    expect(inner.hold).toMatchObject({ token: outer.token, depth: 2 });
  });

  test('the lock is free only after as many releases as acquires', () => {
    const { alice, bob } = setup(true);
    const outer = alice.tries(lockId);
    const inner = alice.tries(lockId);
    expect(alice.releases(inner).depth).toBe(1);
    expect(bob.tries(lockId).code).toBe('LOCK_HELD');
    expect(alice.releases(outer).depth).toBe(0);
    expect(bob.tries(lockId).isGranted).toBe(true);
  });

  test('joins although others wait', () => {
    const { alice, bob } = setup(true);
    alice.tries(lockId);
    bob.waits(lockId);
    expect(alice.tries(lockId).depth).toBe(2);
  });

  test('extends the hold to the time the inner request asks for', () => {
    const { world, alice } = setup(true);
    alice.tries(lockId, { ttlMs: 15_000 });
    world.passes(10_000);
    expect(alice.tries(lockId, { ttlMs: 15_000 }).hold.remainingMs).toBe(15_000);
    world.passes(14_999);
    expect(world.holders(lockId)).toEqual(['alice']);
  });

  test('never shortens the hold', () => {
    const { world, alice } = setup(true);
    alice.tries(lockId, { ttlMs: 30_000 });
    expect(alice.tries(lockId, { ttlMs: 2_000 }).hold.remainingMs).toBe(30_000);
    world.passes(29_999);
    expect(world.holders(lockId)).toEqual(['alice']);
  });

  test('from another session of the pod the hold follows, and counts its time from the frames of that session', () => {
    const { world, alice } = setup(true);
    const outer = alice.tries(lockId);
    for (let frame = 0; frame < 7; frame++) alice.isHeard();
    const sibling = world.session('sibling', { principal: alice.principal });
    const inner = sibling.tries(lockId, { ownerId: 'alice' });
    expect(inner.hold).toMatchObject({ token: outer.token, depth: 2, seen: 1 });
    alice.closes('goodbye');
    expect(world.holders(lockId)).toEqual(['alice']);
    sibling.closes('goodbye');
    expect(world.holders(lockId)).toEqual([]);
  });
});

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('not re-entrant, %s', (_kind, lockId) => {
  test('the owner stands in line behind itself', () => {
    const { alice } = setup(false);
    const first = alice.tries(lockId);
    expect(alice.tries(lockId).code).toBe('LOCK_HELD');
    const second = alice.waits(lockId);
    expect(second.isWaiting).toBe(true);
    alice.releases(first);
    expect(second.hold.depth).toBe(1);
    expect(second.token).toBeGreaterThan(first.token);
  });

  test('waiting for itself is no deadlock: another flow of it will give the lock back', () => {
    const { world, alice } = setup(false);
    alice.tries(lockId);
    alice.waits(lockId);
    expect(world.eventsOf('deadlock')).toEqual([]);
  });

  test('one owner may read twice, each time with its own token', () => {
    const { world, alice } = setup(false);
    const first = alice.tries(lockId, { mode: 'shared' });
    const second = alice.tries(lockId, { mode: 'shared' });
    expect(second.token).toBeGreaterThan(first.token);
    alice.releases(first);
    expect(world.inspect(lockId).holders.map((holder) => holder.token)).toEqual([second.token]);
  });
});

test('an owner with many holds is still known by another after one ended', () => {
  const { world, alice } = setup(false);
  const held = Array.from({ length: 12 }, () => alice.tries('jobs/a', { mode: 'shared' }));
  alice.releases(held[11]!);
  world.pool('jobs', { reentrant: true });
  expect(alice.tries('jobs/a', { mode: 'shared' }).hold).toMatchObject({ depth: 2 });
  expect(alice.tries('jobs/a').code).toBe('DEADLOCK');
});

test('a depth has a bound', () => {
  const { alice } = setup(true);
  for (let depth = 1; depth <= 10_000; depth++) alice.tries('jobs/a');
  const beyond = alice.tries('jobs/a');
  expect(beyond.code).toBe('QUEUE_FULL');
  expect(beyond.details).toMatchObject({ limit: 10_000 });
});
