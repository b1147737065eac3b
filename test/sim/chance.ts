/** Draws from a seeded random. */
import { type Random, seededRandom } from '../../src/system/random.ts';

export class Chance {
  readonly random: Random;

  constructor(random: Random) {
    this.random = random;
  }

  /** A stream of its own for each name, so that leaving one part of a run out changes the others little. */
  static of(seed: number, name: string): Chance {
    let hash = 0x811c9dc5;
    for (let index = 0; index < name.length; index++) hash = Math.imul(hash ^ name.charCodeAt(index), 0x01000193);
    return new Chance(seededRandom((Math.imul(seed, 0x9e3779b9) ^ hash) | 0));
  }

  happens(probability: number): boolean {
    return probability > 0 && this.random.fraction() < probability;
  }

  between(low: number, high: number): number {
    return low + this.random.fraction() * (high - low);
  }

  /** Whole numbers from `low` to `high`. */
  whole(low: number, high: number): number {
    return low + this.random.integer(high - low + 1);
  }

  /** Many small values and a few large ones. */
  skewed(low: number, high: number): number {
    const fraction = this.random.fraction();
    return low + fraction * fraction * fraction * (high - low);
  }

  /** An index below `count`, where small ones come more often. */
  skewedIndex(count: number): number {
    return Math.floor(this.random.fraction() ** 1.6 * count);
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.random.integer(items.length)] as Item;
  }

  /** Each kind as often as its weight says. */
  weighted<Kind extends string>(weights: Readonly<Record<Kind, number>>): Kind {
    const entries = Object.entries(weights) as [Kind, number][];
    let left = this.random.fraction() * entries.reduce((sum, [, weight]) => sum + weight, 0);
    for (const [kind, weight] of entries) {
      left -= weight;
      if (left < 0) return kind;
    }
    return (entries.at(-1) as [Kind, number])[0];
  }
}
