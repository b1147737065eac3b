/**
 * Goal: a renewal extends exactly the hold it names, never shortens it, and promises nothing that is not on record.
 * Method: renewals by the holder, by strangers, with shorter and longer times, on pool keys and DistributedLocks.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs', { maxLeaseDurationMs: 300_000 });
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('counts from now, by the time to live it has', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { ttlMs: 20_000 });
    world.passes(15_000);
    expect(alice.renews(held).hold).toMatchObject({ token: held.token, ttlMs: 20_000, remainingMs: 20_000, depth: 1 });
    world.passes(19_999);
    expect(world.holders(lockId)).toEqual(['alice']);
  });

  test('costs no write', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId);
    const writes = world.persisted.length;
    for (let round = 0; round < 10; round++) alice.renews(held);
    expect(world.persisted.length).toBe(writes);
  });

  test('never moves an expiry earlier', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { ttlMs: 60_000 });
    expect(alice.renews(held, 5_000).hold).toMatchObject({ ttlMs: 5_000, remainingMs: 60_000 });
    world.passes(59_999);
    expect(world.holders(lockId)).toEqual(['alice']);
  });

  test('of a session that was superseded is dropped unread', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { ttlMs: 20_000 });
    alice.connects();
    world.passes(10_000);
    const late = alice.sends({ op: 'renew', key: held.key, token: held.token }, 1);
    expect(late.isWaiting).toBe(true);
    expect(world.count('supersededFrame')).toBe(1);
    world.passes(10_000);
    expect(world.holders(lockId)).toEqual([]);
  });

  test('by another pod, another owner or with another token changes nothing', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId, { ttlMs: 20_000 });
    world.passes(10_000);
    const { key, token } = held.hold;
    expect(bob.sends({ op: 'renew', key, token }).code).toBe('NOT_HELD');
    expect(alice.sends({ op: 'renew', key, token, ownerId: 'somebody' }).code).toBe('NOT_HELD');
    expect(alice.sends({ op: 'renew', key, token: token + 1 }).code).toBe('NOT_HELD');
    world.passes(10_000);
    expect(world.holders(lockId)).toEqual([]);
  });

  test('of an unknown lock is not found', () => {
    const { alice } = setup();
    expect(alice.sends({ op: 'renew', key: 'ns/nothing', token: 1 }).code).toBe('LOCK_NOT_FOUND');
  });

  test('beyond what the policy allows is refused, and the hold is as it was', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId);
    const asked = alice.renews(held, 3_600_001);
    expect(asked.code).toBe('INVALID_ARGUMENT');
    expect(asked.details).toMatchObject({ field: 'ttlMs' });
    expect(world.inspect(lockId).holders[0]?.remainingMs).toBe(15_000);
  });

  test('for longer than is on record waits for the record', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { ttlMs: 15_000 });
    world.writesWait = true;
    world.passes(10_000);
    const renewal = alice.renews(held, 60_000);
    expect(renewal.isWaiting).toBe(true);
    expect(world.inspect(lockId).holders[0]?.remainingMs).toBe(5_000);
    world.passes(1_000);
    world.writes[0]?.lands();
    expect(renewal.hold.remainingMs).toBe(60_000);
    world.crashes();
    world.writesWait = false;
    const recordedMs = lockId === 'migrations' ? world.lease(lockId).holders[0]?.ttlMs : world.shardRecord.graceMs;
    expect(recordedMs).toBeGreaterThanOrEqual(60_000);
  });

  test('for longer than is on record is answered with the end of the hold, if that comes first', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, { ttlMs: 15_000 });
    world.writesWait = true;
    const renewal = alice.renews(held, 60_000);
    world.passes(15_000);
    expect(renewal.isWaiting).toBe(true);
    world.writes[0]?.lands();
    expect(renewal.code).toBe('NOT_HELD');
  });
});

test('a longer time on the Lease of a lock stays there until the hold ends', () => {
  const { world, alice } = setup();
  const held = alice.tries('migrations', { ttlMs: 15_000 });
  alice.renews(held, 60_000);
  alice.renews(held, 5_000);
  alice.tries('migrations', { ttlMs: 70_000 });
  expect(world.lease('migrations').holders[0]?.ttlMs).toBe(70_000);
});

test('a longer time whose record was refused is not promised; the old time runs on', () => {
  const { world, alice } = setup();
  const held = alice.tries('migrations', { ttlMs: 15_000 });
  world.writesWait = true;
  const renewal = alice.renews(held, 60_000);
  world.write('migrations').isRefused();
  expect(renewal.code).toBe('UNAVAILABLE');
  expect(alice.renews(held).hold.remainingMs).toBe(15_000);
});

test('a longer time whose record is unknown is reported as unknown', () => {
  const { world, alice } = setup();
  const held = alice.tries('migrations', { ttlMs: 15_000 });
  world.writesWait = true;
  const renewal = alice.renews(held, 60_000);
  world.write('migrations').isUnknown();
  expect(renewal.code).toBe('OUTCOME_UNKNOWN');
});

test('a time that may stand on the Lease is never written shorter: a late write could otherwise undo it', () => {
  const { world, alice } = setup();
  const held = alice.tries('migrations', { ttlMs: 15_000 });
  world.writesWait = true;
  alice.renews(held, 60_000);
  const unknown = world.write('migrations');
  unknown.reachesStore();
  unknown.isUnknown();
  expect(world.write('migrations').record.holders[0]?.ttlMs).toBe(60_000);
  world.write('migrations').lands();
  expect(world.write('migrations').record.holders[0]?.ttlMs).toBe(60_000);
  // It was not promised all the same.
  expect(alice.renews(held, 60_000).isWaiting).toBe(true);
});

test('promises that wait for two writes of the shard are all answered', () => {
  const { world, alice } = setup();
  const held = [alice.tries('jobs/a', { ttlMs: 5_000 }), alice.tries('jobs/b', { ttlMs: 5_000 })];
  world.writesWait = true;
  const first = alice.renews(held[0]!, 60_000);
  const second = alice.renews(held[1]!, 120_000);
  world.write(undefined).isRefused();
  expect(first.code).toBe('UNAVAILABLE');
  expect(second.code).toBe('UNAVAILABLE');
});

test('a renewal by another session of the pod takes the hold over, once that session is on record', () => {
  const { world, alice } = setup();
  const held = alice.tries('jobs/a', { ttlMs: 15_000 });
  const heir = world.session('heir', { principal: alice.principal });
  world.writesWait = true;
  const renewal = heir.sends({ op: 'renew', key: held.key, token: held.token });
  expect(renewal.isWaiting).toBe(true);
  expect(world.write(undefined).shardRecord.slots).toEqual([alice.slot, heir.slot]);
  world.write(undefined).lands();
  expect(renewal.hold.seen).toBe(1);
  alice.closes('goodbye');
  expect(world.holders('jobs/a')).toEqual(['alice']);
});
