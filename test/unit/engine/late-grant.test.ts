/**
 * Goal: a grant whose hold ended before its write landed is answered with that end, counted as late, and never told.
 * Method: the write of a grant is held back while the hold is cancelled, forced, orphaned or left by its connection.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.lock('migrations');
  world.writesWait = true;
  return { world, alice: world.session('alice'), bob: world.session('bob') };
}

test('a forced end before the write lands is the answer; the landing tells nobody', () => {
  const { world, alice, bob } = setup();
  const asked = alice.tries('migrations');
  bob.forces('migrations');
  expect(asked.code).toBe('NOT_HELD');
  expect(asked.details).toMatchObject({ reason: 'forceReleased' });
  world.write('migrations').lands();
  expect(asked.replies.length).toBe(1);
  expect(world.count('lateGrant')).toBe(1);
  expect(world.eventsOf('granted')).toEqual([]);
});

test('a connection lost before the write lands takes the grant with it: nobody was told', () => {
  const { world, alice, bob } = setup();
  alice.tries('migrations');
  const next = bob.waits('migrations');
  alice.closes('lost');
  world.write('migrations').lands();
  expect(next.isWaiting).toBe(true);
  world.write('migrations').lands();
  expect(next.isGranted).toBe(true);
  expect(world.count('lateGrant')).toBe(1);
  expect(world.eventsOf('ended')).toMatchObject([{ reason: 'disowned', acknowledged: false, heldForMs: 0 }]);
});

test('its time does not run while its write is under way', () => {
  const { world, alice } = setup();
  const asked = alice.tries('migrations', { ttlMs: 5_000 });
  world.passes(60_000);
  world.write('migrations').lands();
  expect(asked.hold.remainingMs).toBe(5_000);
  world.passes(4_999);
  expect(world.holders('migrations')).toEqual(['alice']);
});

test('its wait and its hold are measured from the request and from the landing', () => {
  const { world, alice } = setup();
  const asked = alice.tries('migrations');
  world.passes(300);
  world.write('migrations').lands();
  world.passes(2_000);
  alice.releases(asked);
  expect(world.eventsOf('granted')).toMatchObject([{ waitedMs: 300, contended: false }]);
  expect(world.eventsOf('ended')).toMatchObject([{ heldForMs: 2_000 }]);
});

test('its number is spent, whatever became of it', () => {
  const { world, alice, bob } = setup();
  const asked = alice.tries('migrations');
  const spent = world.write('migrations').record.counter;
  alice.cancels(asked);
  world.write('migrations').lands();
  world.write('migrations').lands();
  const next = bob.tries('migrations');
  world.write('migrations').lands();
  expect(next.token).toBeGreaterThan(spent);
});

test('its token cannot be used before it is told', () => {
  const { world, alice } = setup();
  alice.tries('migrations');
  const { key, counter } = world.write('migrations').record;
  expect(alice.sends({ op: 'renew', key, token: counter }).code).toBe('NOT_HELD');
  expect(alice.sends({ op: 'release', key, token: counter }).code).toBe('NOT_HELD');
  expect(world.inspect('migrations').holders).toEqual([]);
});

test('the request of a second session of the pod survives the first one', () => {
  const { world, alice } = setup();
  const sibling = world.session('sibling', { principal: alice.principal });
  const first = alice.tries('migrations');
  const second = sibling.tries('migrations', { ownerId: 'alice' });
  alice.closes('lost');
  world.write('migrations').lands();
  expect(first.isWaiting).toBe(true);
  expect(second.hold).toMatchObject({ depth: 1, seen: 1 });
  sibling.closes('goodbye');
  expect(world.holders('migrations')).toEqual([]);
});

test('each of two sessions of the pod is answered what it asked', () => {
  const { world, alice } = setup();
  const sibling = world.session('sibling', { principal: alice.principal });
  const first = alice.tries('migrations');
  const second = sibling.tries('migrations', { ownerId: 'alice' });
  world.write('migrations').lands();
  expect(first.depth).toBe(1);
  expect(second.depth).toBe(2);
  expect([...alice.strays, ...sibling.strays]).toEqual([]);
});
