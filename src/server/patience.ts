import { backoffMs } from '../kube/backoff.ts';
import { StoreError } from '../kube/lease-store.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import { sleep, type Timers } from '../system/timers.ts';

export interface PatienceOptions {
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** What is tried, for the log. */
  readonly what: string;
  /** Asked before every attempt. */
  readonly isWanted: () => boolean;
}

const RETRY = { firstMs: 250, maxMs: 5_000 };

/**
 * Does `work` again, after a growing and jittered pause, while the store says that the same call can succeed later: an API server
 * that starts or is overloaded must not end a process that has nothing better to do than to wait for it. Answers `undefined` once
 * it is not wanted any more. Rejects with any other failure. Safe for reads, and for writes whose outcome `work` itself settles.
 */
export async function patiently<Result>(
  { timers, random, log, what, isWanted }: PatienceOptions,
  work: () => Promise<Result>,
): Promise<Result | undefined> {
  for (let failures = 1; isWanted(); failures++) {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof StoreError) || !error.retryable) throw error;
      const pauseMs = Math.max(backoffMs(failures, RETRY, random), error.retryAfterMs ?? 0);
      log.warn({ what, pauseMs, error }, 'the API server does not answer as it should; trying again');
      await sleep(timers, pauseMs);
    }
  }
  return undefined;
}
