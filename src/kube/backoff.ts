import type { Random } from '../system/random.ts';

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/**
 * How long to wait after the `failures`-th failure in a row (from 1): doubling from `firstMs` to `maxMs`, then somewhere in the
 * upper half of that, so that many who failed together do not come back together.
 */
export function backoffMs(failures: number, { firstMs, maxMs }: BackoffOptions, random: Random): number {
  const wholeMs = Math.min(maxMs, firstMs * 2 ** Math.min(failures - 1, 30));
  return wholeMs * (0.5 + random.fraction() / 2);
}
