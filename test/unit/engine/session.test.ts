/**
 * Goal: what ends with a session is what its client gave back; a lost connection takes nothing that was told.
 * Method: sessions that say goodbye, are cut, come back, are superseded, or whose pod is reported terminated.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe('goodbye', () => {
  test('gives back every hold at once, whatever its depth', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a');
    alice.tries('jobs/a');
    alice.tries('jobs/b', { ownerId: 'another' });
    alice.tries('migrations');
    const next = bob.waits('jobs/a');
    alice.closes('goodbye');
    expect(next.isGranted).toBe(true);
    expect(world.engine.holdCount).toBe(1);
    expect(world.lease('migrations').holders).toEqual([]);
    expect(world.eventsOf('ended').map((event) => event.reason)).toEqual(['goodbye', 'goodbye', 'goodbye']);
  });

  test('withdraws every wait', () => {
    const { world, alice, bob } = setup();
    bob.tries('jobs/a');
    alice.waits('jobs/a');
    alice.closes('goodbye');
    expect(world.engine.waiterCount).toBe(0);
  });

  test('over a superseded connection is not one', () => {
    const { world, alice } = setup();
    alice.tries('jobs/a');
    alice.connects();
    world.apply({ kind: 'closeSession', sessionId: alice.id, connection: 1, reason: 'goodbye' });
    expect(world.holders('jobs/a')).toEqual(['alice']);
  });
});

describe('a lost connection', () => {
  test('frees nothing that was granted: the hold runs to its expiry', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a');
    const next = bob.waits('jobs/a');
    alice.closes('lost');
    world.passes(14_999);
    expect(next.isWaiting).toBe(true);
    world.passes(1);
    expect(next.isGranted).toBe(true);
  });

  test('does not keep the session from coming back to its holds', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    alice.closes('lost');
    world.passes(10_000);
    alice.connects();
    expect(alice.renews(held).hold).toMatchObject({ remainingMs: 15_000, seen: 2 });
    alice.closes('lost');
    alice.connects();
    expect(alice.releases(held).depth).toBe(0);
  });

  test('leaves no session behind once another of its pod has taken its last hold over', () => {
    const { world, alice } = setup();
    const twin = world.session('twin', { principal: alice.principal });
    const held = alice.tries('jobs/a');
    alice.closes('lost');
    expect(world.engine.sessionCount).toBe(3);
    expect(twin.renews(held).isGranted).toBe(true);
    expect(world.engine.sessionCount).toBe(2);
  });

  test('nothing sent over it is heard any more', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    alice.closes('lost');
    expect(alice.releases(held).isWaiting).toBe(true);
    expect(world.holders('jobs/a')).toEqual(['alice']);
  });

  test('followed by a goodbye gives the holds back', () => {
    const { world, alice } = setup();
    alice.tries('jobs/a');
    alice.closes('lost');
    alice.closes('goodbye');
    expect(world.holders('jobs/a')).toEqual([]);
  });
});

describe('a session with the slot of one that is still here', () => {
  test.each(['first', 'second'])('the slot stays on record for the other one when the %s leaves', (leaver) => {
    const { world } = setup();
    const first = world.session('first', { slot: 40 });
    first.tries('jobs/a');
    const second = world.session('second', { slot: 40, principal: first.principal });
    second.tries('jobs/b');
    (leaver === 'first' ? first : second).closes('goodbye');
    const other = world.session('other', { slot: 41 });
    other.tries('jobs/c');
    expect(world.shardRecord.slots).toEqual(expect.arrayContaining([40, 41]));
  });
});

describe('a new connection', () => {
  test('supersedes the one before, whose frames are dropped unread', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a');
    alice.connects();
    const late = alice.sends({ op: 'release', key: held.key, token: held.token }, 1);
    expect(late.isWaiting).toBe(true);
    expect(world.holders('jobs/a')).toEqual(['alice']);
    expect(world.count('supersededFrame')).toBe(1);
  });

  test('that comes after a newer one changes nothing', () => {
    const { world, alice } = setup();
    alice.connects();
    const { id, principal, slot } = alice;
    world.apply({ kind: 'openSession', sessionId: id, connection: 1, principal, slot, inProcess: true });
    expect(alice.tries('jobs/a').isGranted).toBe(true);
  });

  test('of another pod under the same number is a broken caller', () => {
    const { world, alice } = setup();
    const { id, slot } = alice;
    const stolen = { sessionId: id, connection: 9, principal: 'pod-mallory', slot, inProcess: true };
    expect(() => world.apply({ kind: 'openSession', ...stolen })).toThrow('principal');
  });
});

describe('an orphan, whose containers were reported terminated', () => {
  test('loses a durable hold at once, with a number spent, and the next grant shares the write', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('migrations');
    const next = bob.waits('migrations');
    world.writesWait = true;
    alice.closes('orphaned');
    expect(next.isWaiting).toBe(true);
    expect(world.write('migrations').record.holders.map((holder) => holder.ownerId)).toEqual(['bob']);
    world.write('migrations').lands();
    expect(next.token).toBeGreaterThan(held.token + 1);
    expect(world.eventsOf('ended')).toMatchObject([{ reason: 'orphaned', by: 'lockkeeper' }]);
  });

  test('loses a pool key only once its slot is off the record', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 60_000 });
    bob.releases(bob.tries('jobs/b'));
    const next = bob.waits('jobs/a');
    world.writesWait = true;
    alice.closes('orphaned');
    expect(world.holders('jobs/a')).toEqual(['alice']);
    expect(world.write(undefined).shardRecord.slots).toEqual([bob.slot]);
    world.write(undefined).lands();
    expect(next.isGranted).toBe(true);
  });

  test('cannot claim after a crash', () => {
    const { world, alice } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    alice.closes('orphaned');
    world.crashes();
    alice.connects();
    expect(alice.reclaims(held).code).toBe('NOT_HELD');
  });

  test('that turns up again gets nothing, so that its slot never comes back on record', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    world.writesWait = true;
    alice.closes('orphaned');
    alice.connects();
    expect(alice.tries('jobs/b').details).toMatchObject({ reason: 'orphaned' });
    expect(alice.renews(held).code).toBe('UNAVAILABLE');
    world.write(undefined).lands();
    expect(alice.tries('jobs/b').code).toBe('UNAVAILABLE');
    world.writesWait = false;
    bob.tries('jobs/c');
    expect(world.shardRecord.slots).toEqual([bob.slot]);
  });

  test('keeps durable holds that it took meanwhile out of the record of its pool keys', () => {
    const { world, alice } = setup();
    alice.tries('jobs/a');
    alice.closes('lost');
    alice.closes('orphaned');
    expect(world.engine.holdCount).toBe(0);
  });
});

describe('the slot of a session', () => {
  test('is on record before its first grant from memory is told', () => {
    const { world, alice } = setup();
    world.writesWait = true;
    const asked = alice.tries('jobs/a');
    expect(world.write(undefined).shardRecord.slots).toEqual([alice.slot]);
    expect(asked.isWaiting).toBe(true);
  });

  test('is not needed for a durable lock', () => {
    const { world, alice } = setup();
    alice.tries('migrations');
    expect(world.shardRecord.slots).toEqual([]);
  });

  test('of many sessions that come together costs two writes', () => {
    const { world } = setup();
    world.writesWait = true;
    const asks = Array.from({ length: 50 }, (_, index) => world.session(`s${index}`).tries(`jobs/${index}`));
    world.write(undefined).lands();
    world.write(undefined).lands();
    expect(asks.every((ask) => ask.isGranted)).toBe(true);
    expect(world.shardRecord.slots.length).toBe(50);
  });

  test('leaves the record once the session is gone and nothing it held can live', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a', { ttlMs: 15_000 });
    bob.tries('jobs/b', { ttlMs: 15_000 });
    alice.closes('lost');
    world.passes(14_000);
    expect(world.shardRecord.slots).toEqual([alice.slot, bob.slot]);
    world.passes(16_000);
    bob.connects();
    expect(world.shardRecord.slots).toEqual([bob.slot]);
  });

  test('of a session that returns in time is still on record: no write is needed', () => {
    const { world, alice } = setup();
    alice.releases(alice.tries('jobs/a'));
    alice.closes('lost');
    const writes = world.persisted.length;
    alice.connects();
    expect(alice.tries('jobs/a').isGranted).toBe(true);
    expect(world.persisted.length).toBe(writes);
  });

  test('beyond the last one sets a mark that forbids an early end of grace', () => {
    const { world } = setup();
    const late = world.session('late', { slot: -1 });
    world.writesWait = true;
    const asked = late.tries('jobs/a');
    expect(world.write(undefined).shardRecord).toMatchObject({ slots: [], slotsOverflow: true });
    expect(asked.isWaiting).toBe(true);
    world.write(undefined).lands();
    expect(asked.isGranted).toBe(true);
    expect(world.session('later', { slot: -1 }).tries('jobs/b').isGranted).toBe(true);
  });
});
