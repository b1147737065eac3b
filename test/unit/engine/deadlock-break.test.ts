/**
 * Goal: policy Break refuses the youngest waiter of a circle, and with it the circle is gone; nobody else is touched.
 * Method: circles over locks that say Break, all or some of them.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs', { deadlockPolicy: 'Break' });
  world.pool('calm', { deadlockPolicy: 'Report' });
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob!, carol: carol! };
}

test('the youngest waiter is refused, with the circle named; the others get on', () => {
  const { world, alice, bob } = setup();
  alice.tries('jobs/a');
  const b = bob.tries('jobs/b');
  const elder = alice.waits('jobs/b');
  const youngest = bob.waits('jobs/a');
  expect(youngest.code).toBe('DEADLOCK');
  expect(youngest.details).toMatchObject({
    cycle: [
      { ownerId: 'bob', waitsFor: 'ns/jobs/a', heldBy: 'alice' },
      { ownerId: 'alice', waitsFor: 'ns/jobs/b', heldBy: 'bob' },
    ],
  });
  expect(elder.isWaiting).toBe(true);
  bob.releases(b);
  expect(elder.isGranted).toBe(true);
  expect(world.eventsOf('deadlock')).toMatchObject([{ victim: 'bob' }]);
  expect(world.eventsOf('waiterLeft')).toMatchObject([{ why: 'deadlock', ownerId: 'bob' }]);
});

test('the youngest may be another one than the last: a grant closed the circle', () => {
  const { world, alice, bob, carol } = setup();
  const shared = carol.tries('jobs/a');
  bob.tries('jobs/b');
  const first = alice.waits('jobs/a');
  const elder = bob.waits('jobs/a');
  const youngest = alice.waits('jobs/b');
  carol.releases(shared);
  expect(first.isGranted).toBe(true);
  expect(elder.isWaiting).toBe(true);
  expect(youngest.code).toBe('DEADLOCK');
  expect(world.eventsOf('deadlock').length).toBe(1);
});

test('a waiter of a lock that says Report is never refused', () => {
  const { world, alice, bob } = setup();
  alice.tries('calm/a');
  bob.tries('jobs/b');
  const elder = alice.waits('jobs/b');
  const youngest = bob.waits('calm/a');
  expect(elder.code).toBe('DEADLOCK');
  expect(youngest.isWaiting).toBe(true);
  expect(world.eventsOf('deadlock')).toMatchObject([{ victim: 'alice' }]);
});

test('all repetitions of a refused request are answered', () => {
  const { alice, bob } = setup();
  alice.tries('calm/a');
  bob.tries('jobs/b');
  const first = alice.waits('jobs/b', { requestId: 'r' });
  const second = alice.waits('jobs/b', { requestId: 'r' });
  bob.waits('calm/a');
  expect([first.code, second.code]).toEqual(['DEADLOCK', 'DEADLOCK']);
});

test('the refused owner may ask again once it has given way', () => {
  const { alice, bob } = setup();
  const a = alice.tries('jobs/a');
  const b = bob.tries('jobs/b');
  const elder = alice.waits('jobs/b');
  bob.waits('jobs/a');
  bob.releases(b);
  expect(elder.isGranted).toBe(true);
  const again = bob.waits('jobs/a');
  alice.releases(a);
  expect(again.isGranted).toBe(true);
});

test('readers that the victim stood before enter', () => {
  const { alice, bob, carol } = setup();
  alice.tries('jobs/a', { mode: 'shared' });
  bob.tries('jobs/b');
  alice.waits('jobs/b');
  const writer = bob.waits('jobs/a');
  const reader = carol.waits('jobs/a', { mode: 'shared' });
  expect(writer.code).toBe('DEADLOCK');
  expect(reader.isGranted).toBe(true);
});
