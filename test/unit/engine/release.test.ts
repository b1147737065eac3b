/**
 * Goal: a release ends exactly the hold it names, at once for its holder, and can be repeated without harm.
 * Method: releases by the holder, repeated, by strangers, of old tokens; for durable locks the write that follows.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('is free at once', () => {
    const { world, alice, bob } = setup();
    expect(alice.releases(alice.tries(lockId)).answer).toMatchObject({ kind: 'released', depth: 0 });
    expect(bob.tries(lockId).isGranted).toBe(true);
    expect(world.eventsOf('ended')).toMatchObject([{ reason: 'released', acknowledged: true }]);
  });

  test('a release of an old token changes nothing', () => {
    const { world, alice } = setup();
    const old = alice.tries(lockId);
    alice.releases(old);
    alice.tries(lockId);
    expect(alice.releases(old).code).toBe('NOT_HELD');
    expect(world.holders(lockId)).toEqual(['alice']);
  });

  test('another pod cannot release it, and learns nothing about the token', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId);
    const theirs = bob.sends({ op: 'release', key: held.key, token: held.token });
    const unknown = bob.sends({ op: 'release', key: held.key, token: held.token + 5 });
    expect(theirs.code).toBe('NOT_HELD');
    expect(unknown.details).toEqual({ ...theirs.details, fencingToken: String(held.token + 5) });
    expect(world.holders(lockId)).toEqual(['alice']);
  });

  test('another owner of the same pod cannot release it by naming itself', () => {
    const { alice } = setup();
    const held = alice.tries(lockId);
    const { key, token } = held.hold;
    expect(alice.sends({ op: 'release', key, token, ownerId: 'other' }).code).toBe('NOT_HELD');
    expect(alice.sends({ op: 'release', key, token, ownerId: 'alice' }).depth).toBe(0);
  });

  test('one that names the depth it leaves may be repeated', () => {
    const { world, alice } = setup();
    alice.tries(lockId);
    alice.tries(lockId);
    const inner = alice.tries(lockId);
    expect(alice.releases(inner, { leaveDepth: 2 }).depth).toBe(2);
    expect(alice.releases(inner, { leaveDepth: 2 }).depth).toBe(2);
    expect(alice.releases(inner, { leaveDepth: 0 }).depth).toBe(0);
    expect(world.holders(lockId)).toEqual([]);
  });

  test('a grant that reached nobody is given back whole, and counted', () => {
    const { world, alice } = setup();
    alice.tries(lockId);
    const inner = alice.tries(lockId);
    expect(alice.releases(inner, { disowned: true }).depth).toBe(0);
    expect(world.holders(lockId)).toEqual([]);
    expect(world.count('lateGrant')).toBe(1);
    expect(world.eventsOf('ended')).toMatchObject([{ reason: 'disowned' }]);
  });

  test('a release of nothing is not found or not held', () => {
    const { alice } = setup();
    expect(alice.sends({ op: 'release', key: 'ns/nothing', token: 1 }).code).toBe('LOCK_NOT_FOUND');
    expect(alice.sends({ op: 'release', key: `ns/${lockId}`, token: 1 }).code).toBe('NOT_HELD');
  });
});

test('the release of a durable lock is answered before its write, and the write follows', () => {
  const { world, alice } = setup();
  const held = alice.tries('migrations');
  world.writesWait = true;
  expect(alice.releases(held).depth).toBe(0);
  expect(world.write('migrations').record).toMatchObject({
    holders: [],
    counter: held.token,
    fenceFloor: held.token + 1,
  });
});

test('the release of an inner section costs no write', () => {
  const { world, alice } = setup();
  alice.tries('migrations');
  const inner = alice.tries('migrations');
  const writes = world.persisted.length;
  alice.releases(inner);
  expect(world.persisted.length).toBe(writes);
});

test('a crash before the write of a release costs the next owner one time to live', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('migrations', { ttlMs: 20_000 });
  world.writesWait = true;
  alice.releases(held);
  world.writesWait = false;
  world.crashes();
  bob.connects();
  const next = bob.waits('migrations');
  expect(world.inspect('migrations').holders).toMatchObject([{ ownerId: 'alice', unclaimed: true }]);
  world.passes(19_999);
  expect(next.isWaiting).toBe(true);
  world.passes(1);
  expect(next.isGranted).toBe(true);
});
