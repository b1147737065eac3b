/**
 * Goal: while a write of a lock is in flight its changes wait for one next write, and nobody is answered out of turn or never.
 * Method: many changes during one write; then every request has exactly the answer that its own end, or the next write, gives.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.lock('migrations');
  world.writesWait = true;
  const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => world.session(name));
  return { world, alice: alice!, bob: bob!, carol: carol! };
}

test('at most one write of a lock is in flight', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('migrations');
  bob.waits('migrations');
  world.write('migrations').lands();
  alice.releases(held);
  expect(world.writes.length).toBe(1);
  bob.forces('migrations');
  expect(world.writes.length).toBe(1);
});

test('a release and the next grant are one write', () => {
  const { world, alice, bob } = setup();
  const held = alice.tries('migrations');
  world.write('migrations').lands();
  const next = bob.waits('migrations');
  alice.releases(held);
  expect(world.write('migrations').record.holders.map((holder) => holder.ownerId)).toEqual(['bob']);
  expect(next.isWaiting).toBe(true);
  world.write('migrations').lands();
  expect(next.isGranted).toBe(true);
  expect(world.persisted.length).toBe(2);
});

test('a grant folded away between two writes is answered with its own end', () => {
  const { world, alice, bob, carol } = setup();
  const held = alice.tries('migrations');
  world.write('migrations').lands();
  alice.releases(held);
  const folded = bob.tries('migrations');
  carol.forces('migrations');
  const next = carol.tries('migrations');
  expect(folded.code).toBe('NOT_HELD');
  expect(folded.details).toMatchObject({ reason: 'forceReleased' });
  world.write('migrations').lands();
  world.write('migrations').lands();
  expect(next.isGranted).toBe(true);
  expect(world.count('foldedGrant')).toBe(1);
  expect(world.eventsOf('granted').map((event) => event.ownerId)).toEqual(['alice', 'carol']);
});

test('a re-entry, a longer promise and a forced end that come meanwhile share the next write', () => {
  const { world, alice, bob } = setup();
  const outer = alice.tries('migrations', { ttlMs: 15_000 });
  const inner = alice.tries('migrations', { ttlMs: 15_000 });
  world.write('migrations').lands();
  expect([outer.depth, inner.depth]).toEqual([1, 2]);
  const longer = alice.renews(outer, 60_000);
  const evenLonger = alice.renews(outer, 90_000);
  expect(world.write('migrations').record.holders[0]?.ttlMs).toBe(60_000);
  world.write('migrations').lands();
  expect(longer.isGranted).toBe(true);
  expect(evenLonger.isWaiting).toBe(true);
  const forced = bob.forces('migrations');
  world.write('migrations').lands();
  expect(evenLonger.code).toBe('NOT_HELD');
  expect(forced.isWaiting).toBe(true);
  world.write('migrations').lands();
  expect(forced.answer).toMatchObject({ kind: 'done', ended: 1 });
});

test('changes during a write are counted as coalesced once', () => {
  const { world, alice, bob } = setup();
  alice.tries('migrations');
  bob.forces('migrations');
  bob.forces('migrations');
  expect(world.count('coalescedWrite')).toBe(1);
});

test('a burst of owners costs two writes for each that is granted, whatever its length', () => {
  const { world } = setup();
  world.writesWait = false;
  const sessions = Array.from({ length: 20 }, (_, index) => world.session(`s${index}`));
  const asks = sessions.map((session) => session.waits('migrations'));
  sessions.forEach((session, index) => session.releases(asks[index]!));
  expect(world.persisted.length).toBe(21);
  expect(world.lease('migrations').holders).toEqual([]);
});
