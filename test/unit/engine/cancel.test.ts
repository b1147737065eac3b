/**
 * Goal: a withdrawn request is as if it had never been asked; a grant that was answered is not touched.
 * Method: cancels of waiters, of one of several repetitions, of grants whose write is in flight, and of answered ones.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob'), carol: world.session('carol') };
}

test('a waiter leaves without an answer, and the next one moves up', () => {
  const { world, alice, bob, carol } = setup();
  const held = alice.tries('jobs/a');
  const left = bob.waits('jobs/a');
  const next = carol.waits('jobs/a');
  bob.cancels(left);
  alice.releases(held);
  expect(left.isWaiting).toBe(true);
  expect(next.isGranted).toBe(true);
  expect(world.eventsOf('waiterLeft')).toMatchObject([{ why: 'cancelled', ownerId: 'bob' }]);
});

test('a waiter stays while another repetition of its request waits', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a');
  const first = bob.waits('jobs/a', { requestId: 'r' });
  const second = bob.waits('jobs/a', { requestId: 'r' });
  bob.cancels(first);
  expect(world.engine.waiterCount).toBe(1);
  alice.releases(held);
  expect(first.isWaiting).toBe(true);
  expect(second.isGranted).toBe(true);
});

test('a request id is free again after its waiter was withdrawn', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a');
  bob.cancels(bob.waits('jobs/a', { requestId: 'r' }));
  alice.releases(held);
  expect(bob.tries('jobs/a', { requestId: 'r' }).depth).toBe(1);
  expect(world.engine.waiterCount).toBe(0);
});

test('an answered grant is not touched', () => {
  const { world, alice } = setup();
  const held = alice.tries('jobs/a');
  alice.cancels(held);
  expect(world.holders('jobs/a')).toEqual(['alice']);
});

test('another session cannot withdraw it', () => {
  const { world, alice, bob, carol } = setup();
  alice.tries('jobs/a');
  const waiting = bob.waits('jobs/a');
  carol.cancels(waiting);
  expect(world.engine.waiterCount).toBe(1);
});

test('a grant whose write is in flight ends, and counts as late when it lands', () => {
  const { world, alice, bob } = setup();
  world.writesWait = true;
  const asked = alice.tries('migrations');
  const next = bob.waits('migrations');
  alice.cancels(asked);
  world.write('migrations').lands();
  expect(asked.isWaiting).toBe(true);
  expect(world.count('lateGrant')).toBe(1);
  world.write('migrations').lands();
  expect(next.isGranted).toBe(true);
});

test('one of two requests that wait for one write leaves the other at depth 1', () => {
  const { world, alice, bob } = setup();
  world.writesWait = true;
  const outer = alice.tries('migrations');
  const inner = alice.tries('migrations');
  alice.cancels(outer);
  world.write('migrations').lands();
  expect(inner.depth).toBe(1);
  expect(alice.releases(inner).depth).toBe(0);
  world.write('migrations').lands();
  expect(bob.waits('migrations').code).toBeUndefined();
  expect(world.holders('migrations')).toEqual([]);
});

test('withdrawing one repetition of a request that waits for its write takes no depth', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  alice.tries('migrations', { requestId: 'outer' });
  const repeated = alice.tries('migrations', { requestId: 'outer' });
  const inner = alice.tries('migrations', { requestId: 'inner' });
  alice.cancels(repeated);
  world.write('migrations').lands();
  expect(inner.depth).toBe(2);
  expect(alice.releases(inner).depth).toBe(1);
  expect(world.holders('migrations')).toEqual(['alice']);
});

test('a re-entry that waits for its record is withdrawn without a trace', () => {
  const { world, alice } = setup();
  const outer = alice.tries('migrations', { ttlMs: 15_000 });
  world.writesWait = true;
  const inner = alice.tries('migrations', { ttlMs: 60_000, requestId: 'inner' });
  alice.cancels(inner);
  world.write('migrations').lands();
  expect(inner.isWaiting).toBe(true);
  expect(alice.releases(outer).depth).toBe(0);
});

test('a waiter can be withdrawn while the shard is frozen', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('jobs/a');
  const waiting = bob.waits('jobs/a');
  world.apply({ kind: 'freeze' });
  bob.cancels(waiting);
  world.apply({ kind: 'resume' });
  alice.releases(held);
  expect(world.holders('jobs/a')).toEqual([]);
});
