/** Arithmetic of the benchmark. */

import { quantile } from '../quantile.ts';

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** One round of a closed loop: the times of its operations, and how many a second. */
export interface Round {
  readonly timesMs: readonly number[];
  readonly perSecond: number;
}

/** Of several rounds: the median of each figure, so that one disturbed round does not count. */
export interface Figures {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly perSecond: number;
}

export function figuresOf(rounds: readonly Round[]): Figures {
  return {
    p50Ms: median(rounds.map(({ timesMs }) => quantile(timesMs, 0.5))),
    p99Ms: median(rounds.map(({ timesMs }) => quantile(timesMs, 0.99))),
    perSecond: median(rounds.map(({ perSecond }) => perSecond)),
  };
}

export function ms(value: number): string {
  return `${value < 10 ? value.toFixed(2) : value.toFixed(1)} ms`;
}

/**
 * Runs `clients` loops for `durationMs`; each turn gives the time of what is measured in it, or undefined if it is not to be
 * counted.
 */
export async function closedLoop(
  clients: number,
  durationMs: number,
  turn: (client: number, round: number) => Promise<number | undefined>,
): Promise<Round> {
  const timesMs: number[] = [];
  const startedMs = performance.now();
  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let round = 0; performance.now() - startedMs < durationMs; round += 1) {
        const timeMs = await turn(client, round);
        if (timeMs !== undefined) timesMs.push(timeMs);
      }
    }),
  );
  return { timesMs, perSecond: (timesMs.length / (performance.now() - startedMs)) * 1_000 };
}
