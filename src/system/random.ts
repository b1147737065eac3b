/** Chance, from the machine or from a seed. */
import { randomFillSync, randomInt, randomUUID } from 'node:crypto';

export interface Random {
  /** A fresh UUID of version 4, lower case, 36 characters. */
  uuid(): string;
  /** An integer from 0 to `bound` - 1, all equally likely. `bound` is an integer from 1 to 2^48 - 1; throws RangeError otherwise. */
  integer(bound: number): number;
  /** A number from 0 up to but not including 1, with 53 random bits. */
  fraction(): number;
}

/** The largest `bound` of `integer`; the machine's generator ends here. */
export const integerBoundMax = 2 ** 48 - 1;

/** Unpredictable values from the machine; fit for identifiers that nobody may guess. */
export function systemRandom(): Random {
  const words = new Uint32Array(2);
  return {
    uuid: () => randomUUID(),
    integer: (bound) => randomInt(checkedBound(bound)),
    fraction: () => {
      randomFillSync(words);
      return fractionOf(words[0] ?? 0, words[1] ?? 0);
    },
  };
}

/**
 * The same values for the same seed on every machine; for simulation and tests, never for identifiers that must not be
 * guessed. The generator is sfc32 by Chris Doty-Humphrey (PractRand), its state filled from the low 32 bits of the integer
 * `seed` by the 32-bit finaliser of MurmurHash3 by Austin Appleby.
 */
export function seededRandom(seed: number): Random {
  const next = sfc32(seed);
  const fraction = () => fractionOf(next(), next());
  return {
    uuid: () => uuidOf([next(), next(), next(), next()]),
    integer: (bound) => {
      // Values past the last whole multiple of `bound` would favour small results, so they are drawn again.
      const end = 2 ** 53 - (2 ** 53 % checkedBound(bound));
      for (;;) {
        const drawn = fraction() * 2 ** 53;
        if (drawn < end) return drawn % bound;
      }
    },
    fraction,
  };
}

/** An infinite sequence of unsigned 32-bit integers. */
function sfc32(seed: number): () => number {
  let [a, b, c, counter] = [scrambled(seed, 1), scrambled(seed, 2), scrambled(seed, 3), 1];
  const next = () => {
    const output = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (((c << 21) | (c >>> 11)) + output) | 0;
    return output >>> 0;
  };
  // The first outputs of similar seeds are similar; the author discards this many.
  for (let round = 0; round < 12; round += 1) next();
  return next;
}

function scrambled(seed: number, index: number): number {
  let word = ((seed | 0) + Math.imul(index, 0x9e3779b9)) | 0;
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}

function fractionOf(high: number, low: number): number {
  return ((high >>> 5) * 2 ** 26 + (low >>> 6)) / 2 ** 53;
}

function uuidOf(words: readonly number[]): string {
  const hex = words.map((word) => word.toString(16).padStart(8, '0')).join('');
  const variant = '89ab'.charAt(Number.parseInt(hex.charAt(16), 16) & 3);
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${variant}${hex.slice(17, 20)}-${hex.slice(20)}`;
}

function checkedBound(bound: number): number {
  if (Number.isInteger(bound) && bound >= 1 && bound <= integerBoundMax) return bound;
  throw new RangeError(`The bound of a random integer must be an integer from 1 to ${integerBoundMax}, not ${bound}.`);
}
