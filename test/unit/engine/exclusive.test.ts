/**
 * Goal: of the owners who ask for a lock exclusively, one holds it at a time, and every ownership has a higher token.
 * Method: two pods ask for the same lock, once as a key of a pool and once as a DistributedLock whose writes land at once.
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
  test('is granted at once if nobody holds it', () => {
    const { alice } = setup();
    const asked = alice.tries(lockId, { ttlMs: 20_000, metadata: { node: 'n1' } });
    expect(asked.hold).toMatchObject({
      key: `ns/${lockId}`,
      ownerId: 'alice',
      mode: 'exclusive',
      depth: 1,
      ttlMs: 20_000,
      remainingMs: 20_000,
      epoch: 1,
      metadata: { node: 'n1' },
    });
    expect(asked.token).toBeGreaterThan(0);
  });

  test('takes the time to live of its policy if the request names none', () => {
    const { world, alice } = setup();
    expect(alice.tries(lockId).hold.ttlMs).toBe(15_000);
    expect(world.inspect(lockId).holders[0]?.remainingMs).toBe(15_000);
  });

  test('is held by one owner at a time', () => {
    const { world, alice, bob } = setup();
    const first = alice.tries(lockId);
    const second = bob.waits(lockId);
    expect(second.isWaiting).toBe(true);
    expect(world.holders(lockId)).toEqual(['alice']);
    alice.releases(first);
    expect(second.isGranted).toBe(true);
    expect(world.holders(lockId)).toEqual(['bob']);
  });

  test('has a higher token with every ownership', () => {
    const { alice, bob } = setup();
    const tokens: number[] = [];
    for (let round = 0; round < 5; round++) {
      for (const session of [alice, bob]) {
        const held = session.tries(lockId);
        tokens.push(held.token);
        session.releases(held);
      }
    }
    expect(tokens).toEqual([...new Set(tokens)].toSorted((left, right) => left - right));
  });

  test('tells two owners of one pod apart', () => {
    const { alice } = setup();
    alice.tries(lockId, { ownerId: 'handler-1' });
    expect(alice.tries(lockId, { ownerId: 'handler-2' }).code).toBe('LOCK_HELD');
  });

  test('tells the same ownerId in two pods apart', () => {
    const { alice, bob } = setup();
    alice.tries(lockId, { ownerId: 'main' });
    expect(bob.tries(lockId, { ownerId: 'main' }).code).toBe('LOCK_HELD');
  });
});

test('locks do not touch each other', () => {
  const { world, alice, bob } = setup();
  alice.tries('jobs/a');
  expect(bob.tries('jobs/b').isGranted).toBe(true);
  expect(bob.tries('migrations').isGranted).toBe(true);
  expect(world.engine.holdCount).toBe(3);
});

test('a name that nobody declared is not found', () => {
  const { alice } = setup();
  expect(alice.tries('imgrations').code).toBe('LOCK_NOT_FOUND');
  expect(alice.waits('nojobs/a').details).toEqual({ namespace: 'ns', lockId: 'nojobs/a' });
});

test('a pool key that nobody uses any more is forgotten, and its tokens grow on', () => {
  const { world, alice } = setup();
  const first = alice.tries('jobs/a');
  alice.releases(first);
  expect(world.engine.listKeys('ns/', '', 10)).toEqual(['ns/migrations']);
  expect(alice.tries('jobs/a').token).toBeGreaterThan(first.token);
});

test('a pool of many keys lists them in order, page by page', () => {
  const { world, alice } = setup();
  for (const name of ['d', 'b', 'a', 'e', 'c']) alice.tries(`jobs/${name}`);
  expect(world.engine.listKeys('ns/jobs/', '', 2)).toEqual(['ns/jobs/a', 'ns/jobs/b']);
  expect(world.engine.listKeys('ns/jobs/', 'ns/jobs/b', 2)).toEqual(['ns/jobs/c', 'ns/jobs/d']);
  expect(world.engine.listKeys('ns/jobs/', 'ns/jobs/d', 2)).toEqual(['ns/jobs/e']);
});
