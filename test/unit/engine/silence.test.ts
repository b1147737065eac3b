/**
 * Goal: a waiter from which nothing is heard is passed over and keeps its place: it costs the others no time to live, and
 * comes next once it is heard.
 * Method: sessions of other processes that send heartbeats or not; the limit is three periods of a second or a tenth of the
 * time to live asked for.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  const alice = world.session('alice');
  const held = alice.tries('jobs/a', { ttlMs: 60_000 });
  return { world, alice, held, remote: (name: string) => world.session(name, { remote: true }) };
}

test('a waiter that is heard every second is granted in its turn', () => {
  const { world, alice, held, remote } = setup();
  const bob = remote('bob');
  const asked = bob.waits('jobs/a');
  for (let second = 0; second < 30; second++) {
    world.passes(1_000);
    bob.isHeard();
  }
  world.passes(3_000);
  alice.releases(held);
  expect(asked.isGranted).toBe(true);
  expect(world.count('silentWaiterPassed')).toBe(0);
});

test('after three seconds of silence it is passed over', () => {
  const { world, alice, held, remote } = setup();
  const asked = remote('bob').waits('jobs/a');
  const next = world.session('carol').waits('jobs/a');
  world.passes(3_001);
  alice.releases(held);
  expect(asked.isWaiting).toBe(true);
  expect(next.isGranted).toBe(true);
  expect(world.count('silentWaiterPassed')).toBe(1);
});

test('with a short time to live the limit is shorter', () => {
  const { world, alice, held, remote } = setup();
  const asked = remote('bob').waits('jobs/a', { ttlMs: 1_000 });
  world.passes(301);
  alice.releases(held);
  expect(asked.isWaiting).toBe(true);
  expect(world.holders('jobs/a')).toEqual([]);
});

test('it keeps its place: heard again, it stands before those that came after it', () => {
  const { world, alice, held, remote } = setup();
  const bob = remote('bob');
  const asked = bob.waits('jobs/a');
  const carol = world.session('carol');
  const second = carol.waits('jobs/a');
  const third = world.session('dave').waits('jobs/a');
  world.passes(4_000);
  alice.releases(held);
  bob.isHeard();
  expect(asked.isWaiting).toBe(true);
  carol.releases(second);
  expect(asked.isGranted).toBe(true);
  expect(third.isWaiting).toBe(true);
});

test('any frame is a sign of life, and the grant counts from that frame', () => {
  const { world, alice, held, remote } = setup();
  const bob = remote('bob');
  const asked = bob.waits('jobs/a');
  world.passes(10_000);
  alice.releases(held);
  expect(asked.isWaiting).toBe(true);
  bob.tries('jobs/other');
  expect(asked.hold.seen).toBe(2);
});

test('a new connection is a sign of life, for requests that were asked over it', () => {
  const { world, alice, held, remote } = setup();
  const bob = remote('bob');
  bob.waits('jobs/a');
  world.passes(10_000);
  alice.releases(held);
  bob.connects();
  expect(world.holders('jobs/a')).toEqual(['bob']);
});

test('a silent waiter still times out', () => {
  const { world, alice, held, remote } = setup();
  const asked = remote('bob').waits('jobs/a', { timeoutMs: 8_000 });
  world.passes(4_000);
  alice.releases(held);
  world.passes(4_000);
  expect(asked.code).toBe('ACQUIRE_TIMEOUT');
});

test('many silent waiters of a dead node cost nobody a time to live', () => {
  const { world, alice, held, remote } = setup();
  for (let index = 0; index < 100; index++) remote(`dead-${index}`).waits('jobs/a');
  const living = world.session('living').waits('jobs/a');
  world.passes(5_000);
  alice.releases(held);
  expect(living.isGranted).toBe(true);
});

test('under Priority it comes back to its rank', () => {
  const { world, remote } = setup();
  world.pool('ranked', { fairness: 'Priority' });
  const erin = world.session('erin');
  const first = erin.tries('ranked/a', { ttlMs: 60_000 });
  const bob = remote('bob');
  const high = bob.waits('ranked/a', { priority: 9 });
  const carol = world.session('carol');
  const middle = carol.waits('ranked/a', { priority: 5 });
  const low = world.session('dave').waits('ranked/a', { priority: 1 });
  world.passes(4_000);
  erin.releases(first);
  expect(middle.isGranted).toBe(true);
  bob.isHeard();
  carol.releases(middle);
  expect(high.isGranted).toBe(true);
  expect(low.isWaiting).toBe(true);
});

test('a try-lock does not see a silent waiter', () => {
  const { world, alice, held, remote } = setup();
  remote('bob').waits('jobs/a');
  world.passes(5_000);
  alice.releases(held);
  expect(world.session('carol').tries('jobs/a').isGranted).toBe(true);
});

test('a holder is never silent: only its time to live counts', () => {
  const { world, remote } = setup();
  const bob = remote('bob');
  bob.tries('jobs/b', { ttlMs: 15_000 });
  world.passes(14_999);
  expect(world.holders('jobs/b')).toEqual(['bob']);
});
