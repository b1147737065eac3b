/**
 * Goal: a token given from memory is always below a counter that is on record, and no number is ever given twice.
 * Method: blocks of ten numbers, whose reservations the test answers by hand; owners that crash with half a block unused.
 */
import { expect, test } from '@jest/globals';
import { EngineHarness } from '../../support/engine-harness.ts';

function setup() {
  const world = new EngineHarness({ tokenBlock: 10 });
  world.pool('jobs');
  const alice = world.session('alice');
  alice.releases(alice.tries('jobs/first'));
  return { world, alice };
}

test('the next block is reserved when half of this one is spent', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  for (let index = 0; index < 4; index++) alice.tries(`jobs/${index}`);
  expect(world.writes).toEqual([]);
  alice.tries('jobs/half');
  expect(world.write(undefined).shardRecord.counter).toBe(20);
});

test('a grant waits when the block is used up and the next is not on record', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  const asks = Array.from({ length: 30 }, (_, index) => alice.waits(`jobs/${index}`));
  expect(asks.filter((ask) => ask.isGranted).every((ask) => ask.token <= world.shardRecord.counter)).toBe(true);
  expect(asks.some((ask) => ask.isWaiting)).toBe(true);
  while (world.writes.length > 0) {
    world.write(undefined).lands();
    for (const ask of asks.filter((asked) => asked.isGranted))
      expect(ask.token).toBeLessThanOrEqual(world.shardRecord.counter);
  }
  expect(asks.every((ask) => ask.isGranted)).toBe(true);
  expect(new Set(asks.map((ask) => ask.token)).size).toBe(30);
});

test('no number is given twice over crashes, and all of one key only grow', () => {
  const { world, alice } = setup();
  const tokens: number[] = [];
  for (let reign = 0; reign < 5; reign++) {
    for (let index = 0; index < 7; index++) {
      const held = alice.tries('jobs/a');
      tokens.push(held.token);
      alice.releases(held);
    }
    world.crashes();
    alice.connects();
    alice.completesReclaim();
  }
  expect(tokens.length).toBe(35);
  expect(tokens).toEqual([...new Set(tokens)].toSorted((left, right) => left - right));
});

test('an unknown reservation is written again, never with a lower counter', () => {
  const { world, alice } = setup();
  world.writesWait = true;
  for (let index = 0; index < 12; index++) alice.waits(`jobs/${index}`);
  const counters: number[] = [];
  for (let attempt = 0; attempt < 4; attempt++) {
    counters.push(world.write(undefined).shardRecord.counter);
    world.write(undefined).isUnknown();
    world.passes(15_000);
  }
  expect(counters).toEqual(counters.toSorted((left, right) => left - right));
});

test('the number that a forced end spends stays below the counter of its record', () => {
  const { world, alice } = setup();
  for (let index = 0; index < 3; index++) alice.tries(`jobs/${index}`);
  for (let index = 0; index < 40; index++) alice.forces('jobs/0');
  for (const { floor } of world.shardRecord.revocations) expect(floor).toBeLessThanOrEqual(world.shardRecord.counter);
});
