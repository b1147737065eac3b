/**
 * Goal: a wait with a time-out ends with a grant or, exactly when asked for, with ACQUIRE_TIMEOUT.
 * Method: a holder that stays, a waiter with a time-out, and ticks.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  return { world, alice: world.session('alice'), bob: world.session('bob'), carol: world.session('carol') };
}

test('a waiter is told its position, and times out at its moment', () => {
  const { world, alice, bob } = setup();
  alice.tries('jobs/a', { ttlMs: 60_000 });
  const asked = bob.waits('jobs/a', { timeoutMs: 7_000 });
  expect(asked.replies).toEqual([{ kind: 'queued', ref: asked.ref, position: 1 }]);
  world.passes(6_999);
  expect(asked.isWaiting).toBe(true);
  world.passes(1);
  expect(asked.code).toBe('ACQUIRE_TIMEOUT');
  expect(asked.details).toMatchObject({ waitedMs: 7_000, waiterCount: 0 });
  expect(world.eventsOf('waiterLeft')).toMatchObject([{ why: 'timeout', waitedMs: 7_000 }]);
});

test('a grant before the time-out takes it away', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a', { ttlMs: 60_000 });
  const asked = bob.waits('jobs/a', { timeoutMs: 7_000, ttlMs: 60_000 });
  world.passes(6_999);
  alice.releases(held);
  expect(asked.isGranted).toBe(true);
  world.passes(10_000);
  expect(world.holders('jobs/a')).toEqual(['bob']);
});

test('a waiter that leaves makes room for those it stood in the way of', () => {
  const { world, alice, bob, carol } = setup();
  alice.tries('jobs/a', { mode: 'shared', ttlMs: 60_000 });
  bob.waits('jobs/a', { timeoutMs: 2_000 });
  const reader = carol.waits('jobs/a', { mode: 'shared' });
  expect(reader.isWaiting).toBe(true);
  world.passes(2_000);
  expect(reader.isGranted).toBe(true);
});

test('the lock can still be had after the time-out', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a', { ttlMs: 60_000 });
  bob.waits('jobs/a', { timeoutMs: 1_000 });
  world.passes(1_000);
  alice.releases(held);
  expect(bob.tries('jobs/a').isGranted).toBe(true);
});

test('a waiter that waits for the end of grace times out too', () => {
  const { world, alice, bob } = setup();
  alice.tries('jobs/a', { ttlMs: 30_000 });
  world.crashes();
  bob.connects();
  const asked = bob.waits('jobs/a', { timeoutMs: 3_000 });
  world.passes(3_000);
  expect(asked.code).toBe('ACQUIRE_TIMEOUT');
});
