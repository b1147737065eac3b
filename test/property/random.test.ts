/**
 * Goal: a seed decides everything, and what it decides looks like chance.
 * Method: frequencies of many draws against their expectation; with a fixed seed the outcome of a test never changes.
 */
import { describe, expect, test } from '@jest/globals';
import { type Random, integerBoundMax, seededRandom, systemRandom } from '../../src/system/random.ts';

const version4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

function draws<Value>(count: number, draw: () => Value): Value[] {
  return Array.from({ length: count }, draw);
}

/** Pearson's statistic for `counts` that should all be equal. */
function chiSquared(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

function histogram(values: readonly number[], buckets: number): number[] {
  const counts = Array.from({ length: buckets }, () => 0);
  for (const value of values) counts[value] = (counts[value] ?? 0) + 1;
  return counts;
}

const generators: readonly (readonly [string, () => Random])[] = [
  ['systemRandom', systemRandom],
  ['seededRandom', () => seededRandom(1)],
];

describe.each(generators)('%s', (_name, create) => {
  test('a uuid has version 4 and is never repeated', () => {
    const random = create();
    const uuids = draws(10_000, () => random.uuid());
    expect(uuids.filter((uuid) => !version4.test(uuid))).toEqual([]);
    expect(new Set(uuids).size).toBe(uuids.length);
  });

  test('an integer lies below its bound', () => {
    const random = create();
    expect(draws(100, () => random.integer(1)).every((value) => value === 0)).toBe(true);
    for (const bound of [2, 3, 10, 2 ** 32, integerBoundMax]) {
      const values = draws(1_000, () => random.integer(bound));
      expect(values.every((value) => Number.isInteger(value) && value >= 0 && value < bound)).toBe(true);
    }
  });

  test.each([0, -1, 1.5, Number.NaN, Infinity, integerBoundMax + 1])('a bound of %d is refused', (bound) => {
    expect(() => create().integer(bound)).toThrow(RangeError);
  });

  test('a fraction lies from 0 to below 1', () => {
    const random = create();
    const values = draws(10_000, () => random.fraction());
    expect(values.every((value) => value >= 0 && value < 1)).toBe(true);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    expect(Math.abs(mean - 0.5)).toBeLessThan(0.02);
  });
});

describe('seededRandom', () => {
  const sequence = (seed: number) => {
    const random = seededRandom(seed);
    return [random.integer(1_000_000), random.fraction(), random.uuid(), random.integer(6)];
  };

  test('the same seed gives the same values on every machine and in every release', () => {
    expect(sequence(42)).toEqual(sequence(42));
    expect(sequence(42)).toMatchInlineSnapshot(`
[
  952312,
  0.21293001466432804,
  "3bf458b5-c91f-41c4-9705-4f603d3edc35",
  3,
]
`);
  });

  test('neighbouring seeds have nothing in common', () => {
    const firsts = draws(1_000, () => 0).map((_zero, seed) => seededRandom(seed).integer(10));
    expect(chiSquared(histogram(firsts, 10))).toBeLessThan(21.7); // 99 % of fair ones stay below, with 9 degrees of freedom
  });

  // The limit is exceeded by one fair generator in 1,000.
  test.each([
    { bound: 2, limit: 10.8 },
    { bound: 6, limit: 20.5 },
    { bound: 10, limit: 27.9 },
    { bound: 100, limit: 148.2 },
  ])('every integer below $bound is equally likely', ({ bound, limit }) => {
    const random = seededRandom(7);
    const values = draws(100_000, () => random.integer(bound));
    expect(chiSquared(histogram(values, bound))).toBeLessThan(limit);
  });

  test('every pair of consecutive integers is equally likely', () => {
    const random = seededRandom(11);
    const pairs = draws(100_000, () => random.integer(10) * 10 + random.integer(10));
    expect(chiSquared(histogram(pairs, 100))).toBeLessThan(148.2);
  });

  test('every bit of a fraction is set half of the time', () => {
    const random = seededRandom(3);
    const values = draws(5_000, () => random.fraction() * 2 ** 53);
    for (let bit = 0; bit < 53; bit += 1) {
      const set = values.filter((value) => Math.floor(value / 2 ** bit) % 2 === 1).length;
      expect(Math.abs(set / values.length - 0.5)).toBeLessThan(0.03);
    }
  });

  test('every hexadecimal digit of a uuid is equally likely', () => {
    const random = seededRandom(5);
    const digits = draws(5_000, () => random.uuid().replaceAll('-', '').slice(17)).join('');
    const counts = histogram(
      Array.from(digits, (digit) => Number.parseInt(digit, 16)),
      16,
    );
    expect(chiSquared(counts)).toBeLessThan(37.7);
  });
});
