/**
 * Goal: a try-lock is answered with what is so now. It waits for no holder and no waiter; only for a write of the shard's record.
 * Method: try-locks on held, queued and free locks, and on a shard whose record is still being written.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.pool('ranked', { fairness: 'Priority' });
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob'), carol: world.session('carol') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('says who holds, since when, and how many wait', () => {
    const { world, alice, bob, carol } = setup();
    alice.tries(lockId);
    world.passes(4_000);
    bob.waits(lockId);
    const tried = carol.tries(lockId);
    expect(tried.code).toBe('LOCK_HELD');
    expect(tried.details).toEqual({
      namespace: 'ns',
      lockId,
      holders: [{ ownerId: 'alice', mode: 'exclusive', heldForMs: 4_000 }],
      holderCount: 1,
      waiterCount: 1,
    });
  });

  test('does not barge past a waiter', () => {
    const { alice, bob, carol } = setup();
    const held = alice.tries(lockId, { mode: 'shared' });
    bob.waits(lockId);
    expect(carol.tries(lockId, { mode: 'shared' }).code).toBe('LOCK_HELD');
    alice.releases(held);
    expect(carol.tries(lockId).code).toBe('LOCK_HELD');
  });

  test('leaves no waiter behind', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId);
    bob.tries(lockId);
    alice.releases(held);
    expect(world.holders(lockId)).toEqual([]);
    expect(world.engine.waiterCount).toBe(0);
  });
});

describe('while the first record of a shard is being written', () => {
  test('it waits for the record, unheard of, and is granted with it', () => {
    const { world, alice } = setup();
    world.writesWait = true;
    const tried = alice.tries('jobs/a');
    expect(tried.replies).toEqual([]);
    world.write(undefined).lands();
    expect(tried.isGranted).toBe(true);
    expect(world.count('parkedForRecord')).toBe(1);
  });

  test('it is refused if the store refuses the record', () => {
    const { world, alice } = setup();
    world.writesWait = true;
    const tried = alice.tries('jobs/a');
    world.write(undefined).isRefused();
    expect(tried.code).toBe('UNAVAILABLE');
    expect(tried.details).toMatchObject({ reason: 'storeRefused' });
    expect(world.engine.waiterCount).toBe(0);
  });

  test('it is refused if the outcome is unknown', () => {
    const { world, alice } = setup();
    world.writesWait = true;
    const tried = alice.tries('jobs/a');
    world.write(undefined).isUnknown();
    expect(tried.code).toBe('UNAVAILABLE');
  });

  test('it is refused as soon as somebody on record is granted before it', () => {
    const { world, alice, bob } = setup();
    bob.releases(bob.tries('ranked/a'));
    world.writesWait = true;
    const tried = alice.tries('ranked/a', { priority: 0 });
    expect(tried.isWaiting).toBe(true);
    const ranked = bob.waits('ranked/a', { priority: 9 });
    expect(ranked.isGranted).toBe(true);
    expect(tried.code).toBe('LOCK_HELD');
  });

  test('of two that wait for it one is granted and the other refused', () => {
    const { world, alice, bob } = setup();
    world.writesWait = true;
    const first = alice.tries('jobs/a');
    const second = bob.tries('jobs/a');
    world.write(undefined).lands();
    if (world.writes.length > 0) world.write(undefined).lands();
    expect(first.isGranted).toBe(true);
    expect(second.code).toBe('LOCK_HELD');
  });

  test('a refused one does not leave those behind it waiting', () => {
    const { world, alice, bob } = setup();
    bob.releases(bob.tries('jobs/b'));
    world.writesWait = true;
    const tried = alice.tries('jobs/a');
    const waiting = bob.waits('jobs/a');
    expect(waiting.isWaiting).toBe(true);
    world.write(undefined).isRefused();
    expect(tried.code).toBe('UNAVAILABLE');
    expect(waiting.isGranted).toBe(true);
  });

  test('a pool without waiters takes it all the same', () => {
    const { world, alice } = setup();
    world.pool('jobs', { maxWaiters: 0 });
    world.writesWait = true;
    const tried = alice.tries('jobs/a');
    expect(tried.isWaiting).toBe(true);
    world.write(undefined).lands();
    expect(tried.isGranted).toBe(true);
  });
});
