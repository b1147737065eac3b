/**
 * Goal: a deadlock is found when it closes, named in full, and nothing that can still get on is called one.
 * Method: owners that hold and wait in circles of every shape: over readers, permits, several flows, short waits.
 */
import { describe, expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  world.pool('slots', { permits: 2 });
  world.pool('plain', { reentrant: false });
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob!, carol: carol! };
}

describe('a circle', () => {
  test('of two owners is reported once, with every edge', () => {
    const { world, alice, bob } = setup();
    const a = alice.tries('jobs/a');
    const b = bob.tries('jobs/b');
    const first = alice.waits('jobs/b');
    expect(world.eventsOf('deadlock')).toEqual([]);
    const second = bob.waits('jobs/a');
    expect(world.eventsOf('deadlock')).toEqual([
      {
        type: 'deadlock',
        cycle: [
          { principal: 'pod-bob', ownerId: 'bob', waitsFor: 'ns/jobs/a', heldBy: 'alice', token: a.token },
          { principal: 'pod-alice', ownerId: 'alice', waitsFor: 'ns/jobs/b', heldBy: 'bob', token: b.token },
        ],
        victim: undefined,
      },
    ]);
    expect([first.isWaiting, second.isWaiting]).toEqual([true, true]);
  });

  test('of three owners is found whichever comes last', () => {
    for (const last of [0, 1, 2]) {
      const { world, alice, bob, carol } = setup();
      const sessions = [alice, bob, carol];
      sessions.forEach((session, index) => session.tries(`jobs/${index}`));
      for (let step = 1; step <= 3; step++) {
        const index = (last + step) % 3;
        sessions[index]!.waits(`jobs/${(index + 1) % 3}`);
      }
      expect(world.eventsOf('deadlock').map(({ cycle }) => cycle.length)).toEqual([3]);
    }
  });

  test('can be closed by a grant', () => {
    const { world, alice, bob, carol } = setup();
    const shared = carol.tries('jobs/a');
    bob.tries('jobs/b');
    alice.waits('jobs/a');
    alice.waits('jobs/b');
    bob.waits('jobs/a');
    expect(world.eventsOf('deadlock')).toEqual([]);
    carol.releases(shared);
    expect(world.holders('jobs/a')).toEqual(['alice']);
    expect(world.eventsOf('deadlock').length).toBe(1);
  });

  test('of a writer that waits for readers is one as soon as one reader is in it', () => {
    const { world, alice, bob, carol } = setup();
    alice.tries('jobs/a', { mode: 'shared' });
    carol.tries('jobs/a', { mode: 'shared' });
    bob.tries('jobs/b');
    alice.waits('jobs/b');
    bob.waits('jobs/a');
    expect(world.eventsOf('deadlock').length).toBe(1);
  });

  test('over a semaphore is one only if every holder is in it', () => {
    const { world, alice, bob, carol } = setup();
    alice.tries('slots/s');
    carol.tries('slots/s');
    bob.tries('jobs/b');
    alice.waits('jobs/b');
    bob.waits('slots/s');
    expect(world.eventsOf('deadlock')).toEqual([]);
    carol.waits('jobs/b');
    expect(world.eventsOf('deadlock').length).toBe(1);
  });
});

describe('no deadlock', () => {
  test('is a chain', () => {
    const { world, alice, bob, carol } = setup();
    alice.tries('jobs/a');
    bob.tries('jobs/b');
    bob.waits('jobs/a');
    carol.waits('jobs/b');
    expect(world.eventsOf('deadlock')).toEqual([]);
  });

  test('is an owner behind one', () => {
    const { world, alice, bob, carol } = setup();
    alice.tries('jobs/a');
    bob.tries('jobs/b');
    alice.waits('jobs/b');
    bob.waits('jobs/a');
    carol.waits('jobs/a');
    expect(world.eventsOf('deadlock').length).toBe(1);
  });

  test('is an owner with another flow that can get on', () => {
    const { world, alice, bob, carol } = setup();
    carol.tries('jobs/c');
    alice.tries('jobs/a');
    bob.tries('jobs/b');
    alice.waits('jobs/c');
    alice.waits('jobs/b');
    bob.waits('jobs/a');
    expect(world.eventsOf('deadlock')).toEqual([]);
  });

  test('is a wait that ends by itself in under five seconds', () => {
    const { world, alice, bob } = setup();
    alice.tries('jobs/a');
    bob.tries('jobs/b');
    alice.waits('jobs/b', { timeoutMs: 4_999 });
    bob.waits('jobs/a');
    expect(world.eventsOf('deadlock')).toEqual([]);
  });

  test('is an owner that waits for itself on a lock that is not re-entrant', () => {
    const { world, alice } = setup();
    alice.tries('plain/a');
    alice.waits('plain/a');
    expect(world.eventsOf('deadlock')).toEqual([]);
  });

  test('is a permit that comes free after its lock delay', () => {
    const { world, alice, bob, carol } = setup();
    world.pool('slots', { permits: 2, lockDelayMs: 60_000 });
    carol.tries('slots/s', { ttlMs: 1_000 });
    alice.tries('slots/s');
    bob.tries('jobs/b');
    world.passes(1_000);
    alice.waits('jobs/b');
    bob.waits('slots/s');
    expect(world.eventsOf('deadlock')).toEqual([]);
  });

  test('are owners of the same name in two pods', () => {
    const { world, alice, bob, carol } = setup();
    alice.tries('jobs/a', { ownerId: 'main' });
    bob.tries('jobs/b', { ownerId: 'main' });
    carol.waits('jobs/a', { ownerId: 'main' });
    alice.waits('jobs/b', { ownerId: 'main' });
    expect(world.eventsOf('deadlock')).toEqual([]);
  });
});

test('a graph beyond its bound is not searched', () => {
  const { world, alice, bob } = setup();
  alice.tries('jobs/a');
  for (let index = 0; index < 1_500; index++) {
    const ownerId = `reader-${index}`;
    bob.tries('jobs/many', { mode: 'shared', ownerId });
  }
  bob.tries('jobs/many', { mode: 'shared' });
  bob.waits('jobs/a');
  alice.waits('jobs/many');
  expect(world.eventsOf('deadlock').length).toBe(1);
  for (let index = 0; index < 1_000; index++) bob.tries('jobs/more', { mode: 'shared', ownerId: `reader-${index}` });
  alice.waits('jobs/more');
  expect(world.eventsOf('deadlock').length).toBe(1);
});
