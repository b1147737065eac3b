/**
 * Goal: a hold that is not renewed ends exactly when its time to live has run out, by a tick and by nothing else.
 * Method: one holder, one waiter, and ticks at written moments.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('ends at its moment, not before', () => {
    const { world, alice } = setup();
    alice.tries(lockId, { ttlMs: 15_000 });
    world.passes(14_999);
    expect(world.holders(lockId)).toEqual(['alice']);
    world.passes(1);
    expect(world.holders(lockId)).toEqual([]);
    expect(world.eventsOf('ended')).toMatchObject([
      { reason: 'expired', ownerId: 'alice', heldForMs: 15_000, sessionId: alice.id, acknowledged: true },
    ]);
  });

  test('goes to the next in line at that moment', () => {
    const { world, alice, bob } = setup();
    const first = alice.tries(lockId, { ttlMs: 15_000 });
    const second = bob.waits(lockId);
    world.passes(15_000);
    expect(second.isGranted).toBe(true);
    expect(second.token).toBeGreaterThan(first.token);
  });

  test('its old token opens nothing any more', () => {
    const { world, alice, bob } = setup();
    const first = alice.tries(lockId);
    bob.waits(lockId);
    world.passes(15_000);
    expect(alice.renews(first).code).toBe('NOT_HELD');
    expect(alice.releases(first).code).toBe('NOT_HELD');
    expect(world.holders(lockId)).toEqual(['bob']);
  });

  test('no other command lets time pass', () => {
    const { world, alice, bob } = setup();
    const first = alice.tries(lockId);
    world.nowMs += 15_001;
    expect(bob.tries(lockId).code).toBe('LOCK_HELD');
    expect(alice.renews(first).hold.remainingMs).toBe(15_000);
  });

  test('an early tick changes nothing', () => {
    const { world, alice } = setup();
    alice.tries(lockId);
    world.nowMs += 14_000;
    world.apply({ kind: 'tick', lateMs: 0 });
    expect(world.holders(lockId)).toEqual(['alice']);
    expect(world.engine.wakeAtMs).toBe(15_000);
  });
});

test('many holds end in order of their moments', () => {
  const { world, alice } = setup();
  const times = [9_000, 2_000, 31_000, 5_000, 2_000, 14_000];
  for (const [index, ttlMs] of times.entries()) alice.tries(`jobs/${index}`, { ttlMs });
  world.passes(60_000);
  const ended = world.eventsOf('ended').map((event) => event.heldForMs);
  expect(ended).toEqual(times.toSorted((left, right) => left - right));
});

test('the wake-up is that of the earliest deadline, and none is asked for when nothing is due', () => {
  const { world, alice } = setup();
  const idle = world.engine.wakeAtMs;
  expect(idle).toBe(Number.POSITIVE_INFINITY);
  const held = alice.tries('jobs/a', { ttlMs: 20_000 });
  alice.tries('jobs/b', { ttlMs: 3_000 });
  expect(world.engine.wakeAtMs).toBe(3_000);
  world.passes(3_000);
  expect(world.engine.wakeAtMs).toBe(20_000);
  alice.releases(held);
  // What is left is the review of the recorded grace.
  expect(world.engine.wakeAtMs).toBeGreaterThan(20_000 - 1);
});

test('a long hold is data like any other: thirty days are no problem', () => {
  const { world, alice } = setup();
  const held = alice.tries('jobs/a', { maxHoldMs: 2_592_000_000, ttlMs: 60_000 });
  for (let day = 0; day < 30; day++) {
    world.nowMs += 59_000;
    expect(alice.renews(held).isGranted).toBe(true);
  }
});
