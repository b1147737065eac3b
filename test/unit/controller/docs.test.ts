/** Goal: docs/custom-resources.md names every condition with its reasons, and only Events that exist, with their types. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { LOCK_CONDITIONS, POOL_CONDITIONS } from '../../../src/api/custom-resources/conditions.ts';
import { EVENT_REASONS } from '../../../src/api/custom-resources/event-reasons.ts';
import { distributedLockStatusSchema } from '../../../src/api/custom-resources/distributed-lock.ts';
import { distributedLockSpecSchema, lockPoolSpecSchema } from '../../../src/api/policies.ts';

const page = await readFile(fileURLToPath(new URL('../../../docs/custom-resources.md', import.meta.url)), 'utf8');
const lines = page.split('\n');

describe('the page on custom resources', () => {
  it('has every field of the specs and of the status', () => {
    const fields = [distributedLockSpecSchema, lockPoolSpecSchema, distributedLockStatusSchema]
      .flatMap(({ shape }) => Object.keys(shape))
      .filter((field) => field !== 'conditions');
    expect(fields.filter((field) => !lines.some((line) => line.startsWith(`| \`${field}\` |`)))).toEqual([]);
  });

  it('has every reason of every condition with its status', () => {
    const reasons = [...Object.values(LOCK_CONDITIONS), ...Object.values(POOL_CONDITIONS)].flatMap((condition) =>
      Object.entries(condition),
    );
    const missing = reasons.filter(([reason, status]) => !page.includes(`| ${status} | \`${reason}\` |`));
    expect(missing).toEqual([]);
  });

  it('gives each Event its type', () => {
    const told = lines
      .map((line) => /^\| (Normal|Warning) \| `(\w+)` \|/.exec(line))
      .filter((match) => match !== null)
      .map(([, type, reason]) => [reason, type]);
    expect(told.length).toBeGreaterThan(10);
    expect(told.filter(([reason, type]) => EVENT_REASONS[reason as keyof typeof EVENT_REASONS] !== type)).toEqual([]);
  });

  it('has every Event that the controllers tell', async () => {
    const files = [
      'event-messages.ts',
      'distributed-lock/decide.ts',
      'distributed-lock/apply.ts',
      'lock-pool/decide.ts',
    ];
    const sources = await Promise.all(
      files.map((file) => readFile(fileURLToPath(new URL(`../../../src/controller/${file}`, import.meta.url)), 'utf8')),
    );
    const told = new Set(sources.flatMap((text) => [...text.matchAll(/reason: '(\w+)'/g)].map(([, reason]) => reason)));
    expect([...told].filter((reason) => !page.includes(`\`${reason}\``))).toEqual([]);
    expect(told.size).toBeGreaterThan(10);
  });
});
