/**
 * Goal: the engine says, command for command, what was reviewed, and every rare thing it can say is in some transcript.
 * Method: each scenario is run and compared with its own file; a failure shows what changed, line by line. A wanted change is
 * taken over with `npm run golden -- --rewrite` and reviewed as a diff.
 */
import { describe, expect, test } from '@jest/globals';
import { RARE_PATHS } from '../../src/engine/effects.ts';
import { END_REASONS } from '../../src/api/vocabulary.ts';
import { differenceOf } from './difference.ts';
import { readScenarios } from './scenarios.ts';
import { transcriptOf } from './transcript.ts';

const scenarios = readScenarios();

/** Throws, with the difference, if the engine does not say what the scenario's file says. */
function assertAsReviewed(name: string, text: string): void {
  const difference = differenceOf(text, transcriptOf(text));
  if (difference === '') return;
  throw new Error(
    `${name} has changed. If that is right: npm run golden -- --rewrite ${name}, and review the diff.\n\n${difference}`,
  );
}

describe('the engine says what was reviewed', () => {
  test.each(scenarios.map(({ name, text }) => ({ name, text })))('$name', ({ name, text }) => {
    expect(() => assertAsReviewed(name, text)).not.toThrow();
  });
});

describe('scenarios are complete', () => {
  const transcripts = scenarios.map(({ text }) => text).join('\n');

  test.each([...RARE_PATHS])('the rare path %s is taken in one', (path) => {
    expect(transcripts).toMatch(new RegExp(`^  count +${path}\\b`, 'm'));
  });

  test.each([...END_REASONS])('a hold ends by %s in one', (reason) => {
    expect(transcripts).toContain(` reason=${reason}`);
  });

  test.each([
    'overdue',
    'deadlock',
    'reclaimed',
    'reclaimRefused',
    'recordEdited',
    'recordDeleted',
    'recordRestored',
    'recordUnusable',
    'recordRefused',
  ])('the event %s is in one', (event) => {
    expect(transcripts).toMatch(new RegExp(`^  audit +${event}\\b`, 'm'));
  });

  test.each(scenarios.map(({ name, text }) => ({ name, text })))(
    '$name opens with goal, promise and risk',
    ({ text }) => {
      expect(text).toMatch(/^# Goal: (.*\n# )+Protects: (.*\n# )+Would go wrong: /);
    },
  );

  test('none shows a broken invariant or an event without a printer', () => {
    expect(transcripts).not.toMatch(/^  (broken|audit +UNPRINTED)/m);
  });
});
