/**
 * Goal: a new owner takes a durable lock over as its Lease says: full time for every holder, tokens above everything recorded,
 * and no guess about what is not recorded.
 * Method: records adopted by a fresh engine, then renewals, releases and acquires before and after the sessions have spoken.
 */
import { describe, expect, test } from '@jest/globals';
import { DEFAULT_LOCK_POLICY } from '../../../src/api/policies.ts';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.lock('migrations');
  const [alice, bob] = ['alice', 'bob'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob! };
}

test('every recorded holder gets its full recorded time from the takeover', () => {
  const { world, alice } = setup();
  alice.tries('migrations', { ttlMs: 15_000 });
  world.passes(14_000);
  world.crashes();
  world.passes(14_999);
  expect(world.inspect('migrations').holders).toMatchObject([{ ownerId: 'alice', unclaimed: true, depth: 1 }]);
  world.passes(1);
  expect(world.holders('migrations')).toEqual([]);
});

test('what was promised counts, not what the policy says today', () => {
  const { world, alice } = setup();
  const held = alice.tries('migrations', { ttlMs: 15_000 });
  alice.renews(held, 60_000);
  world.lock('migrations', { leaseDurationMs: 5_000, maxLeaseDurationMs: 5_000 });
  world.crashes();
  expect(world.inspect('migrations').holders[0]?.remainingMs).toBe(60_000);
});

test('a longest life that was set after the promise does not end it early', () => {
  const { world, alice, bob } = setup();
  world.pool('jobs');
  alice.tries('migrations', { ttlMs: 15_000 });
  const held = alice.tries('jobs/a', { ttlMs: 15_000 });
  world.lock('migrations', { maxHoldMs: 4_000 });
  world.pool('jobs', { maxHoldMs: 4_000 });
  world.crashes();
  alice.connects();
  bob.connects();
  expect(alice.reclaims(held).hold.remainingMs).toBe(15_000);
  world.passes(14_999);
  expect([world.holders('migrations'), world.holders('jobs/a')]).toEqual([['alice'], ['alice']]);
});

test('what is declared in a grace beyond the longest life of its key is told its whole time', () => {
  const { world, alice, bob } = setup();
  world.pool('jobs', { maxHoldMs: 6_000 });
  world.pool('long');
  bob.tries('long/a', { ttlMs: 60_000 });
  const held = alice.tries('jobs/a', { ttlMs: 4_000 });
  world.crashes();
  alice.connects();
  expect(alice.reclaims(held).hold.remainingMs).toBe(4_000);
  world.passes(5_999);
  expect(world.holders('jobs/a')).toEqual(['alice']);
  world.passes(1);
  expect(world.holders('jobs/a')).toEqual([]);
});

test('the next token is above the record, and above the floor of the clock', () => {
  const { world, alice, bob } = setup();
  alice.releases(alice.tries('migrations'));
  const stored = world.leases.get('ns/migrations')!;
  world.leases.set('ns/migrations', { ...stored, record: { ...stored.record, counter: 400 } });
  world.crashes();
  bob.connects();
  expect(bob.tries('migrations').token).toBe(401);
  const fresh = { kind: 'configure', resource: 'lock', name: 'ns/fresh', policy: DEFAULT_LOCK_POLICY } as const;
  world.apply({ ...fresh, counterFloor: 1_700_000_000_000 });
  expect(bob.tries('fresh').token).toBe(1_700_000_000_000);
});

test('a recorded lock without rules is not granted, and its holders live on', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('migrations');
  world.deletes('lock', 'migrations');
  world.crashes();
  bob.connects();
  alice.connects();
  expect(bob.tries('migrations').code).toBe('LOCK_NOT_FOUND');
  expect(alice.renews(held).isGranted).toBe(true);
});

describe('an adopted hold that its session has not declared', () => {
  function adopted(depth = 1) {
    const setting = setup();
    const held = Array.from({ length: depth }, () => setting.alice.tries('migrations', { ttlMs: 15_000 }))[0]!;
    setting.world.crashes();
    setting.alice.connects();
    setting.bob.connects();
    return { ...setting, held };
  }

  test('may be renewed', () => {
    const { world, alice, held } = adopted();
    world.passes(10_000);
    expect(alice.renews(held).hold).toMatchObject({ token: held.token, remainingMs: 15_000 });
    expect(world.inspect('migrations').holders[0]?.unclaimed).toBe(true);
  });

  test('is not released: its depth is not on record, and an outer section may be running', () => {
    const { world, alice, held } = adopted(3);
    const release = alice.releases(held);
    expect(release.code).toBe('UNAVAILABLE');
    expect(release.details).toMatchObject({ reason: 'unclaimed', retryAfterMs: 1_000 });
    alice.renews(held);
    expect(alice.releases(held).code).toBe('UNAVAILABLE');
    expect(world.holders('migrations')).toEqual(['alice']);
  });

  test('is joined by nobody', () => {
    const { alice } = adopted();
    expect(alice.tries('migrations').code).toBe('LOCK_HELD');
  });

  test('is released in as many steps as its session declares', () => {
    const { world, alice, held } = adopted(3);
    expect(alice.reclaims(held, { depth: 3 }).hold).toMatchObject({ depth: 3, token: held.token });
    expect(alice.releases(held).depth).toBe(2);
    expect(alice.releases(held).depth).toBe(1);
    expect(world.holders('migrations')).toEqual(['alice']);
    expect(alice.releases(held).depth).toBe(0);
    expect(world.holders('migrations')).toEqual([]);
  });

  test('gives way to its own owner once its session has declared everything else: a new ownership, in one write', () => {
    const { world, alice, held } = adopted();
    alice.completesReclaim();
    world.writesWait = true;
    const again = alice.tries('migrations');
    expect(world.write('migrations').record.holders.map((holder) => holder.token)).toEqual([held.token + 1]);
    world.write('migrations').lands();
    expect(again.hold).toMatchObject({ depth: 1, token: held.token + 1 });
    expect(alice.releases(held).code).toBe('NOT_HELD');
  });

  test('does not give way to another owner', () => {
    const { world, bob } = adopted();
    bob.completesReclaim();
    expect(bob.tries('migrations').code).toBe('LOCK_HELD');
    const next = bob.waits('migrations');
    world.passes(15_000);
    expect(next.isGranted).toBe(true);
  });

  test('can be forced', () => {
    const { bob, alice, held } = adopted();
    expect(bob.forces('migrations').answer).toMatchObject({ ended: 1 });
    expect(alice.reclaims(held).code).toBe('NOT_HELD');
  });
});

test('a crash right after the write and before the answer leaves a hold that its owner can find', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  const asked = alice.tries('migrations', { ttlMs: 15_000 });
  world.write('migrations').reachesStore();
  world.writesWait = false;
  world.crashes();
  alice.connects();
  alice.completesReclaim();
  expect(asked.isWaiting).toBe(true);
  expect(alice.tries('migrations').isGranted).toBe(true);
});
