/**
 * Goal: an edit changes what is granted after it; holds and waiters keep what they were promised; a deleted lock takes no new
 * acquire, and its holds live to their end.
 * Method: every field of the policy is edited under live holds and waiters; resources are deleted and made again.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob!, carol: carol! };
}

describe.each([
  ['a pool', 'jobs/a', 'pool', 'jobs'],
  ['a DistributedLock', 'migrations', 'lock', 'migrations'],
] as const)('%s', (_kind, lockId, resource, name) => {
  test('fewer permits free nobody: the lock drains', () => {
    const { world, alice, bob, carol } = setup();
    world[resource](name, { permits: 2 });
    const first = alice.tries(lockId);
    const second = bob.tries(lockId);
    world[resource](name, { permits: 1 });
    const next = carol.waits(lockId);
    expect(world.holders(lockId)).toEqual(['alice', 'bob']);
    alice.releases(first);
    expect(next.isWaiting).toBe(true);
    bob.releases(second);
    expect(next.isGranted).toBe(true);
  });

  test('more permits let waiters in at once', () => {
    const { world, alice, bob, carol } = setup();
    alice.tries(lockId);
    const waiting = [bob.waits(lockId), carol.waits(lockId)];
    world[resource](name, { permits: 3 });
    expect(waiting.map((ask) => ask.isGranted)).toEqual([true, true]);
  });

  test('another default time counts for new requests only', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId);
    const waiting = bob.waits(lockId);
    world[resource](name, { leaseDurationMs: 5_000 });
    expect(alice.renews(held).hold.ttlMs).toBe(15_000);
    alice.releases(held);
    expect(waiting.hold.ttlMs).toBe(15_000);
    bob.releases(waiting);
    expect(bob.tries(lockId).hold.ttlMs).toBe(5_000);
  });

  test('a lower maximum does not take from a holder the time it has', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { ttlMs: 60_000 });
    world[resource](name, { leaseDurationMs: 10_000, maxLeaseDurationMs: 10_000 });
    expect(alice.renews(held).hold.remainingMs).toBe(60_000);
    expect(alice.renews(held, 60_000).isGranted).toBe(true);
    expect(alice.renews(held, 60_001).code).toBe('INVALID_ARGUMENT');
    expect(alice.tries(lockId, { ttlMs: 60_000 }).code).toBe('INVALID_ARGUMENT');
  });

  test('re-entrancy off keeps the depth there is, and adds none', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId);
    alice.tries(lockId);
    world[resource](name, { reentrant: false });
    expect(alice.tries(lockId).code).toBe('LOCK_HELD');
    expect(alice.releases(held).depth).toBe(1);
    expect(alice.releases(held).depth).toBe(0);
  });

  test('another fairness sorts those who wait anew', () => {
    const { world, alice, bob, carol } = setup();
    const held = alice.tries(lockId);
    bob.waits(lockId, { priority: 1 });
    carol.waits(lockId, { priority: 8 });
    world[resource](name, { fairness: 'Priority' });
    expect(world.inspect(lockId).waiters.map((waiter) => waiter.ownerId)).toEqual(['carol', 'bob']);
    world[resource](name, { fairness: 'Fifo' });
    alice.releases(held);
    expect(world.holders(lockId)).toEqual(['bob']);
  });

  test('a shorter longest life is for holds to come', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId);
    world[resource](name, { maxHoldMs: 1_000 });
    world.passes(10_000);
    expect(alice.renews(held).hold.remainingMs).toBe(15_000);
  });

  test('deleted, it refuses its waiters and every new acquire, and its holds live on', () => {
    const { world, alice, bob, carol } = setup();
    const held = alice.tries(lockId);
    const waiting = bob.waits(lockId);
    world.deletes(resource, name);
    expect(waiting.code).toBe('LOCK_NOT_FOUND');
    expect(waiting.details).toMatchObject({ reason: 'deleted' });
    expect(carol.tries(lockId).code).toBe('LOCK_NOT_FOUND');
    expect(alice.tries(lockId).code).toBe('LOCK_NOT_FOUND');
    expect(alice.renews(held).hold.remainingMs).toBe(15_000);
    world.passes(14_999);
    expect(world.holders(lockId)).toEqual(['alice']);
    expect(alice.releases(held).depth).toBe(0);
  });

  test('deleted, it refuses a silent waiter too, which is not granted when it comes back', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { ttlMs: 60_000 });
    const sleeper = world.session('sleeper', { remote: true });
    const waiting = sleeper.waits(lockId);
    world.passes(20_000);
    world.session('awake').tries(lockId);
    world.session('waker').waits(lockId, { timeoutMs: 1 });
    world.passes(1);
    world.deletes(resource, name);
    expect(waiting.code).toBe('LOCK_NOT_FOUND');
    alice.releases(held);
    sleeper.isHeard();
    expect(world.engine.holdCount).toBe(0);
  });

  test('deleted and made again under live holds, it still has one holder', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId);
    world.deletes(resource, name);
    world[resource](name);
    expect(bob.tries(lockId).code).toBe('LOCK_HELD');
    expect(alice.tries(lockId).depth).toBe(2);
    alice.releases(held, { leaveDepth: 0 });
    expect(bob.tries(lockId).token).toBeGreaterThan(held.token);
  });
});

test('a deleted lock keeps its Lease, and its tokens grow on when it is made again', () => {
  const { world, alice } = setup();
  const held = alice.tries('migrations');
  alice.releases(held);
  world.deletes('lock', 'migrations');
  expect(world.lease('migrations')).toMatchObject({ counter: held.token, holders: [] });
  world.lock('migrations');
  expect(alice.tries('migrations').token).toBe(held.token + 1);
});

test('the holders of a deleted semaphore are no conflict when somebody else writes its Lease', () => {
  const { world, alice, bob } = setup();
  world.lock('migrations', { permits: 2 });
  const held = [alice.tries('migrations'), bob.tries('migrations')];
  world.deletes('lock', 'migrations');
  world.edits('migrations', { attempt: 'somebody' });
  alice.releases(held[0]!);
  expect(bob.renews(held[1]!).isGranted).toBe(true);
});

test('a higher floor for the counter is never lowered again', () => {
  const { world, alice } = setup();
  const rules = { kind: 'configure', resource: 'lock', name: 'ns/fresh' } as const;
  world.lock('fresh');
  world.apply({ ...rules, policy: undefined, counterFloor: 900 });
  world.lock('fresh');
  expect(alice.tries('fresh').token).toBe(900);
});

describe('the key pattern of a pool', () => {
  test('refuses keys that do not match, by name of the field; an edit of it counts for new requests only', () => {
    const { world, alice, bob } = setup();
    world.pool('jobs', { keyPattern: 'order-[0-9]+' });
    expect(alice.tries('jobs/order-42').isGranted).toBe(true);
    const refused = bob.tries('jobs/invoice-7');
    expect(refused.code).toBe('INVALID_ARGUMENT');
    expect(refused.details).toMatchObject({ field: 'lockId' });
    world.pool('jobs', { keyPattern: 'invoice-[0-9]+' });
    expect(bob.tries('jobs/invoice-7').isGranted).toBe(true);
    expect(world.holders('jobs/order-42')).toEqual(['alice']);
    expect(world.inspect('jobs/invoice-8').holderCount).toBe(0);
  });
});
