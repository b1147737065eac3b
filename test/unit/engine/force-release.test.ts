/**
 * Goal: a forced end is on record before anybody is told of it, spends a number, keeps the queue, and survives a crash.
 * Method: an administrator's session forces locks whose writes the test answers by hand; crashes at the worst moments.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.pool('slots', { permits: 3 });
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob'), admin: world.session('admin') };
}

describe.each([
  ['a pool key', 'jobs/a', undefined],
  ['a DistributedLock', 'migrations', 'migrations'],
])('%s', (_kind, lockId, recordOf) => {
  test('is told to nobody, and goes to nobody, before it is on record', () => {
    const { world, alice, bob, admin } = setup();
    const held = alice.tries(lockId);
    const next = bob.waits(lockId);
    // Both sessions are on record already, so that only the forced end is missing there.
    bob.releases(bob.tries('jobs/other'));
    world.writesWait = true;
    const forced = admin.forces(lockId, 'stuck for an hour');
    expect(forced.isWaiting).toBe(true);
    expect(next.isWaiting).toBe(true);
    world.write(recordOf).lands();
    expect(forced.answer).toMatchObject({ kind: 'done', ended: 1 });
    expect(alice.renews(held).code).toBe('NOT_HELD');
    expect(next.isGranted).toBe(true);
  });

  test('leaves a gap in the tokens, so that no guard takes the old one for the next', () => {
    const { alice, bob, admin } = setup();
    const held = alice.tries(lockId);
    admin.forces(lockId);
    expect(bob.tries(lockId).token).toBeGreaterThan(held.token + 1);
  });

  test('names who asked and why, and the session to tell', () => {
    const { world, alice, admin } = setup();
    const held = alice.tries(lockId);
    admin.forces(lockId, 'stuck for an hour');
    expect(world.eventsOf('ended')).toMatchObject([
      {
        reason: 'forceReleased',
        by: 'admin',
        text: 'stuck for an hour',
        token: held.token,
        sessionId: alice.id,
        acknowledged: true,
      },
    ]);
  });

  test('of a lock that nobody holds ends nothing', () => {
    const { admin } = setup();
    expect(admin.forces(lockId).answer).toMatchObject({ kind: 'done', ended: 0 });
  });

  test('is not promised while the store refuses the record', () => {
    const { world, alice, admin } = setup();
    alice.tries(lockId);
    world.writesWait = true;
    const forced = admin.forces(lockId);
    world.write(recordOf).isRefused();
    expect(forced.answer?.kind).not.toBe('done');
    expect(world.eventsOf('recordRefused')).toMatchObject([{ text: 'the server says no' }]);
  });

  test('survives a crash right after it was told: the old holder has nothing to claim', () => {
    const { world, alice, bob, admin } = setup();
    const held = alice.tries(lockId, { ttlMs: 60_000 });
    admin.forces(lockId);
    const next = bob.tries(lockId, { ttlMs: 60_000 });
    world.crashes();
    alice.connects();
    expect(alice.reclaims(held).code).toBe('NOT_HELD');
    bob.connects();
    expect(bob.reclaims(next).hold.token).toBe(next.token);
    expect(world.holders(lockId)).toEqual(['bob']);
  });
});

test('an unknown lock cannot be forced', () => {
  const { admin } = setup();
  expect(admin.forces('nothing').code).toBe('LOCK_NOT_FOUND');
});

test('all readers and all permits end', () => {
  const { world, alice, bob, admin } = setup();
  alice.tries('jobs/a', { mode: 'shared' });
  bob.tries('jobs/a', { mode: 'shared' });
  expect(admin.forces('jobs/a').answer).toMatchObject({ ended: 2 });
  for (const ownerId of ['one', 'two', 'three']) alice.tries('slots/s', { ownerId });
  expect(admin.forces('slots/s').answer).toMatchObject({ ended: 3 });
  expect(world.engine.holdCount).toBe(0);
});

describe('a pool key, while its forced end is being recorded', () => {
  function forcing() {
    const setting = setup();
    const held = setting.alice.tries('jobs/a', { ttlMs: 60_000 });
    setting.world.writesWait = true;
    return { ...setting, held, forced: setting.admin.forces('jobs/a') };
  }

  test('a renewal learns neither yes nor no', () => {
    const { alice, held } = forcing();
    const renewal = alice.renews(held);
    expect(renewal.code).toBe('UNAVAILABLE');
    expect(renewal.details).toMatchObject({ reason: 'ending' });
  });

  test('the holder may still give it back itself, and the next one is not touched by the record', () => {
    const { world, alice, bob, held, forced } = forcing();
    bob.waits('jobs/a');
    alice.releases(held);
    world.write(undefined).lands();
    while (world.writes.length > 0) world.write(undefined).lands();
    expect(forced.answer).toMatchObject({ kind: 'done', ended: 0 });
    expect(world.holders('jobs/a')).toEqual(['bob']);
  });

  test('a refused record is tried again until it lands', () => {
    const { world, forced } = forcing();
    world.write(undefined).isRefused();
    world.passes(500);
    world.write(undefined).isRefused();
    world.passes(1_000);
    world.write(undefined).lands();
    expect(forced.answer).toMatchObject({ kind: 'done', ended: 1 });
  });

  test('an unknown outcome is followed by a write that settles it', () => {
    const { world, forced } = forcing();
    world.write(undefined).isUnknown();
    expect(forced.isWaiting).toBe(true);
    world.write(undefined).lands();
    expect(forced.answer).toMatchObject({ kind: 'done', ended: 1 });
  });
});

describe('during grace', () => {
  test('a key that nobody has reclaimed yet is revoked all the same', () => {
    const { world, alice, admin } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    world.crashes();
    admin.connects();
    expect(admin.forces('jobs/a').answer).toMatchObject({ kind: 'done', ended: 0 });
    alice.connects();
    expect(alice.reclaims(held).code).toBe('NOT_HELD');
  });

  test('a claim that comes while the revocation is being written is refused', () => {
    const { world, alice, admin } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    world.crashes();
    world.writesWait = true;
    admin.connects();
    admin.forces('jobs/a');
    alice.connects();
    expect(alice.reclaims(held).code).toBe('NOT_HELD');
  });

  test('a hold that was reclaimed and is forced cannot be claimed again', () => {
    const { world, alice, admin } = setup();
    const held = alice.tries('jobs/a', { ttlMs: 60_000 });
    world.crashes();
    alice.connects();
    alice.reclaims(held);
    world.writesWait = true;
    admin.connects();
    admin.forces('jobs/a');
    expect(alice.reclaims(held).code).toBe('UNAVAILABLE');
    world.write(undefined).lands();
    expect(alice.reclaims(held).code).toBe('NOT_HELD');
  });
});

describe('a DistributedLock whose last end is not written yet', () => {
  test('a forced release of nothing waits for the record that still names the holder', () => {
    const { world, alice, admin } = setup();
    const held = alice.tries('migrations');
    world.writesWait = true;
    alice.releases(held);
    const forced = admin.forces('migrations');
    expect(forced.isWaiting).toBe(true);
    world.write('migrations').lands();
    world.write('migrations').lands();
    expect(forced.answer).toMatchObject({ kind: 'done', ended: 0 });
  });

  test('a repeated force release after a refused write is not acknowledged before one lands', () => {
    const { world, alice, admin } = setup();
    alice.tries('migrations');
    world.writesWait = true;
    admin.forces('migrations');
    world.write('migrations').isRefused();
    const again = admin.forces('migrations');
    expect(again.isWaiting).toBe(true);
    world.passes(500);
    world.write('migrations').lands();
    expect(again.answer).toMatchObject({ kind: 'done' });
    expect(world.lease('migrations').holders).toEqual([]);
  });
});

test('a shard remembers a bounded number of forced ends, and forgets each when nothing can claim it any more', () => {
  const { world, alice, admin } = setup();
  for (let index = 0; index < 1_024; index++) {
    alice.tries(`jobs/${index}`, { ttlMs: 15_000 });
    admin.forces(`jobs/${index}`);
  }
  alice.tries('jobs/beyond', { ttlMs: 15_000 });
  const beyond = admin.forces('jobs/beyond');
  expect(beyond.code).toBe('UNAVAILABLE');
  expect(beyond.details).toMatchObject({ reason: 'revocationsFull', retryAfterMs: 15_000 });
  world.passes(10_000);
  alice.tries('jobs/later', { ttlMs: 15_000 });
  world.passes(5_001);
  expect(admin.forces('jobs/later').answer).toMatchObject({ kind: 'done', ended: 1 });
});
