/**
 * Goal: the language cannot mislead: a mistake in a scenario stops it, and a transcript is its own scenario.
 * Method: small scenarios with one mistake each; a transcript run once more.
 */
import { expect, test } from '@jest/globals';
import { differenceOf } from './difference.ts';
import { transcriptOf } from './transcript.ts';

function scenario(...lines: readonly string[]): string {
  return `${lines.join('\n')}\n`;
}

const begun = ['owner A', 'lock payments', 'session s1 principal=pod-a', 's1 acquire payments as alice'];

test('a transcript is its own scenario', () => {
  const transcript = transcriptOf(scenario('# A remark.', ...begun, '', 'persisted ok'));
  expect(transcript).toContain('  s1     #1 hold payments alice token=1 depth=1');
  expect(transcriptOf(transcript)).toBe(transcript);
});

test.each([
  ['a misspelt option', 's1 renew payments tokn=1', 'token is missing'],
  ['an option of another command', 's1 inspect payments ttl=15s', 'not understood: ttl'],
  ['a word too many', 'persisted ok payments again', 'not understood: again'],
  ['an unknown operation', 's1 aquire payments as alice', 'a session has no operation aquire'],
  ['an unknown session', 's7 inspect payments', 'there is no session s7'],
  ['a time without a unit', 'at 15', 'write the time like'],
  ['time that goes back', 'at 1ms', 'time never goes back'],
  ['a write that is not in flight', 'persisted ok shard', 'no such write is in flight'],
  ['a conflict that cannot be', 'persisted conflict', 'the store would accept this write'],
])('%s stops it', (_name, command, problem) => {
  expect(() => transcriptOf(scenario(...begun, 'at 1s', command))).toThrow(problem);
});

test('a write over another version cannot land', () => {
  const lines = [...begun, 'lease payments counter=9', 'persisted ok'];
  expect(() => transcriptOf(scenario(...lines))).toThrow('the store would refuse this write');
});

test('the message names the line', () => {
  expect(() => transcriptOf(scenario('owner A', '', 'nonsense'))).toThrow('line 3: nonsense');
});

test('a difference shows what is missing and what is new, with its surroundings', () => {
  const before = ['one', 'two', 'three', 'four', 'five', 'six', 'seven'].join('\n');
  const after = ['one', 'two', 'three', 'four', 'five', 'SIX', 'seven', 'eight'].join('\n');
  expect(differenceOf(before, after).split('\n')).toEqual([
    '@ line 2',
    '  two',
    '  three',
    '  four',
    '  five',
    '- six',
    '+ SIX',
    '  seven',
    '+ eight',
  ]);
  expect(differenceOf(before, before)).toBe('');
});
