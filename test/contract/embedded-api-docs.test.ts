/**
 * Goal: docs/embedded-api.md lists exactly the differences that the contract with a real API server allows.
 * Method: the table of the page against the table of exceptions, row by row.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from '@jest/globals';
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
