/**
 * Goal: a wait without end ends only with a grant, or with the session, the request or the lock.
 * Method: a holder that renews for a long time, and a waiter with time-out -1.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

test('it waits through any number of renewals', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a', { ttlMs: 60_000 });
  const asked = bob.waits('jobs/a');
  for (let minute = 0; minute < 3 * 24 * 60; minute++) {
    world.passes(59_000);
    alice.renews(held);
  }
  expect(asked.isWaiting).toBe(true);
  alice.releases(held);
  expect(asked.hold.remainingMs).toBe(15_000);
});

test('its time to live counts from the grant, not from the request', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a', { ttlMs: 60_000 });
  const asked = bob.waits('jobs/a', { ttlMs: 5_000 });
  world.passes(50_000);
  alice.releases(held);
  world.passes(4_999);
  expect(world.holders('jobs/a')).toEqual(['bob']);
  world.passes(1);
  expect(world.holders('jobs/a')).toEqual([]);
  expect(asked.isGranted).toBe(true);
});

test('its grant counts from the newest frame of its session that was processed, not from the request', () => {
  const { alice, bob } = setup();
  const held = alice.tries('jobs/a');
  const asked = bob.waits('jobs/a');
  for (let beat = 0; beat < 5; beat++) bob.isHeard();
  alice.releases(held);
  expect(asked.hold.seen).toBe(6);
});

test('it leaves with its connection, and is not granted behind its back', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a');
  const asked = bob.waits('jobs/a');
  bob.closes('lost');
  alice.releases(held);
  expect(asked.isWaiting).toBe(true);
  expect(world.holders('jobs/a')).toEqual([]);
  expect(world.eventsOf('waiterLeft')).toMatchObject([{ why: 'disconnected' }]);
});

test('it waits while the store refuses the writes of its lock, and is granted once it takes them', () => {
  const { world, alice, bob } = setup();
  world.writesWait = true;
  alice.tries('migrations');
  world.write('migrations').isRefused();
  const asked = bob.waits('migrations');
  expect(asked.isWaiting).toBe(true);
  expect(alice.tries('migrations').code).toBe('LOCK_HELD');
  world.passes(500);
  world.write('migrations').lands();
  expect(asked.isGranted).toBe(true);
});
