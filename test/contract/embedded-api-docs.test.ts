/**
 * Goal: docs/embedded-api.md lists exactly the differences that the contract with a real API server allows, and counts right.
 * Method: the table of the page against the table of exceptions, row by row; the numbers against the table of cases.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
import { CASES } from '../kube/contract/cases/all.ts';
import { EXCEPTIONS } from '../kube/contract/exceptions.ts';

const page = readFileSync(fileURLToPath(new URL('../../docs/embedded-api.md', import.meta.url)), 'utf8');

/** The first table under the heading. */
function documentedRows(): readonly string[] {
  const [, section = ''] = page.split('## What differs, and why\n');
  const lines = section.slice(section.indexOf('| --- |')).split('\n').slice(1);
  return lines.slice(
    0,
    lines.findIndex((line) => !line.startsWith('|')),
  );
}

test('the page has a row for each exception, in their order', () => {
  const rows = EXCEPTIONS.map(({ here, onCluster, reason }) => `| ${here} | ${onCluster} | ${reason} |`);
  expect(documentedRows()).toEqual(rows);
});

test('each exception is shown by a case and says why', () => {
  expect(EXCEPTIONS.length).toBeGreaterThan(5);
  for (const { here, reason, shownBy } of EXCEPTIONS)
    expect({ here, isShown: Object.values(shownBy).flat().length > 0, hasReason: reason !== '' }).toEqual({
      here,
      isShown: true,
      hasReason: true,
    });
});

test('the page says how many requests are compared, and how many answers differ', () => {
  const cases = Object.values(CASES).flat();
  const steps = cases.flatMap((each) => each.steps);
  const commands = steps.filter((step) => step.do === 'kubectl' || step.do === 'start').length;
  const requests = steps.filter((step) => step.do === 'request' || step.do === 'watch').length;
  const differing = new Set(
    EXCEPTIONS.flatMap(({ shownBy }) =>
      Object.entries(shownBy).flatMap(([name, places]) => places.map((place) => `${name} ${place.split('.', 1)[0]}`)),
    ),
  );
  const told = page.replaceAll(/\s+/g, ' ');
  expect(told).toContain(`Of ${requests} requests and ${commands} \`kubectl\` commands in ${cases.length} cases`);
  expect(told).toContain(`all but ${differing.size} have the same`);
});
