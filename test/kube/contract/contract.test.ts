/**
 * Goal: the embedded API answers as a real API server, in everything that is not listed with a reason.
 * Method: cases are data and are played on both at once. What the real one must answer is in the case; the answers of both, but
 * for names, times and versions that must differ, are compared whole. An exception that is none any more fails too.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { applyCases } from './cases/apply.ts';
import { boundCases } from './cases/bounds.ts';
import { deletionCases } from './cases/deletion.ts';
import { discoveryCases } from './cases/discovery.ts';
import { errorCases } from './cases/errors.ts';
import { kubectlCases } from './cases/kubectl.ts';
import { manifestCases } from './cases/manifests.ts';
import { patchCases } from './cases/patches.ts';
import { readingCases } from './cases/reading.ts';
import { versionCases } from './cases/versions.ts';
import { watchCases } from './cases/watches.ts';
import { problemsOf } from './compare.ts';
import type { ContractCase } from './contract-case.ts';
import { EXCEPTIONS } from './exceptions.ts';
import { type Sides, openSides } from './sides.ts';

const groups: Readonly<Record<string, readonly ContractCase[]>> = {
  'compare and swap': versionCases,
  patches: patchCases,
  watches: watchCases,
  reading: readingCases,
  deletion: deletionCases,
  errors: errorCases,
  'server-side apply': applyCases,
  discovery: discoveryCases,
  bounds: boundCases,
  'the definitions of our kinds': manifestCases,
  kubectl: kubectlCases,
};

let sides: Sides;
beforeAll(async () => {
  sides = await openSides();
});
afterAll(async () => {
  await sides[Symbol.asyncDispose]();
});

describe.each(Object.entries(groups))('%s', (_group, cases) => {
  test.each(cases.map((each) => [each.name, each] as const))('%s', async (name, each) => {
    const { real, embedded } = await sides.play(each);
    expect(problemsOf(name, real, embedded)).toEqual([]);
  });
});

describe('the table of cases', () => {
  const names = Object.values(groups).flatMap((cases) => cases.map(({ name }) => name));

  test('has no two of one name', () => {
    expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
  });

  test('has every case that an exception is shown by', () => {
    const shown = EXCEPTIONS.flatMap(({ shownBy }) => Object.keys(shownBy));
    expect(shown.filter((name) => !names.includes(name))).toEqual([]);
  });
});
