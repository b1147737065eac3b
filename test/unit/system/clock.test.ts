/**
 * Goal: progress is never under-estimated, whatever either clock does.
 * Method: a process of a virtual world whose clocks are stepped, stopped and skewed, and the clocks of the machine.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { ProgressMeter, systemClock } from '../../../src/system/clock.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';

describe('ProgressMeter', () => {
  test('both clocks agree as long as nothing happens', () => {
    const time = new VirtualTime();
    const meter = new ProgressMeter(time);
    const mark = meter.mark();
    expect(meter.elapsedSince(mark)).toBe(0);
    time.advanceBy(1_500);
    expect(meter.elapsedSince(mark)).toBe(1_500);
    expect(meter.stepMs(mark)).toBe(0);
  });

  test.each([
    {
      what: 'a suspend counts',
      disturb: (time: VirtualTime) => time.process.suspend(8_000),
      elapsedMs: 10_000,
      stepMs: 8_000,
    },
    { what: 'a pause counts', disturb: (time: VirtualTime) => time.process.pause(8_000), elapsedMs: 10_000, stepMs: 0 },
    {
      what: 'a wall clock set forward counts',
      disturb: (time: VirtualTime) => time.process.stepWall(60_000),
      elapsedMs: 70_000,
      stepMs: 60_000,
    },
    {
      what: 'a wall clock set back takes nothing off',
      disturb: (time: VirtualTime) => time.process.stepWall(-60_000),
      elapsedMs: 10_000,
      stepMs: -60_000,
    },
  ])('$what', ({ disturb, elapsedMs, stepMs }) => {
    const time = new VirtualTime();
    const meter = new ProgressMeter(time);
    const mark = meter.mark();
    disturb(time);
    time.advanceBy(10_000);
    expect(meter.elapsedSince(mark)).toBe(elapsedMs);
    expect(meter.stepMs(mark)).toBe(stepMs);
  });

  test('a mark from the future of both clocks is no negative progress', () => {
    const meter = new ProgressMeter(new VirtualTime());
    const { monotonicMs, wallMs } = meter.mark();
    expect(meter.elapsedSince({ monotonicMs: monotonicMs + 5, wallMs: wallMs + 5 })).toBe(0);
  });

  test('never less than what the monotonic clock shows', () => {
    const disturbance = fc.record({
      kind: fc.constantFrom('advance', 'suspend', 'pause', 'step'),
      ms: fc.integer({ min: 0, max: 100_000 }),
      back: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(disturbance, { maxLength: 20 }), (disturbances) => {
        const time = new VirtualTime();
        const meter = new ProgressMeter(time);
        const mark = meter.mark();
        for (const { kind, ms, back } of disturbances) {
          if (kind === 'advance') time.advanceBy(ms);
          else if (kind === 'suspend') time.process.suspend(ms);
          else if (kind === 'pause') time.process.pause(ms);
          else time.process.stepWall(back ? -ms : ms);
          expect(meter.elapsedSince(mark)).toBeGreaterThanOrEqual(time.monotonicMs() - mark.monotonicMs);
        }
      }),
      { numRuns: 200 },
    );
  });
});

describe('systemClock', () => {
  test('the monotonic clock never goes back', () => {
    const clock = systemClock();
    let last = clock.monotonicMs();
    for (let reading = 0; reading < 10_000; reading += 1) {
      const next = clock.monotonicMs();
      expect(next >= last).toBe(true);
      last = next;
    }
  });

  test('the wall clock counts milliseconds since 1970', () => {
    const wallMs = systemClock().wallMs();
    expect(Number.isInteger(wallMs)).toBe(true);
    expect(Math.abs(wallMs - Date.now())).toBeLessThan(1_000);
  });
});
