/**
 * Goal: a repeated request is answered from what its first one led to; it never makes a second hold, depth or place in line.
 * Method: the same requestId again while it waits, while its write is in flight, while it holds, and afterwards.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.lock('migrations');
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

const again = { requestId: 'r' };

describe.each([
  ['a pool key', 'jobs/a'],
  ['a DistributedLock', 'migrations'],
])('%s', (_kind, lockId) => {
  test('that is held is answered with the same token and depth', () => {
    const { world, alice } = setup();
    const first = alice.tries(lockId, again);
    world.passes(4_000);
    const second = alice.tries(lockId, again);
    expect(second.hold).toMatchObject({ token: first.token, depth: 1, remainingMs: 11_000, seen: 2 });
    expect(alice.releases(second).depth).toBe(0);
    expect(world.count('idempotentReply')).toBe(1);
  });

  test('that waits is answered together with the first', () => {
    const { world, alice, bob } = setup();
    const held = alice.tries(lockId);
    const first = bob.waits(lockId, again);
    const second = bob.waits(lockId, again);
    expect(world.engine.waiterCount).toBe(1);
    alice.releases(held);
    expect(second.hold).toMatchObject({ token: first.token, depth: 1 });
  });

  test('the longer of two waits counts', () => {
    const { world, alice, bob } = setup();
    alice.tries(lockId, { ttlMs: 60_000 });
    const first = bob.waits(lockId, { ...again, timeoutMs: 2_000 });
    const second = bob.waits(lockId, { ...again, timeoutMs: 9_000 });
    world.passes(8_999);
    expect(first.isWaiting).toBe(true);
    world.passes(1);
    expect([first.code, second.code]).toEqual(['ACQUIRE_TIMEOUT', 'ACQUIRE_TIMEOUT']);
  });

  test('as a try-lock it is refused while the first waits, and the first stays', () => {
    const { world, alice, bob } = setup();
    alice.tries(lockId);
    const first = bob.waits(lockId, again);
    expect(bob.tries(lockId, again).code).toBe('LOCK_HELD');
    expect(first.isWaiting).toBe(true);
    expect(world.engine.waiterCount).toBe(1);
  });

  test('after its release is answered NOT_HELD: it does not take the lock behind its owner', () => {
    const { world, alice } = setup();
    alice.releases(alice.tries(lockId, again));
    const late = alice.tries(lockId, again);
    expect(late.code).toBe('NOT_HELD');
    expect(late.details).toMatchObject({ reason: 'released' });
    expect(world.holders(lockId)).toEqual([]);
  });

  test('after its expiry, refusal or withdrawal starts from nothing', () => {
    const { world, alice, bob } = setup();
    const first = alice.tries(lockId, again);
    world.passes(15_000);
    const second = alice.tries(lockId, again);
    expect(second.token).toBeGreaterThan(first.token);
    expect(bob.tries(lockId, again).code).toBe('LOCK_HELD');
    alice.releases(second);
    expect(bob.tries(lockId, again).isGranted).toBe(true);
  });

  test('of a re-entry makes no second depth, and after its release is as released as a hold', () => {
    const { alice } = setup();
    const outer = alice.tries(lockId, { requestId: 'outer' });
    const inner = alice.tries(lockId, { requestId: 'inner' });
    expect(alice.tries(lockId, { requestId: 'inner' }).depth).toBe(2);
    expect(alice.tries(lockId, { requestId: 'outer' }).depth).toBe(1);
    alice.releases(inner);
    expect(alice.tries(lockId, { requestId: 'inner' }).code).toBe('NOT_HELD');
    expect(alice.releases(outer).depth).toBe(0);
  });

  test('belongs to its session', () => {
    const { alice, bob } = setup();
    alice.releases(alice.tries(lockId, again));
    expect(bob.tries(lockId, again).isGranted).toBe(true);
  });

  test('survives that the hold moves to another session of the pod, and ends with the hold', () => {
    const { world, alice } = setup();
    const held = alice.tries(lockId, again);
    const heir = world.session('heir', { principal: alice.principal });
    heir.sends({ op: 'renew', key: held.key, token: held.token });
    expect(alice.tries(lockId, again).hold).toMatchObject({ token: held.token, depth: 1, seen: 2 });
    heir.releases(held);
    expect(alice.tries(lockId, again).code).toBe('NOT_HELD');
  });
});

test('an id that was used for another lock is a mistake of the caller', () => {
  const { alice } = setup();
  alice.tries('jobs/a', again);
  expect(alice.tries('jobs/b', again).details).toMatchObject({ field: 'requestId' });
});

test('while its write is in flight it waits for the same outcome', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  const first = alice.tries('migrations', again);
  const second = alice.tries('migrations', again);
  world.write('migrations').lands();
  expect([first.depth, second.depth]).toEqual([1, 1]);
  expect(alice.releases(second).depth).toBe(0);
});

test('a re-entry that waits for its record is not asked twice', () => {
  const { world, alice } = setup();
  const outer = alice.tries('migrations', { ttlMs: 15_000 });
  world.writesWait = true;
  const first = alice.tries('migrations', { ttlMs: 60_000, requestId: 'inner' });
  const second = alice.tries('migrations', { ttlMs: 60_000, requestId: 'inner' });
  world.write('migrations').lands();
  expect([first.depth, second.depth]).toEqual([2, 2]);
  alice.releases(second);
  expect(alice.releases(outer).depth).toBe(0);
});

test('after an unknown write it finds the grant again once that has landed', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  const first = alice.tries('migrations', again);
  const write = world.write('migrations');
  write.reachesStore();
  write.isUnknown();
  expect(first.code).toBe('OUTCOME_UNKNOWN');
  const second = alice.tries('migrations', again);
  expect(second.isWaiting).toBe(true);
  world.write('migrations').lands();
  world.write('migrations').lands();
  expect(second.hold).toMatchObject({ depth: 1, token: write.record.counter });
});

test('after an unknown write only the depths that can be found again are kept', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  alice.tries('migrations');
  alice.tries('migrations', { requestId: 'inner' });
  world.write('migrations').isUnknown();
  const found = alice.tries('migrations', { requestId: 'inner' });
  world.write('migrations').lands();
  expect(found.depth).toBe(1);
  expect(alice.releases(found).depth).toBe(0);
});

test('the last thousand released ids are remembered, older ones are forgotten', () => {
  const { world, alice } = setup();
  for (let index = 0; index < 1_100; index++) alice.releases(alice.tries('jobs/a', { requestId: `r${index}` }));
  expect(alice.tries('jobs/a', { requestId: 'r1099' }).code).toBe('NOT_HELD');
  expect(alice.tries('jobs/a', { requestId: 'r100' }).code).toBe('NOT_HELD');
  expect(alice.tries('jobs/a', { requestId: 'r0' }).isGranted).toBe(true);
  expect(world.holders('jobs/a')).toEqual(['alice']);
});
