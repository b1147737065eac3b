/**
 * Goal: the embedded API answers as a real API server, in everything that is not listed with a reason.
 * Method: cases are data and are played on both at once. What the real one must answer is in the case; the answers of both, but
 * for names, times and versions that must differ, are compared whole. An exception that is none any more fails too.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { describeOnOwnControlPlane } from '../own-control-plane.ts';
import { CASES } from './cases/all.ts';
import { problemsOf } from './compare.ts';
import { EXCEPTIONS } from './exceptions.ts';
import { type Sides, openSides } from './sides.ts';

// Another cluster has controllers that delete and admission that adds, and perhaps another version with other words.
describeOnOwnControlPlane('both APIs', () => {
  let sides: Sides;
  beforeAll(async () => {
    sides = await openSides();
  });
  afterAll(async () => {
    await sides[Symbol.asyncDispose]();
  });

  describe.each(Object.entries(CASES))('%s', (_group, cases) => {
    test.each(cases.map((each) => [each.name, each] as const))('%s', async (name, each) => {
      const { real, embedded } = await sides.play(each);
      expect(problemsOf(name, real, embedded)).toEqual([]);
    });
  });
});

describe('the table of cases', () => {
  const names = Object.values(CASES).flatMap((cases) => cases.map(({ name }) => name));

  test('has no two of one name', () => {
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test('has every case that an exception is shown by', () => {
    const shown = EXCEPTIONS.flatMap(({ shownBy }) => Object.keys(shownBy));
    expect(shown.filter((name) => !names.includes(name))).toEqual([]);
  });
});
