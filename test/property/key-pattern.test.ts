/**
 * Goal: a `keyPattern` takes the keys that it says, quickly whatever it says, and nothing outside its language is a pattern.
 * Method: a table for people; random patterns and keys against the regular expressions of JavaScript, which read the language
 * alike; a pattern on which a searching matcher would never end.
 */
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { compileKeyPattern, isKeyPattern } from '../../src/api/custom-resources/key-pattern.ts';

describe('a key is taken if the whole of it matches', () => {
  test.each([
    ['order-[0-9]+', 'order-42', true],
    ['order-[0-9]+', 'order-', false],
    ['order-[0-9]+', 'my-order-42', false],
    ['order-[0-9]+', 'order-42/item', false],
    [String.raw`order-\d+|refund-\d+`, 'refund-7', true],
    [String.raw`order-\d+|refund-\d+`, 'order-7|refund-7', false],
    ['[^/]+/[^/]+', 'eu/order-1', true],
    ['[^/]+/[^/]+', 'eu/order/1', false],
    ['a{2,3}', 'a', false],
    ['a{2,3}', 'aaa', true],
    ['a{2,3}', 'aaaa', false],
    ['a{2}b{0}c?', 'aa', true],
    ['.*', 'anything/at@all', true],
    [String.raw`v\.\d`, 'v.1', true],
    [String.raw`v\.\d`, 'vx1', false],
  ])('%s takes %s: %s', (pattern, key, taken) => {
    expect(isKeyPattern(pattern)).toBe(true);
    expect(compileKeyPattern(pattern)(key)).toBe(taken);
  });
});

test.each([
  '',
  '(a|b)',
  '^a',
  'a$',
  'a++',
  'a|',
  '|a',
  '[a',
  '[]',
  '[z-a]',
  'a{3,2}',
  'a{',
  'a b',
  'ä',
  '\\w',
  '\\1',
  'a:b',
])('%p is no pattern', (pattern) => expect(isKeyPattern(pattern)).toBe(false));

const character = fc.constantFrom('a', 'b', '-', '.', '[ab]', '[^a]', '[a-c-]', '\\d', '\\.', '\\+', '[\\d_]');
const count = fc.constantFrom('', '', '?', '*', '+', '{2}', '{0,2}', '{1,}', '{0}', '{2,5}');
const row = fc.array(fc.tuple(character, count), { minLength: 1, maxLength: 5 }).map((parts) => parts.flat().join(''));
const pattern = fc.array(row, { minLength: 1, maxLength: 3 }).map((rows) => rows.join('|'));
const key = fc
  .array(fc.constantFrom('a', 'b', 'c', '-', '.', '+', '1', '_'), { maxLength: 8 })
  .map((all) => all.join(''));

test('it agrees with regular expressions', () => {
  const seen = { true: 0, false: 0 };
  fc.assert(
    fc.property(pattern, fc.array(key, { minLength: 1, maxLength: 20 }), (text, keys) => {
      expect(isKeyPattern(text)).toBe(true);
      const takes = compileKeyPattern(text);
      const expression = new RegExp(`^(?:${text})$`);
      for (const each of keys) {
        const taken = takes(each);
        seen[`${taken}`]++;
        expect({ text, each, taken }).toEqual({ text, each, taken: expression.test(each) });
      }
    }),
    { numRuns: 2_000 },
  );
  expect(Math.min(seen.true, seen.false)).toBeGreaterThan(500);
});

test('the steps for a key do not explode', () => {
  const takes = compileKeyPattern(`${'a*'.repeat(100)}b`);
  const startMs = performance.now();
  for (let round = 0; round < 100; round++) expect(takes('a'.repeat(200))).toBe(false);
  expect(performance.now() - startMs).toBeLessThan(2_000);
});
