/**
 * Goal: under expiryPolicy Alert the end of a time to live frees nothing: the hold is overdue until somebody acts.
 * Method: holders that fall silent on locks with that policy, with and without a longest life.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs', { expiryPolicy: 'Alert' });
  world.lock('migrations', { expiryPolicy: 'Alert' });
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('stays held, and one alert is raised', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId);
    const next = bob.waits(lockId);
    world.passes(3_600_000);
    expect(next.isWaiting).toBe(true);
    expect(world.inspect(lockId).holders).toMatchObject([{ ownerId: 'alice', overdue: true, remainingMs: 0 }]);
    expect(world.eventsOf('overdue')).toMatchObject([{ ownerId: 'alice', token: held.token }]);
  });

  test('a renewal makes it an ordinary hold again', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId);
    world.passes(60_000);
    expect(alice.renews(held).hold.remainingMs).toBe(15_000);
    expect(world.inspect(lockId).holders).toMatchObject([{ overdue: false, remainingMs: 15_000 }]);
    world.passes(15_000);
    expect(world.eventsOf('overdue').length).toBe(2);
  });

  test('its release, a forced release and the goodbye of its session free it', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId);
    world.passes(60_000);
    alice.releases(held);
    alice.tries(lockId);
    world.passes(60_000);
    bob.forces(lockId);
    expect(world.holders(lockId)).toEqual([]);
    alice.tries(lockId);
    world.passes(60_000);
    alice.closes('goodbye');
    expect(bob.tries(lockId).isGranted).toBe(true);
  });

  test('its session may be gone: the hold stays for a person', () => {
    const { world, alice } = setup();
    alice.tries(lockId);
    alice.closes('lost');
    world.passes(3_600_000);
    expect(world.holders(lockId)).toEqual(['alice']);
  });

  test('a longest life ends it all the same', () => {
    const { world, alice, bob } = setup();
    alice.tries(lockId, { maxHoldMs: 40_000 });
    const next = bob.waits(lockId);
    world.passes(39_999);
    expect(world.inspect(lockId).holders).toMatchObject([{ overdue: true }]);
    world.passes(1);
    expect(next.isGranted).toBe(true);
    expect(world.eventsOf('ended')).toMatchObject([{ reason: 'maxHold' }]);
  });

  test('a repeated request promises an overdue hold no time', () => {
    const { world, alice } = setup();
    alice.tries(lockId, { requestId: 'r' });
    world.passes(60_000);
    expect(alice.tries(lockId, { requestId: 'r' }).hold.remainingMs).toBe(0);
  });
});
