/**
 * Goal: a hold is renewed early enough, tried for as long as there is time, and its keeper is warned in between.
 * Method: a table of situations; granted is 9,000 ms, so a renewal is due at 6,000 left and jeopardy begins at 4,500.
 */
import { describe, expect, test } from '@jest/globals';
import { type RenewalView, planRenewal, renewalPauseMs } from '../../../../src/sidecar/session/renewal-plan.ts';

const view: RenewalView = { leftMs: 9_000, grantedMs: 9_000, tries: 0, pauseLeftMs: 0, extendable: true };

test.each<[string, Partial<RenewalView>, Partial<ReturnType<typeof planRenewal>>]>([
  ['fresh: waits for a third', {}, { renew: false, lookAgainInMs: 3_000 }],
  ['a third is over: renews', { leftMs: 6_000 }, { renew: true, jeopardy: false }],
  ['long overdue: renews', { leftMs: 10 }, { renew: true, jeopardy: false }],
  ['tried: waits for the pause', { leftMs: 5_900, tries: 1, pauseLeftMs: 400 }, { renew: false, lookAgainInMs: 400 }],
  ['pause is over: tries again', { leftMs: 5_500, tries: 1 }, { renew: true, jeopardy: false }],
  [
    'half is near: looks again then',
    { leftMs: 4_600, tries: 2, pauseLeftMs: 800 },
    { renew: false, lookAgainInMs: 100 },
  ],
  [
    'under half, unanswered',
    { leftMs: 4_400, tries: 2, pauseLeftMs: 300 },
    { jeopardy: true, renew: false, lookAgainInMs: 300 },
  ],
  ['under half, not tried yet', { leftMs: 4_400 }, { jeopardy: false, renew: true }],
  ['the end is nearer than the pause', { leftMs: 50, tries: 9, pauseLeftMs: 700 }, { over: false, lookAgainInMs: 50 }],
  ['nothing left', { leftMs: 0 }, { over: true, renew: false }],
  [
    'at the end of its life: no renewal',
    { leftMs: 2_000, extendable: false },
    { renew: false, jeopardy: false, lookAgainInMs: 2_000 },
  ],
])('%s', (_name, more, expected) => {
  expect(planRenewal({ ...view, ...more })).toMatchObject(expected);
});

describe('the pause between tries', () => {
  test('is a twentieth, spread by half, and grows fourfold at most', () => {
    expect(renewalPauseMs(20_000, 1, 0.5)).toBe(1_000);
    expect(renewalPauseMs(20_000, 1, 0)).toBe(500);
    expect(renewalPauseMs(10_000, 2, 0.5)).toBe(1_000);
    expect(renewalPauseMs(10_000, 9, 0.5)).toBe(2_000);
  });

  test('stays between 50 ms and 3 s', () => {
    expect(renewalPauseMs(930, 1, 0)).toBe(50);
    expect(renewalPauseMs(3_600_000, 30, 0.999)).toBeLessThan(3_000);
  });

  test('leaves the shortest hold several tries', () => {
    expect(renewalPauseMs(930, 9, 0.999)).toBeLessThan(930 / 1.5);
  });
});
