/** Goal: a file of manifests is taken whole or refused with every problem named. Method: the examples, and a table of mistakes. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readManifests } from '../../../src/dev/manifests.ts';
import { ROOT } from '../../support/node-process.ts';

const header = 'apiVersion: lockkeeper.dev/v1alpha1\nkind: DistributedLock\nmetadata: {name: builds}\n';

describe('manifests', () => {
  it.each(readdirSync(join(ROOT, 'examples')).filter((name) => name.endsWith('.yaml')))('takes examples/%s', (name) => {
    const { objects, problems } = readManifests(readFileSync(join(ROOT, 'examples', name), 'utf8'));
    expect(problems).toEqual([]);
    expect(objects.length).toBeGreaterThan(0);
  });

  it('gives the objects as they are written, in the namespace default unless they name another', () => {
    const { objects } = readManifests(`${header}spec: {permits: 3}`);
    expect(objects).toMatchObject([{ metadata: { namespace: 'default', name: 'builds' }, spec: { permits: 3 } }]);
    expect(objects[0]?.['spec']).toEqual({ permits: 3 });
  });

  it.each([
    ['a kind nobody knows', 'apiVersion: lockkeeper.dev/v1alpha1\nkind: Lock\nmetadata: {name: a}', /document 1: kind/],
    ['a field nobody knows', `${header}spec: {permit: 3}`, /document 1: spec: .*permit/],
    ['a number out of bounds', `${header}spec: {permits: 0}`, /document 1: spec\.permits/],
    ['a relation', `${header}spec: {maxHoldSeconds: 5, leaseDurationSeconds: 15}`, /document 1: spec\.maxHoldSeconds/],
    ['broken YAML', `${header}spec: [`, /document 1: /],
    ['the second of two documents', `${header}\n---\nkind: Nothing`, /document 2: /],
  ])('refuses %s', (_what, text, problem) => {
    const { problems } = readManifests(text);
    expect(problems.join('\n')).toMatch(problem);
  });
});
