/**
 * Goal: a lock with n permits has at most n holders, each with its own token, and gives a freed permit to the next in line.
 * Method: a pool with 3 permits and five sessions.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('slots', { permits: 3 });
  world.lock('builds', { permits: 2 });
  const sessions = ['a', 'b', 'c', 'd', 'e'].map((name) => world.session(name));
  return { world, sessions };
}

test('as many hold as there are permits, the others wait', () => {
  const { world, sessions } = setup();
  const asks = sessions.map((session) => session.waits('slots/x'));
  expect(world.holders('slots/x')).toEqual(['a', 'b', 'c']);
  expect(asks.map((ask) => ask.isGranted)).toEqual([true, true, true, false, false]);
  expect(new Set(asks.slice(0, 3).map((ask) => ask.token)).size).toBe(3);
});

test('a freed permit goes to the next in line, whichever it was', () => {
  const { world, sessions } = setup();
  const asks = sessions.map((session) => session.waits('slots/x'));
  sessions[1]?.releases(asks[1]!);
  expect(world.holders('slots/x')).toEqual(['a', 'c', 'd']);
  sessions[0]?.releases(asks[0]!);
  expect(world.holders('slots/x')).toEqual(['c', 'd', 'e']);
});

test('a try-lock is refused with the holders named once all permits are taken', () => {
  const { sessions } = setup();
  for (const session of sessions.slice(0, 3)) session.tries('slots/x');
  expect(sessions[3]?.tries('slots/x').details).toMatchObject({ holderCount: 3 });
});

test('an owner joins the permit it has instead of taking another', () => {
  const { world, sessions } = setup();
  const first = sessions[0]!.tries('slots/x');
  expect(sessions[0]!.tries('slots/x').hold).toMatchObject({ depth: 2, token: first.token });
  expect(world.holders('slots/x')).toEqual(['a']);
});

test('a durable semaphore records all its holders and the lowest valid token', () => {
  const { world, sessions } = setup();
  const asks = sessions.slice(0, 3).map((session) => session.waits('builds'));
  expect(asks[2]?.isWaiting).toBe(true);
  const tokens = [asks[0]!.token, asks[1]!.token];
  expect(world.lease('builds')).toMatchObject({ fenceFloor: tokens[0], counter: tokens[1] });
  expect(world.lease('builds').holders.map((holder) => holder.token)).toEqual(tokens);
  sessions[0]!.releases(asks[0]!);
  expect(world.lease('builds')).toMatchObject({ fenceFloor: tokens[1], counter: asks[2]!.token });
});
