/**
 * Goal: no renewal carries a hold beyond its longest allowed life, which counts from the moment the grant was told.
 * Method: holders that renew for ever, with a limit of the request, of the policy, or both.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.pool('short', { maxHoldMs: 20_000 });
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('ends at the end of its longest life although it is renewed', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId, { maxHoldMs: 40_000, ttlMs: 15_000 });
    const next = bob.waits(lockId);
    for (let round = 0; round < 3; round++) {
      world.passes(10_000);
      expect(alice.renews(held).isGranted).toBe(true);
    }
    expect(world.inspect(lockId).holders[0]?.remainingMs).toBe(10_000);
    world.passes(10_000);
    expect(next.isGranted).toBe(true);
    expect(world.eventsOf('ended')).toMatchObject([{ reason: 'maxHold' }]);
  });

  test('tells the holder no more time than its life allows', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { maxHoldMs: 12_000, ttlMs: 15_000 });
    expect(held.hold.remainingMs).toBe(12_000);
    world.passes(10_000);
    expect(alice.renews(held, 15_000).hold.remainingMs).toBe(2_000);
  });

  test('a renewal after its end, before the tick, is refused with the reason', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { maxHoldMs: 12_000 });
    world.nowMs += 12_000;
    const renewal = alice.renews(held);
    expect(renewal.code).toBe('NOT_HELD');
    expect(renewal.details).toMatchObject({ reason: 'maxHold' });
  });
});

test('the stricter of request and policy counts', () => {
  const { alice } = setup();
  expect(alice.tries('short/a', { maxHoldMs: 5_000 }).hold.remainingMs).toBe(5_000);
  expect(alice.tries('short/b', { maxHoldMs: 50_000, ttlMs: 30_000 }).hold.remainingMs).toBe(20_000);
});

test('of a durable lock it counts from the landing of the write', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  const held = alice.tries('migrations', { maxHoldMs: 10_000 });
  world.nowMs += 4_000;
  world.write('migrations').lands();
  expect(held.hold.remainingMs).toBe(10_000);
});

test('with a new owner it starts anew', () => {
  const { world, alice } = setup();
  world.lock('migrations', { maxHoldMs: 20_000 });
  alice.tries('migrations', { ttlMs: 30_000 });
  world.passes(15_000);
  world.crashes();
  world.passes(19_999);
  expect(world.holders('migrations')).toEqual(['alice']);
});
