/**
 * Goal: a stall of the owner kills no live hold, and gives no holder more time than is on record.
 * Method: time passes without ticks, as while the process was paused; renewals come before, with and after the late tick.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe('after a stall of twelve seconds', () => {
  function stalled() {
    const setting = setup();
    const { world, alice } = setting;
    const due = alice.tries('jobs/due', { ttlMs: 15_000 });
    world.passes(3_000);
    const soon = alice.tries('jobs/soon', { ttlMs: 25_000 });
    world.passes(12_000 - 1);
    // The tick was wanted a millisecond from now, and comes 12 s after that.
    world.stalls(12_001);
    world.ticksLate();
    return { ...setting, due, soon };
  }

  test('a hold that ran out meanwhile gets as much more time', () => {
    const { world, alice, due } = stalled();
    expect(world.holders('jobs/due')).toEqual(['alice']);
    expect(world.count('deferredExpiry')).toBe(1);
    expect(alice.renews(due).hold.remainingMs).toBe(15_000);
  });

  test('one that runs out right afterwards too: its renewal may lie unread as well', () => {
    const { world, alice, soon } = stalled();
    world.passes(12_000);
    expect(world.holders('jobs/soon')).toEqual(['alice']);
    expect(alice.renews(soon).isGranted).toBe(true);
  });

  test('a hold that nobody renews ends as much later, and no more', () => {
    const { world } = stalled();
    world.passes(60_000);
    const ended = world.eventsOf('ended').map((event) => event.heldForMs);
    // The first one, due when the stall began, has a second from the tick that found it.
    expect(ended).toEqual([28_000, 37_000]);
  });

  test('no holder is told of the time added: it is on no record', () => {
    const { world, alice } = stalled();
    const asked = alice.tries('jobs/due', { requestId: 'unknown', ttlMs: 1_000 });
    expect(asked.hold.remainingMs).toBeLessThanOrEqual(15_000);
    expect(world.shardRecord.graceMs).toBe(25_000);
  });

  test('a hold granted after it is not put off', () => {
    const { world, bob } = stalled();
    bob.tries('jobs/fresh', { ttlMs: 2_000 });
    world.passes(2_000);
    expect(world.holders('jobs/fresh')).toEqual([]);
  });
});

test('a repeated request is promised what was promised, not what the stall added', () => {
  const { world, alice } = setup();
  alice.tries('migrations', { ttlMs: 5_000, requestId: 'r' });
  world.passes(4_000);
  world.stalls(10_000);
  world.ticksLate();
  expect(world.holders('migrations')).toEqual(['alice']);
  expect(alice.tries('migrations', { requestId: 'r' }).hold.remainingMs).toBe(0);
});

test('a tick that is hardly late puts nothing off', () => {
  const { world, alice } = setup();
  alice.tries('jobs/a', { ttlMs: 15_000 });
  world.stalls(15_100);
  world.ticksLate();
  expect(world.holders('jobs/a')).toEqual([]);
});

test('two stalls in a row add up', () => {
  const { world, alice } = setup();
  const held = alice.tries('jobs/a', { ttlMs: 15_000 });
  world.stalls(20_000);
  world.ticksLate();
  world.stalls(8_000);
  world.ticksLate();
  expect(world.holders('jobs/a')).toEqual(['alice']);
  expect(alice.renews(held).isGranted).toBe(true);
});

test('a waiter times out and a lock delay ends all the same', () => {
  const { world, alice, bob } = setup();
  alice.tries('jobs/a', { ttlMs: 60_000 });
  const waiting = bob.waits('jobs/a', { timeoutMs: 5_000 });
  world.stalls(20_000);
  world.ticksLate();
  expect(waiting.code).toBe('ACQUIRE_TIMEOUT');
});

test('a longest life may be put off too, and then ends', () => {
  const { world, alice } = setup();
  alice.tries('jobs/a', { ttlMs: 60_000, maxHoldMs: 5_000 });
  world.stalls(8_000);
  world.ticksLate();
  expect(world.holders('jobs/a')).toEqual(['alice']);
  world.passes(3_000);
  expect(world.eventsOf('ended')).toMatchObject([{ reason: 'maxHold' }]);
});
