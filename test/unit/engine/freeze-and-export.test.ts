/**
 * Goal: a planned hand-over moves everything that was promised, in durations; a frozen engine promises nothing; a resumed one
 * goes on as if it had only been slow.
 * Method: engines that are frozen, exported to a successor, or resumed, with holds, waiters, delays and writes of every kind.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.pool('slow', { lockDelayMs: 10_000 });
  world.pool('ranked', { fairness: 'Priority' });
  world.lock('migrations');
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob!, carol: carol! };
}

describe('a frozen engine', () => {
  test('refuses every operation for a moment', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    world.apply({ kind: 'freeze' });
    for (const asked of [alice.tries('jobs/b'), alice.renews(held), alice.releases(held), alice.forces('jobs/a')])
      expect(asked.details).toEqual({ reason: 'frozen', retryAfterMs: 50 });
  });

  test('lets nothing expire, and asks for no tick', () => {
    const { world, alice } = setup();
    alice.tries('jobs/a');
    world.apply({ kind: 'freeze' });
    expect(world.engine.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
    world.nowMs += 60_000;
    world.apply({ kind: 'tick', lateMs: 0 });
    expect(world.holders('jobs/a')).toEqual(['alice']);
  });

  test('emits no write, but still hears of those in flight', () => {
    const { world, alice, bob } = setup();
    world.writesWait = true;
    const asked = alice.tries('migrations');
    bob.waits('migrations');
    world.apply({ kind: 'freeze' });
    expect(world.engine.isDrained).toBe(false);
    world.write('migrations').lands();
    expect(asked.isGranted).toBe(true);
    expect(world.writes).toEqual([]);
    expect(world.engine.isDrained).toBe(true);
  });

  test('cannot be exported before it is frozen and drained', () => {
    const { world, alice } = setup();
    expect(() => world.engine.exportSnapshot(0)).toThrow('frozen and drained');
    world.writesWait = true;
    alice.tries('migrations');
    world.apply({ kind: 'freeze' });
    expect(() => world.engine.exportSnapshot(0)).toThrow('frozen and drained');
  });
});

describe('a resumed engine', () => {
  test('serves what was put off: writes, waiters, the record of the shard', () => {
    const { world, alice, bob, carol } = setup();
    const held = alice.tries('migrations');
    world.apply({ kind: 'freeze' });
    alice.closes('goodbye');
    expect(world.lease('migrations').holders.length).toBe(1);
    world.apply({ kind: 'resume' });
    expect(world.lease('migrations').holders).toEqual([]);
    expect(bob.tries('migrations').token).toBeGreaterThan(held.token);
    expect(carol.tries('jobs/a').isGranted).toBe(true);
  });

  test('gives every hold the time for which renewals were refused', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 15_000 });
    world.passes(10_000);
    world.apply({ kind: 'freeze' });
    world.nowMs += 8_000;
    world.apply({ kind: 'resume' });
    world.passes(4_999);
    expect(world.holders('jobs/a')).toEqual(['alice']);
    expect(alice.renews(held).isGranted).toBe(true);
    world.passes(14_999);
    expect(world.holders('jobs/a')).toEqual(['alice']);
    world.passes(1);
    expect(world.holders('jobs/a')).toEqual([]);
  });

  test('grants what came free while it was frozen', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a');
    const next = bob.waits('jobs/a');
    world.apply({ kind: 'freeze' });
    alice.closes('goodbye');
    expect(next.isWaiting).toBe(true);
    world.apply({ kind: 'resume' });
    expect(next.isGranted).toBe(true);
  });
});

describe('a hand-over', () => {
  test('moves holds with token, depth, metadata and the time they had left; no grace, no record needed', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 20_000, metadata: { node: 'n1' } });
    alice.tries('jobs/a', { ttlMs: 20_000 });
    world.passes(5_000);
    world.handsOver();
    expect(world.inspect('jobs/a').holders).toMatchObject([
      {
        ownerId: 'alice',
        token: held.token,
        depth: 2,
        remainingMs: 15_000,
        heldForMs: 5_000,
        metadata: { node: 'n1' },
      },
    ]);
    expect(world.engine.inGrace).toBe(false);
    alice.connects();
    bob.connects();
    const next = bob.waits('jobs/a');
    expect(alice.renews(held).hold).toMatchObject({ epoch: 2, depth: 2, remainingMs: 20_000 });
    world.passes(20_000);
    expect(next.isGranted).toBe(true);
    expect(next.token).toBeGreaterThan(held.token);
  });

  test('ends a hold whose session never comes back at its moment', () => {
    const { world, alice } = setup();
    alice.tries('jobs/a', { ttlMs: 15_000 });
    world.passes(5_000);
    world.handsOver();
    world.passes(9_999);
    expect(world.holders('jobs/a')).toEqual(['alice']);
    world.passes(1);
    expect(world.holders('jobs/a')).toEqual([]);
  });

  test('keeps the places of waiters that ask again with their request id, in their order', () => {
    const { world, alice, bob, carol } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    bob.waits('jobs/a', { requestId: 'b', timeoutMs: 40_000 });
    carol.waits('jobs/a', { requestId: 'c' });
    world.session('nameless').waits('jobs/a');
    world.handsOver();
    expect(world.engine.waiterCount).toBe(2);
    const dave = world.session('dave').waits('jobs/a');
    alice.connects();
    carol.connects();
    const third = carol.waits('jobs/a', { requestId: 'c' });
    bob.connects();
    const second = bob.waits('jobs/a', { requestId: 'b', timeoutMs: 40_000 });
    alice.releases(held);
    expect([second.isGranted, third.isWaiting, dave.isWaiting]).toEqual([true, true, true]);
    bob.releases(second);
    expect([third.isGranted, dave.isWaiting]).toEqual([true, true]);
    carol.releases(third);
    expect(dave.isGranted).toBe(true);
  });

  test("a moved waiter that nobody asks for is in nobody's way, and is forgotten after a minute", () => {
    const { world, alice, bob, carol } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    bob.waits('jobs/a', { requestId: 'b' });
    world.handsOver();
    alice.connects();
    carol.connects();
    const next = carol.waits('jobs/a');
    alice.releases(held);
    expect(next.isGranted).toBe(true);
    world.passes(60_000);
    expect(world.engine.waiterCount).toBe(0);
  });

  test('a moved waiter that asks again waits as long as it asks for, not longer', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 60_000 });
    bob.waits('jobs/a', { requestId: 'b', timeoutMs: 50_000 });
    world.handsOver();
    bob.connects();
    const again = bob.waits('jobs/a', { requestId: 'b', timeoutMs: 3_000 });
    world.passes(3_000);
    expect(again.code).toBe('ACQUIRE_TIMEOUT');
  });

  test('priorities keep their age', () => {
    const { world, alice, bob, carol } = setup();
    const held = alice.tries('ranked/a', { ttlMs: 60_000 });
    bob.waits('ranked/a', { requestId: 'b', priority: 0 });
    world.passes(20_000);
    world.handsOver();
    for (const session of [alice, bob, carol]) session.connects();
    const aged = bob.waits('ranked/a', { requestId: 'b', priority: 0 });
    carol.waits('ranked/a', { priority: 3 });
    alice.releases(held);
    expect(aged.isGranted).toBe(true);
  });

  test('request ids of holds are known to the new owner', () => {
    const { world, alice } = setup();
    const outer = alice.tries('jobs/a', { requestId: 'outer' });
    alice.tries('jobs/a', { requestId: 'inner' });
    world.handsOver();
    alice.connects();
    expect(alice.tries('jobs/a', { requestId: 'inner' }).hold).toMatchObject({ depth: 2, token: outer.token });
    expect(alice.tries('jobs/a', { requestId: 'outer' }).depth).toBe(1);
    alice.releases(outer);
    expect(alice.tries('jobs/a', { requestId: 'inner' }).code).toBe('NOT_HELD');
  });

  test('a lock delay and a longest life go on', () => {
    const { world, alice, bob } = setup();
    alice.tries('slow/a', { ttlMs: 5_000 });
    alice.tries('jobs/b', { ttlMs: 60_000, maxHoldMs: 30_000 });
    world.passes(9_000);
    world.handsOver();
    bob.connects();
    const next = bob.waits('slow/a');
    world.passes(5_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
    world.passes(14_999);
    expect(world.holders('jobs/b')).toEqual(['alice']);
    world.passes(1);
    expect(world.holders('jobs/b')).toEqual([]);
  });

  test('an overdue hold stays overdue until somebody acts', () => {
    const { world, alice } = setup();
    world.pool('jobs', { expiryPolicy: 'Alert' });
    const held = alice.tries('jobs/a', { ttlMs: 5_000 });
    world.passes(6_000);
    world.handsOver();
    world.passes(600_000);
    expect(world.inspect('jobs/a').holders).toMatchObject([{ overdue: true, remainingMs: 0 }]);
    alice.connects();
    expect(alice.releases(held).depth).toBe(0);
  });

  test('a durable lock goes on from its version, without a write', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('migrations', { ttlMs: 15_000 });
    const writes = world.persisted.length;
    world.handsOver();
    alice.connects();
    expect(alice.renews(held).isGranted).toBe(true);
    expect(world.persisted.length).toBe(writes);
    alice.releases(held);
    bob.connects();
    expect(bob.tries('migrations').token).toBeGreaterThan(held.token);
    expect(world.eventsOf('recordEdited')).toEqual([]);
  });

  test('a change of a durable lock that was not written yet is written by the new owner', () => {
    const { world, alice } = setup();
    alice.tries('migrations');
    world.apply({ kind: 'freeze' });
    alice.closes('goodbye');
    world.handsOver();
    expect(world.lease('migrations').holders).toEqual([]);
  });

  test('a counter spent but never written is no backward step to the new owner', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('migrations');
    world.writesWait = true;
    alice.releases(held);
    world.write('migrations').isRefused();
    world.writesWait = false;
    // Numbers are spent on grants that are never written.
    for (let index = 0; index < 3; index++) bob.forces('migrations');
    world.edits('migrations', {});
    world.handsOver();
    bob.connects();
    expect(bob.tries('migrations').isGranted).toBe(true);
    expect(world.regressedKey).toBeUndefined();
    expect(world.eventsOf('recordEdited')).toEqual([]);
  });

  test("a write of unknown outcome is known as the old owner's by the new one", () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('migrations');
    world.writesWait = true;
    alice.releases(held);
    const unknown = world.write('migrations');
    world.apply({ kind: 'freeze' });
    unknown.isUnknown();
    unknown.reachesStore();
    world.writesWait = false;
    world.handsOver();
    expect(world.holders('migrations')).toEqual([]);
    expect(world.eventsOf('recordEdited')).toEqual([]);
    bob.connects();
    expect(bob.tries('migrations').isGranted).toBe(true);
  });

  test('in the middle of a grace goes on with it', () => {
    const { world, alice, bob, carol } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 40_000 });
    bob.tries('jobs/b', { ttlMs: 40_000 });
    world.crashes();
    bob.connects();
    bob.completesReclaim();
    world.passes(10_000);
    world.handsOver();
    carol.connects();
    const next = carol.waits('jobs/c');
    expect(next.isWaiting).toBe(true);
    alice.connects();
    expect(alice.reclaims(held).isGranted).toBe(true);
    expect(world.engine.inGrace).toBe(true);
    alice.completesReclaim();
    expect(next.isGranted).toBe(true);
    expect(world.holders('jobs/a')).toEqual(['alice']);
  });

  test('in the middle of a grace that nobody ends early ends it in its time', () => {
    const { world, alice, carol } = setup();
    alice.tries('jobs/a', { ttlMs: 40_000 });
    world.crashes();
    world.passes(10_000);
    world.handsOver();
    carol.connects();
    const next = carol.waits('jobs/a');
    world.passes(29_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
  });

  test('tells a forced end that was not on record yet once the new owner has written it', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('migrations');
    world.writesWait = true;
    bob.forces('migrations');
    world.write('migrations').isRefused();
    expect(world.eventsOf('ended')).toEqual([]);
    world.handsOver();
    expect(world.eventsOf('ended')).toEqual([]);
    world.write('migrations').lands();
    expect(world.eventsOf('ended')).toMatchObject([
      { token: held.token, reason: 'forceReleased', sessionId: alice.id },
    ]);
  });

  test('puts a session back on record whose orphaned end was not finished', () => {
    const { world, alice } = setup();
    alice.tries('jobs/a');
    world.writesWait = true;
    alice.closes('orphaned');
    const revocation = world.write(undefined);
    world.apply({ kind: 'freeze' });
    revocation.reachesStore();
    revocation.isUnknown();
    expect(world.shardRecord.slots).toEqual([]);
    world.handsOver();
    expect(world.write(undefined).shardRecord.slots).toEqual([alice.slot]);
  });

  test('of another shard, or into an engine that has holds, is refused', () => {
    const { world, alice } = setup();
    const snapshot = world.handsOver();
    const foreign = { ...snapshot, shard: 5 };
    expect(() => world.engine.apply({ kind: 'import', snapshot: foreign }, world.nowMs)).toThrow('shard 5');
    alice.connects();
    alice.tries('jobs/a');
    expect(() => world.engine.apply({ kind: 'import', snapshot }, world.nowMs)).toThrow('no holds');
  });
});
