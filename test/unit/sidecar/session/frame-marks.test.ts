/**
 * Goal: a deadline counts from the send of the frame that the owner had seen, or from an earlier moment, never from a later one.
 * Method: random sends on two clocks of which the wall clock jumps, compared with a list of every mark.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { FrameMarks } from '../../../../src/sidecar/session/frame-marks.ts';

const markAt = (monotonicMs: number, wallMs = monotonicMs) => ({ monotonicMs, wallMs });

test('the mark of a frame is the moment it was sent', () => {
  const marks = new FrameMarks();
  marks.record(1, markAt(0));
  marks.record(2, markAt(500));
  marks.record(3, markAt(900));
  expect([1, 2, 3].map((frame) => marks.of(frame)?.monotonicMs)).toEqual([0, 500, 900]);
});

test('a frame before the first has no mark, one above the newest counts as the newest', () => {
  const marks = new FrameMarks();
  expect(marks.of(1)).toBeUndefined();
  marks.record(1, markAt(10));
  marks.record(2, markAt(20));
  expect(marks.of(0)).toBeUndefined();
  expect(marks.of(7)?.monotonicMs).toBe(20);
});

test('the oldest marks are forgotten, not mixed up with newer ones', () => {
  const marks = new FrameMarks();
  for (let frame = 1; frame <= 20_000; frame++) marks.record(frame, markAt(frame * 10));
  expect(marks.of(1)).toBeUndefined();
  expect(marks.of(20_000 - 16_384)).toBeUndefined();
  expect(marks.of(20_000 - 16_383)?.monotonicMs).toBe((20_000 - 16_383) * 10);
  expect(marks.of(20_000)?.monotonicMs).toBe(200_000);
});

test('under heavy traffic a minute is remembered', () => {
  const marks = new FrameMarks();
  for (let frame = 1; frame <= 600_000; frame++) marks.record(frame, markAt(frame / 10));
  const mark = marks.of(1_000);
  expect(mark?.monotonicMs).toBeLessThanOrEqual(100);
  expect(mark?.monotonicMs).toBeGreaterThan(95);
});

test('no mark is later than the send, on either clock, nor more than a moment earlier', () => {
  const step = fc.record({
    afterMs: fc.double({ min: 0, max: 9, noNaN: true }),
    wallStepMs: fc.integer({ min: -50, max: 50 }),
  });
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 60 }), (steps) => {
      const marks = new FrameMarks();
      let monotonicMs = 0;
      let wallMs = 1_000_000;
      const sent = steps.map(({ afterMs, wallStepMs }, index) => {
        monotonicMs += afterMs;
        wallMs += afterMs + wallStepMs;
        marks.record(index + 1, markAt(monotonicMs, wallMs));
        return markAt(monotonicMs, wallMs);
      });
      for (const [index, truth] of sent.entries()) {
        const mark = marks.of(index + 1);
        expect(mark?.monotonicMs).toBeLessThanOrEqual(truth.monotonicMs);
        expect(mark?.wallMs).toBeLessThanOrEqual(truth.wallMs);
        expect(mark?.monotonicMs).toBeGreaterThan(truth.monotonicMs - 4);
      }
    }),
  );
});
