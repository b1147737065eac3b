/**
 * Goal: a durable grant is told only after its write landed, and every outcome of a write is answered for what it is.
 * Method: each write is answered by hand: it lands, meets another version, is refused, or nobody knows what became of it.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.lock('migrations');
  world.lock('builds', { permits: 2 });
  world.writesWait = true;
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob!, carol: carol! };
}

describe('a write that lands', () => {
  test('carries the holder, its token and its time, and only then the grant is told', () => {
    const { world, alice } = setup();
    const asked = alice.tries('migrations', { ttlMs: 20_000 });
    const { record, effect } = world.write('migrations');
    expect(effect).toMatchObject({ kind: 'persistLock', version: undefined });
    expect(record).toMatchObject({ key: 'ns/migrations', lockDelayMs: 0 });
    expect(record.holders).toEqual([
      { principal: 'pod-alice', ownerId: 'alice', mode: 'exclusive', token: record.counter, ttlMs: 20_000 },
    ]);
    expect(record.fenceFloor).toBe(record.counter);
    expect(asked.replies).toEqual([]);
    world.write('migrations').lands();
    expect(asked.hold).toMatchObject({ token: record.counter, remainingMs: 20_000 });
  });

  test('is one for each grant, and none for a renewal or a re-entry', () => {
    const { world, alice } = setup();
    world.writesWait = false;
    const held = alice.tries('migrations');
    alice.renews(held);
    alice.tries('migrations');
    expect(world.persisted.length).toBe(1);
  });

  test('is named by an attempt that no other write ever has', () => {
    const { world, alice } = setup();
    world.writesWait = false;
    for (let round = 0; round < 5; round++) alice.releases(alice.tries('migrations'));
    world.crashes();
    alice.connects();
    alice.releases(alice.tries('migrations'));
    const attempts = world.persisted.map((effect) => effect.attempt);
    expect(new Set(attempts).size).toBe(attempts.length);
  });

  test('an answer to another attempt is none', () => {
    const { world, alice } = setup();
    const asked = alice.tries('migrations');
    world.apply({ kind: 'persisted', key: 'ns/migrations', attempt: 'somebody.0.1', outcome: 'ok', version: '9' });
    expect(asked.isWaiting).toBe(true);
  });
});

describe('a write that meets another version', () => {
  test('of a record that somebody else wrote adopts its holders, and gives way to them', () => {
    const { world, alice, bob } = setup();
    world.writesWait = false;
    alice.releases(alice.tries('migrations'));
    world.writesWait = true;
    const stranger = { principal: 'pod-x', ownerId: 'x', mode: 'exclusive', token: 50, ttlMs: 30_000 } as const;
    world.edits('migrations', { attempt: 'old owner', counter: 50, holders: [stranger] });
    const asked = bob.tries('migrations');
    world.write('migrations').lands();
    expect(asked.code).toBe('UNAVAILABLE');
    expect(asked.details).toMatchObject({ reason: 'conflict' });
    expect(world.inspect('migrations').holders).toMatchObject([{ ownerId: 'x', token: 50, unclaimed: true }]);
    expect(world.inspect('migrations').holders[0]?.remainingMs).toBe(30_000);
    expect(world.write('migrations').record.holders).toEqual([stranger]);
    expect(world.eventsOf('recordEdited').length).toBe(1);
  });

  test('also a grant decided after it was sent gives way', () => {
    const { world, alice, bob } = setup();
    world.writesWait = false;
    const held = alice.tries('migrations');
    world.writesWait = true;
    alice.releases(held);
    const asked = bob.tries('migrations');
    const stranger = { principal: 'pod-x', ownerId: 'x', mode: 'exclusive', token: 50, ttlMs: 30_000 } as const;
    world.edits('migrations', { attempt: 'old owner', counter: 50, holders: [stranger] });
    world.write('migrations').lands();
    expect(asked.code).toBe('UNAVAILABLE');
    world.write('migrations').lands();
    expect(world.lease('migrations').holders.map((holder) => holder.ownerId)).toEqual(['x']);
  });

  test('of a semaphore gives way only as far as it must, the latest grant first', () => {
    const { world, alice, bob, carol } = setup();
    world.writesWait = false;
    alice.releases(alice.tries('builds'));
    world.writesWait = true;
    const earlier = bob.tries('builds');
    const later = carol.tries('builds');
    const stranger = { principal: 'pod-x', ownerId: 'x', mode: 'exclusive', token: 1, ttlMs: 30_000 } as const;
    world.edits('builds', { attempt: 'old owner', counter: 1, holders: [stranger] });
    world.write('builds').lands();
    expect(later.code).toBe('UNAVAILABLE');
    world.write('builds').lands();
    expect(earlier.isGranted).toBe(true);
  });

  test('brings nobody back whose end is only not written yet', () => {
    const { world, alice, bob } = setup();
    world.writesWait = false;
    const held = alice.tries('migrations', { ttlMs: 15_000 });
    world.writesWait = true;
    alice.renews(held, 60_000);
    world.crashes();
    // The old owner's last write lands behind the back of the new one, which ends the hold by force meanwhile.
    world.adrift[0]?.reachesStore();
    bob.connects();
    const forced = bob.forces('migrations');
    world.write('migrations').lands();
    expect(world.write('migrations').record.holders).toEqual([]);
    world.write('migrations').lands();
    expect(forced.answer).toMatchObject({ kind: 'done', ended: 1 });
    expect(world.holders('migrations')).toEqual([]);
  });

  test('never tells a number that somebody else may have given out; the next one is above all of them', () => {
    const { world, alice, bob } = setup();
    world.writesWait = false;
    alice.releases(alice.tries('migrations'));
    world.edits('migrations', { attempt: 'somebody', counter: 700 });
    expect(bob.tries('migrations').code).toBe('UNAVAILABLE');
    expect(bob.tries('migrations').token).toBe(701);
  });

  test('of our own record that somebody only touched says nothing new', () => {
    const { world, alice, bob } = setup();
    world.writesWait = false;
    const held = alice.tries('migrations');
    world.edits('migrations', {});
    alice.releases(held);
    expect(world.lease('migrations').holders).toEqual([]);
    expect(world.eventsOf('recordEdited')).toEqual([]);
    expect(bob.tries('migrations').isGranted).toBe(true);
  });

  test('of a Lease that is gone makes it anew, above every token seen', () => {
    const { world, alice, bob } = setup();
    world.writesWait = false;
    const held = alice.tries('migrations');
    world.leases.delete('ns/migrations');
    alice.releases(held);
    expect(world.lease('migrations')).toMatchObject({ holders: [], counter: held.token });
    expect(bob.tries('migrations').token).toBe(held.token + 1);
    expect(world.eventsOf('recordDeleted').length).toBe(1);
  });

  test('of a Lease that went backwards stops everything: a backup was restored', () => {
    const { world, alice, bob } = setup();
    world.writesWait = false;
    for (let round = 0; round < 3; round++) alice.releases(alice.tries('migrations'));
    world.edits('migrations', { attempt: 'yesterday', counter: 1 });
    const asked = bob.tries('migrations');
    expect(world.regressedKey).toBe('ns/migrations');
    expect(asked.isWaiting).toBe(true);
    expect(alice.tries('builds').details).toMatchObject({ reason: 'frozen' });
    expect(world.engine.wakeAtMs).toBe(Number.POSITIVE_INFINITY);
  });
});

describe('a write of unknown outcome', () => {
  test('is reported as unknown; without a request id the grant is given up and its number spent', () => {
    const { world, alice, bob } = setup();
    const asked = alice.tries('migrations');
    const spent = world.write('migrations').record.counter;
    world.write('migrations').isUnknown();
    expect(asked.code).toBe('OUTCOME_UNKNOWN');
    const next = bob.waits('migrations');
    world.write('migrations').lands();
    world.write('migrations').lands();
    expect(next.token).toBeGreaterThan(spent);
  });

  test('is settled by the next write, never by what a read shows', () => {
    const { world, alice } = setup();
    alice.tries('migrations', { requestId: 'r' });
    const first = world.write('migrations');
    first.isUnknown();
    const again = alice.tries('migrations', { requestId: 'r' });
    // The first one has not landed when the second is sent, and reaches the store before it.
    first.reachesStore();
    world.write('migrations').lands();
    expect(again.isWaiting).toBe(true);
    expect(world.count('writeUnknownLanded')).toBe(1);
    world.write('migrations').lands();
    expect(again.hold.token).toBe(first.record.counter);
  });

  test('cannot land any more once a later one has', () => {
    const { world, alice } = setup();
    alice.tries('migrations', { requestId: 'r' });
    const first = world.write('migrations');
    first.isUnknown();
    world.write('migrations').lands();
    expect(first.reachesStore()).toBe(false);
  });

  test('that made the Lease, found by a second attempt to make it, is known as ours', () => {
    const { world, alice, bob } = setup();
    const asked = alice.tries('migrations');
    const first = world.write('migrations');
    first.isUnknown();
    first.reachesStore();
    expect(asked.code).toBe('OUTCOME_UNKNOWN');
    world.write('migrations').lands();
    world.write('migrations').lands();
    expect(world.lease('migrations').holders).toEqual([]);
    expect(bob.waits('migrations').isWaiting).toBe(true);
    expect(world.eventsOf('recordEdited')).toEqual([]);
  });

  test('twice in a row is followed by a pause', () => {
    const { world, alice } = setup();
    alice.tries('migrations');
    world.write('migrations').isUnknown();
    world.write('migrations').isUnknown();
    expect(world.writes).toEqual([]);
    expect(alice.tries('migrations').code).toBe('UNAVAILABLE');
    world.passes(500);
    world.write('migrations').lands();
    expect(world.lease('migrations').holders).toEqual([]);
  });

  test('of a release is written again; the release itself was answered long ago', () => {
    const { world, alice } = setup();
    world.writesWait = false;
    const held = alice.tries('migrations');
    world.writesWait = true;
    expect(alice.releases(held).depth).toBe(0);
    world.write('migrations').isUnknown();
    world.write('migrations').lands();
    expect(world.lease('migrations').holders).toEqual([]);
  });
});

describe('a refused write', () => {
  test('refuses the grants and promises it carried, and those that would wait for the next one', () => {
    const { world, alice, bob } = setup();
    const first = alice.tries('builds');
    const second = bob.tries('builds');
    world.write('builds').isRefused('namespace is terminating');
    expect([first.code, second.code]).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
    expect(world.eventsOf('recordRefused')).toMatchObject([{ key: 'ns/builds', text: 'namespace is terminating' }]);
    expect(world.eventsOf('ended')).toMatchObject([{ reason: 'storeRefused' }, { reason: 'storeRefused' }]);
  });

  test('is tried again after pauses that double up to fifteen seconds', () => {
    const { world, alice } = setup();
    alice.tries('migrations');
    const pauses: number[] = [];
    for (let attempt = 0; attempt < 8; attempt++) {
      world.write('migrations').isRefused();
      pauses.push(world.engine.wakeAtMs - world.nowMs);
      world.passes(world.engine.wakeAtMs - world.nowMs);
    }
    expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000]);
  });

  test('keeps a try-lock from waiting: it is told when to come back', () => {
    const { world, alice, bob } = setup();
    alice.tries('migrations');
    world.write('migrations').isRefused();
    world.passes(100);
    expect(bob.tries('migrations').details).toMatchObject({ reason: 'storeRefused', retryAfterMs: 400 });
  });

  test('spends its number: the next grant has a higher one', () => {
    const { world, alice, bob } = setup();
    alice.tries('migrations');
    const tried = world.write('migrations').record.counter;
    world.write('migrations').isRefused();
    world.passes(500);
    world.write('migrations').lands();
    const next = bob.tries('migrations');
    world.write('migrations').lands();
    expect(next.token).toBeGreaterThan(tried);
  });

  test('does not touch a hold that was told', () => {
    const { world, alice } = setup();
    world.writesWait = false;
    const held = alice.tries('migrations', { ttlMs: 15_000 });
    world.writesWait = true;
    alice.renews(held, 60_000);
    world.write('migrations').isRefused();
    expect(world.holders('migrations')).toEqual(['alice']);
    expect(alice.renews(held).isGranted).toBe(true);
  });
});

test('a record that cannot be read is refused by an owner that never wrote it, and written over by one that did', () => {
  const { world, alice } = setup();
  const damaged = { kind: 'persisted', key: 'ns/migrations', outcome: 'conflict', damagedVersion: '77' } as const;
  const asked = alice.tries('migrations');
  const first = world.write('migrations');
  world.writes.length = 0;
  world.apply({ ...damaged, attempt: first.effect.attempt });
  expect(asked.code).toBe('UNAVAILABLE');
  world.passes(500);
  world.write('migrations').lands();
  const held = alice.tries('migrations');
  world.write('migrations').lands();
  alice.releases(held);
  const second = world.write('migrations');
  world.writes.length = 0;
  world.apply({ ...damaged, attempt: second.effect.attempt });
  expect(world.write('migrations').effect).toMatchObject({ version: '77', record: { holders: [] } });
});
