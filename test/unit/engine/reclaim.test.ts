/**
 * Goal: of a pool key's holders only those may come back whose session was on record, with a token that was given out and not
 * revoked; of two claims of one key neither is extended.
 * Method: crashes, then claims by the holder, by others, too late, of keys that are taken, of locks that are durable.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.pool('slots', { permits: 2 });
  world.lock('migrations');
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob!, carol: carol! };
}

describe('a claim', () => {
  test('by the holder brings the hold back with its token, its depth and its time from now', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 20_000 });
    world.passes(12_000);
    world.crashes();
    alice.connects();
    const claimed = alice.reclaims(held, { depth: 4 });
    expect(claimed.hold).toMatchObject({ token: held.token, depth: 4, remainingMs: 20_000, epoch: 2, seen: 2 });
    expect(alice.releases(held).depth).toBe(3);
    expect(world.count('reclaimAccepted')).toBe(1);
  });

  test('may be repeated', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    world.crashes();
    alice.connects();
    alice.reclaims(held);
    expect(alice.reclaims(held).hold.token).toBe(held.token);
    expect(world.holders('jobs/a')).toEqual(['alice']);
  });

  test('by a session that was not on record is refused, and reported', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    world.crashes();
    const mallory = world.session('mallory');
    expect(mallory.reclaims(held).code).toBe('NOT_HELD');
    expect(world.eventsOf('reclaimRefused')).toMatchObject([{ principal: 'pod-mallory', token: held.token }]);
  });

  test('with a token that was never given out is refused', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    world.crashes();
    alice.connects();
    expect(alice.reclaims(held, { token: 1_000_000 }).code).toBe('NOT_HELD');
  });

  test('after the grace is refused', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 15_000 });
    world.crashes();
    alice.connects();
    world.passes(15_000);
    expect(alice.reclaims(held).code).toBe('NOT_HELD');
  });

  test('cannot ask for more time than is on record', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 15_000 });
    world.crashes();
    alice.connects();
    expect(alice.reclaims(held, { ttlMs: 3_000_000 }).hold.remainingMs).toBe(15_000);
  });

  test('of a hold that was once promised longer than it was last is kept that long', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 50_000 });
    const renewed = alice.renews(held, 5_000);
    world.crashes();
    alice.connects();
    bob.connects();
    expect(alice.reclaims(renewed).hold.remainingMs).toBe(5_000);
    const next = bob.waits('jobs/a');
    world.passes(49_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
  });

  test('makes requests that are asked again count anew: its depth has those that were answered', () => {
    const { world, alice } = setup();
    const outer = alice.tries('jobs/a', { requestId: 'outer' });
    alice.tries('jobs/a', { requestId: 'lost on the way' });
    world.handsOver();
    alice.connects();
    expect(alice.reclaims(outer, { depth: 1 }).depth).toBe(1);
    const again = alice.tries('jobs/a', { requestId: 'lost on the way' });
    expect(again.depth).toBe(2);
    alice.releases(again);
    expect(world.holders('jobs/a')).toEqual(['alice']);
  });

  test('of a DistributedLock that is not on its Lease never becomes a hold in memory', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    world.crashes();
    alice.connects();
    const claim = { ownerId: 'alice', mode: 'exclusive', depth: 1, ttlMs: 10_000, token: held.token } as const;
    expect(alice.sends({ op: 'reclaim', key: 'ns/migrations', ...claim }).code).toBe('NOT_HELD');
    expect(alice.sends({ op: 'reclaim', key: 'ns/unknown', ...claim }).code).toBe('NOT_HELD');
    expect(world.engine.holdCount).toBe(0);
  });

  test('of a durable hold by another pod, owner or mode is refused', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('migrations');
    world.crashes();
    alice.connects();
    bob.connects();
    expect(bob.reclaims(held).code).toBe('NOT_HELD');
    const { key, token } = held.hold;
    const claim = { op: 'reclaim', key, token, depth: 1, ttlMs: 15_000 } as const;
    expect(alice.sends({ ...claim, ownerId: 'other', mode: 'exclusive' }).code).toBe('NOT_HELD');
    expect(alice.sends({ ...claim, ownerId: 'alice', mode: 'shared' }).code).toBe('NOT_HELD');
    expect(alice.reclaims(held).isGranted).toBe(true);
  });

  test('before its pool is known opens the key, and the pool rules it later', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('late/a').code === 'LOCK_NOT_FOUND' ? alice.tries('jobs/a') : undefined;
    expect(held?.isGranted).toBe(true);
    world.deletes('pool', 'jobs');
    world.crashes();
    alice.connects();
    bob.connects();
    expect(alice.reclaims(held!).isGranted).toBe(true);
    expect(bob.waits('jobs/a').code).toBe('LOCK_NOT_FOUND');
    world.pool('jobs');
    expect(bob.waits('jobs/a').isWaiting).toBe(true);
  });

  test('by a new session of the pod, while the owner lives, waits until that session is on record', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    const heir = world.session('heir', { principal: alice.principal });
    world.writesWait = true;
    expect(heir.reclaims(held).code).toBe('UNAVAILABLE');
    world.write(undefined).lands();
    expect(heir.reclaims(held).isGranted).toBe(true);
  });

  test('of readers brings all of them back', () => {
    const { world, alice, bob } = setup();
    const first = alice.tries('jobs/a', { mode: 'shared' });
    const second = bob.tries('jobs/a', { mode: 'shared' });
    world.crashes();
    for (const [session, held] of [
      [alice, first],
      [bob, second],
    ] as const) {
      session.connects();
      expect(session.reclaims(held).isGranted).toBe(true);
    }
    expect(world.holders('jobs/a')).toEqual(['alice', 'bob']);
  });
});

describe('two claims of one key', () => {
  function contested() {
    const setting = setup();
    const { world, alice, bob } = setting;
    const old = alice.tries('jobs/a', { ttlMs: 60_000 });
    // The old holder was ended by force, but the record of that is lost with a restored backup.
    const before = world.shardRecord;
    world.session('admin').forces('jobs/a');
    const young = bob.tries('jobs/a', { ttlMs: 60_000 });
    world.shardRecord = { ...world.shardRecord, revocations: before.revocations };
    world.crashes(false);
    alice.connects();
    bob.connects();
    return { ...setting, old, young };
  }

  test('extend nobody: both run out, and nobody else gets in before', () => {
    const { world, alice, bob, carol, old, young } = contested();
    const first = alice.reclaims(old);
    const second = bob.reclaims(young);
    expect(first.isGranted).toBe(true);
    expect(second.code).toBe('NOT_HELD');
    expect(alice.renews(old).code).toBe('NOT_HELD');
    expect(bob.renews(young).code).toBe('NOT_HELD');
    carol.connects();
    const next = carol.waits('jobs/a');
    world.passes(59_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
    expect(world.eventsOf('reclaimRefused').length).toBe(1);
  });

  test('neither can deepen what it has', () => {
    const { alice, bob, old, young } = contested();
    alice.reclaims(old);
    bob.reclaims(young);
    expect(alice.waits('jobs/a').isWaiting).toBe(true);
    expect(alice.reclaims(old).code).toBe('NOT_HELD');
  });

  test('each can still be given back', () => {
    const { world, alice, bob, old, young } = contested();
    alice.reclaims(old);
    bob.reclaims(young);
    expect(alice.releases(old).depth).toBe(0);
    expect(bob.releases(young).depth).toBe(0);
    expect(world.engine.holdCount).toBe(0);
  });
});

test('as many claims as a semaphore has permits are no conflict', () => {
  const { world, alice, bob, carol } = setup();
  const asks = [alice, bob].map((session) => session.tries('slots/s'));
  world.crashes();
  for (const [index, session] of [alice, bob].entries()) {
    session.connects();
    expect(session.reclaims(asks[index]!).isGranted).toBe(true);
  }
  carol.connects();
  expect(world.holders('slots/s')).toEqual(['alice', 'bob']);
});
