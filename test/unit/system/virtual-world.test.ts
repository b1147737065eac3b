/**
 * Goal: processes on one true time, each with its own idea of it.
 * Method: two processes, one of them disturbed; callbacks write down the true time and what their own clock showed.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { VirtualProcess } from '../../../src/system/virtual-process.ts';
import { VirtualWorld } from '../../../src/system/virtual-world.ts';

function setup() {
  const world = new VirtualWorld({ wallMs: 1_000_000 });
  const ran: string[] = [];
  const note = (name: string, process: VirtualProcess) => () =>
    void ran.push(`${name} at ${world.nowMs}, shows ${process.monotonicMs()}`);
  return { world, ran, note };
}

describe('several processes', () => {
  test('share true time but no clock', () => {
    const { world } = setup();
    const early = world.process({ monotonicMs: 500 });
    world.advanceBy(100);
    const late = world.process({ wallMs: 7 });
    world.advanceBy(50);
    expect([early.monotonicMs(), early.wallMs()]).toEqual([650, 1_000_150]);
    expect([late.monotonicMs(), late.wallMs()]).toEqual([50, 57]);
  });

  test('run what falls due at one moment in the order of asking', () => {
    const { world, ran, note } = setup();
    const [one, other] = [world.process(), world.process()];
    other.after(10, note('other', other));
    one.after(10, note('one', one));
    other.soon(note('other soon', other));
    one.after(5, note('one early', one));
    world.advanceBy(10);
    expect(ran).toEqual([
      'other soon at 0, shows 0',
      'one early at 5, shows 5',
      'other at 10, shows 10',
      'one at 10, shows 10',
    ]);
  });

  test('step runs one callback at a time', () => {
    const { world, ran, note } = setup();
    const process = world.process();
    process.after(10, note('first', process));
    process.after(20, note('second', process));
    expect(world.step(9)).toBe(false);
    expect(world.nowMs).toBe(0);
    expect(world.step()).toBe(true);
    expect(world.nowMs).toBe(10);
    expect(world.step()).toBe(true);
    expect(world.step()).toBe(false);
    expect(ran).toEqual(['first at 10, shows 10', 'second at 20, shows 20']);
  });
});

describe('drift', () => {
  test('moves both clocks and the true moment of timers', () => {
    const { world, ran, note } = setup();
    const fast = world.process({ rate: 1.25 });
    const slow = world.process({ rate: 0.5 });
    fast.after(100, note('fast', fast));
    slow.after(100, note('slow', slow));
    world.advanceBy(200);
    expect(ran).toEqual(['fast at 80, shows 100', 'slow at 200, shows 100']);
    expect([fast.monotonicMs(), fast.wallMs()]).toEqual([250, 1_000_250]);
  });

  test('can change under a pending timer', () => {
    const { world, ran, note } = setup();
    const process = world.process();
    process.after(100, note('timer', process));
    world.advanceBy(50);
    process.setRate(2);
    expect(world.nextDueMs()).toBe(75);
    expect([process.monotonicMs(), process.wallMs()]).toEqual([50, 1_000_050]);
    world.advanceBy(50);
    expect(ran).toEqual(['timer at 75, shows 100']);
    expect([process.monotonicMs(), process.wallMs()]).toEqual([150, 1_000_150]);
  });

  test.each([0, -1, Infinity, Number.NaN])('a rate of %d is refused', (rate) => {
    const { world } = setup();
    expect(() => world.process({ rate })).toThrow(RangeError);
    expect(() => world.process().setRate(rate)).toThrow(RangeError);
  });

  test('never makes a timer early, whatever rounding does', () => {
    const rates = fc.double({ min: 0.9, max: 1.1, noNaN: true });
    const delays = fc.array(fc.double({ min: 0, max: 1e7, noNaN: true }), { minLength: 1, maxLength: 10 });
    fc.assert(
      fc.property(rates, delays, (rate, delaysMs) => {
        const world = new VirtualWorld();
        const process = world.process({ rate });
        const early: number[] = [];
        for (const delayMs of delaysMs) {
          const dueMs = process.monotonicMs() + delayMs;
          process.after(delayMs, () => {
            if (process.monotonicMs() < dueMs) early.push(dueMs);
          });
        }
        let lastMs = process.monotonicMs();
        while (world.step()) {
          expect(process.monotonicMs()).toBeGreaterThanOrEqual(lastMs);
          lastMs = process.monotonicMs();
        }
        expect(early).toEqual([]);
      }),
      { numRuns: 300 },
    );
  });
});

test('a stepped wall clock moves no timer and no other process', () => {
  const { world, ran, note } = setup();
  const [stepped, other] = [world.process(), world.process()];
  stepped.after(10, note('timer', stepped));
  stepped.stepWall(-5_000);
  world.advanceBy(10);
  expect(ran).toEqual(['timer at 10, shows 10']);
  expect(stepped.wallMs()).toBe(995_010);
  expect(other.wallMs()).toBe(1_000_010);
});

describe('suspend', () => {
  test('stops callbacks and the monotonic clock, not the wall clock, not the others', () => {
    const { world, ran, note } = setup();
    const [asleep, awake] = [world.process(), world.process()];
    asleep.after(100, note('asleep', asleep));
    awake.after(100, note('awake', awake));
    world.advanceBy(40);
    asleep.suspend(1_000);
    expect(asleep.running).toBe(false);
    expect(awake.running).toBe(true);
    world.advanceBy(500);
    expect([asleep.monotonicMs(), asleep.wallMs()]).toEqual([40, 1_000_540]);
    expect(ran).toEqual(['awake at 100, shows 100']);
    world.advanceTo(1_040);
    expect(asleep.running).toBe(true);
    world.advanceTo(2_000);
    expect(ran.at(-1)).toBe('asleep at 1100, shows 100');
    expect([asleep.monotonicMs(), asleep.wallMs()]).toEqual([1_000, 1_002_000]);
  });

  test('a longer one takes over, a shorter one within it changes nothing', () => {
    const { world } = setup();
    const process = world.process();
    process.suspend(100);
    process.suspend(50);
    world.advanceBy(60);
    process.suspend(100);
    world.advanceBy(100);
    expect(process.monotonicMs()).toBe(0);
    world.advanceBy(40);
    expect(process.monotonicMs()).toBe(40);
  });

  test('drift begins when it ends', () => {
    const { world } = setup();
    const process = world.process();
    process.suspend(100);
    world.advanceBy(50);
    process.setRate(2);
    world.advanceBy(60);
    expect(process.monotonicMs()).toBe(20);
  });
});

describe('pause', () => {
  test('makes callbacks late in their order, while both clocks go on', () => {
    const { world, ran, note } = setup();
    const process = world.process();
    process.after(20, note('second', process));
    process.after(10, note('first', process));
    process.soon(note('soon', process));
    process.pause(500);
    expect(world.nextDueMs()).toBe(500);
    world.runSoon();
    world.advanceBy(499);
    expect(ran).toEqual([]);
    expect([process.monotonicMs(), process.wallMs()]).toEqual([499, 1_000_499]);
    world.advanceBy(1);
    expect(ran).toEqual(['first at 500, shows 500', 'second at 500, shows 500', 'soon at 500, shows 500']);
  });
});

describe('end', () => {
  test('drops what was pending and what is asked for later', () => {
    const { world, ran, note } = setup();
    const [dying, living] = [world.process(), world.process()];
    dying.after(10, note('dying', dying));
    dying.soon(note('dying', dying));
    living.after(10, note('living', living));
    world.end(dying);
    dying.after(5, note('dying', dying))[Symbol.dispose]();
    dying.soon(note('dying', dying));
    world.advanceBy(20);
    expect(dying.running).toBe(false);
    expect(ran).toEqual(['living at 10, shows 10']);
  });

  test('from inside a callback lets that callback finish, and no other begin', () => {
    const { world, ran, note } = setup();
    const process = world.process();
    process.after(10, () => {
      world.end(process);
      note('last', process)();
    });
    process.after(10, note('never', process));
    world.advanceBy(20);
    expect(ran).toEqual(['last at 10, shows 10']);
  });
});
