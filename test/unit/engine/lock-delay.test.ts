/**
 * Goal: after an abnormal loss the lost place stays empty for the lock delay, and only that place.
 * Method: holds lost in every way on locks with a delay of ten seconds.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs', { lockDelayMs: 10_000 });
  world.pool('slots', { lockDelayMs: 10_000, permits: 2 });
  world.lock('migrations', { lockDelayMs: 10_000 });
  return { world, alice: world.session('alice'), bob: world.session('bob'), carol: world.session('carol') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('an expired hold keeps its place empty for the delay', () => {
    const { world, alice, bob } = setup();
    alice.tries(lockId, { ttlMs: 15_000 });
    const next = bob.waits(lockId);
    world.passes(15_000);
    expect(world.holders(lockId)).toEqual([]);
    expect(world.inspect(lockId).lockDelayRemainingMs).toBe(10_000);
    expect(alice.tries(lockId).code).toBe('LOCK_HELD');
    world.passes(9_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
    expect(world.count('lockDelay')).toBe(1);
  });

  test('a forced release and a longest life have a delay too', () => {
    const { world, alice, bob } = setup();
    alice.tries(lockId);
    bob.forces(lockId);
    expect(bob.tries(lockId).code).toBe('LOCK_HELD');
    world.passes(10_000);
    bob.tries(lockId, { maxHoldMs: 2_000 });
    world.passes(2_000);
    expect(alice.tries(lockId).code).toBe('LOCK_HELD');
  });

  test('a release, a goodbye and a disowned grant have none', () => {
    const { alice, bob, carol } = setup();
    alice.releases(alice.tries(lockId));
    alice.releases(alice.tries(lockId), { disowned: true });
    bob.tries(lockId);
    bob.closes('goodbye');
    expect(carol.tries(lockId).isGranted).toBe(true);
  });

  test('an orphan that is released early has one', () => {
    const { world, alice, bob } = setup();
    alice.tries(lockId);
    alice.closes('orphaned');
    expect(world.holders(lockId)).toEqual([]);
    expect(bob.tries(lockId).code).toBe('LOCK_HELD');
  });

  test('the lost holder itself waits as everybody does', () => {
    const { world, alice } = setup();
    alice.tries(lockId);
    world.passes(15_000);
    const again = alice.waits(lockId);
    expect(again.isWaiting).toBe(true);
    world.passes(10_000);
    expect(again.isGranted).toBe(true);
  });
});

test('only the lost permit is kept', () => {
  const { world, alice, bob, carol } = setup();
  alice.tries('slots/s', { ttlMs: 5_000 });
  world.passes(5_000);
  expect(bob.tries('slots/s').isGranted).toBe(true);
  expect(carol.tries('slots/s').code).toBe('LOCK_HELD');
});

test('after a lost reader other readers may enter, a writer may not', () => {
  const { world, alice, bob, carol } = setup();
  alice.tries('jobs/a', { mode: 'shared', ttlMs: 5_000 });
  world.passes(5_000);
  expect(bob.tries('jobs/a').code).toBe('LOCK_HELD');
  expect(carol.tries('jobs/a', { mode: 'shared' }).isGranted).toBe(true);
});

test('a pending delay is written with the end, and starts anew with a new owner', () => {
  const { world, alice, bob } = setup();
  alice.tries('migrations', { ttlMs: 15_000 });
  world.passes(15_000);
  expect(world.lease('migrations')).toMatchObject({ holders: [], lockDelayMs: 10_000 });
  world.passes(9_000);
  world.crashes();
  bob.connects();
  const next = bob.waits('migrations');
  world.passes(9_999);
  expect(next.isWaiting).toBe(true);
  world.passes(1);
  expect(next.isGranted).toBe(true);
  expect(world.lease('migrations').lockDelayMs).toBe(0);
});

test('a grant that was never told leaves no delay', () => {
  const { world, alice, bob } = setup();
  world.writesWait = true;
  const asked = alice.tries('migrations');
  bob.forces('migrations');
  expect(asked.code).toBe('NOT_HELD');
  const next = bob.waits('migrations');
  world.write('migrations').lands();
  world.write('migrations').lands();
  expect(next.isGranted).toBe(true);
});
