/**
 * Goal: a holder stops before the owner frees, whatever its clocks do.
 * Method: deadlines read off a virtual process whose clocks are stepped, or stand still while the machine sleeps.
 */
import { describe, expect, test } from '@jest/globals';
import { deadlineOf, laterOf, leftMs, lifeLimit, ownDeadline } from '../../../../src/sidecar/session/deadline.ts';
import { ProgressMeter } from '../../../../src/system/clock.ts';
import { VirtualTime } from '../../../../src/system/virtual.ts';

function setup() {
  const time = new VirtualTime();
  return { time, meter: new ProgressMeter(time) };
}

test('the time granted counts from the mark, less 50 ms and 2 %', () => {
  const { time, meter } = setup();
  const deadline = deadlineOf(meter.mark(), 10_000);
  expect(deadline.grantedMs).toBe(10_000);
  expect(leftMs(meter, deadline)).toBe(10_000 - 50 - 200);
  time.advanceBy(3_000);
  expect(leftMs(meter, deadline)).toBe(6_750);
});

test('without a mark there is no time', () => {
  const { meter } = setup();
  expect(leftMs(meter, deadlineOf(undefined, 60_000))).toBe(-Infinity);
});

describe('the clock with more progress counts', () => {
  test('a machine that sleeps loses the time it slept', () => {
    const { time, meter } = setup();
    const deadline = deadlineOf(meter.mark(), 10_000);
    time.process.suspend(8_000);
    time.advanceBy(8_000);
    expect(time.monotonicMs()).toBe(0);
    expect(leftMs(meter, deadline)).toBe(1_750);
  });

  test('a wall clock set back gives nothing', () => {
    const { time, meter } = setup();
    const deadline = deadlineOf(meter.mark(), 10_000);
    time.process.stepWall(-3_600_000);
    time.advanceBy(5_000);
    expect(leftMs(meter, deadline)).toBe(4_750);
  });
});

test('of two deadlines the one with more time left counts, whichever came first', () => {
  const { time, meter } = setup();
  const long = deadlineOf(meter.mark(), 60_000);
  time.advanceBy(1_000);
  const short = deadlineOf(meter.mark(), 5_000);
  expect(laterOf(meter, long, short)).toBe(long);
  expect(laterOf(meter, short, long)).toBe(long);
});

test('the end of a longest life counts from the grant, without a margin', () => {
  const { time, meter } = setup();
  const granted = deadlineOf(meter.mark(), 15_000);
  time.advanceBy(4_000);
  expect(leftMs(meter, lifeLimit(granted, 60_000))).toBe(56_000);
  expect(leftMs(meter, ownDeadline(meter, 60_000))).toBe(60_000);
});
