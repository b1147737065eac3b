import type { Clock } from '../../system/clock.ts';
import { onAbort } from '../../system/disposables.ts';
import type { Timers } from '../../system/timers.ts';
import { TokenBucket } from '../token-bucket.ts';

export interface RateLimitOptions {
  /** In the long run. More than 0. */
  readonly requestsPerSecondMax: number;
  /** At once, after a pause. At least 1. */
  readonly burst: number;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Callers that may wait for their turn. Default 10,000. */
  readonly waitingMax?: number | undefined;
}

/**
 * - `turn`: go ahead.
 * - `late`: the turn did not come in time.
 * - `full`: too many wait already.
 * - `aborted`: the caller's signal.
 */
export type Turn = 'turn' | 'late' | 'full' | 'aborted';

interface Waiter {
  settle: ((turn: Turn) => void) | undefined;
}

/** Lets requests through at a bounded rate, in the order in which they asked. */
export class RateLimit {
  readonly #bucket: TokenBucket;
  readonly #clock: Clock;
  readonly #timers: Timers;
  readonly #waitingMax: number;
  #waiting: Waiter[] = [];
  #live = 0;
  #timer: Disposable | undefined;

  constructor({ requestsPerSecondMax, burst, clock, timers, waitingMax = 10_000 }: RateLimitOptions) {
    this.#bucket = new TokenBucket(burst, requestsPerSecondMax, clock.monotonicMs());
    this.#clock = clock;
    this.#timers = timers;
    this.#waitingMax = waitingMax;
  }

  /** How many wait. */
  get waiting(): number {
    return this.#live;
  }

  /** Waits for a turn, at most `withinMs`. Never rejects. */
  async take(withinMs: number, signal?: AbortSignal): Promise<Turn> {
    if (signal?.aborted) return 'aborted';
    if (this.#live === 0 && this.#bucket.take(this.#clock.monotonicMs())) return 'turn';
    if (this.#live >= this.#waitingMax) return 'full';
    return new Promise((resolve) => {
      const waiter: Waiter = {
        settle: (turn) => {
          waiter.settle = undefined;
          this.#live--;
          late[Symbol.dispose]();
          listener?.[Symbol.dispose]();
          resolve(turn);
        },
      };
      const late = this.#timers.after(withinMs, () => waiter.settle?.('late'));
      const listener = signal && onAbort(signal, () => waiter.settle?.('aborted'));
      this.#live++;
      this.#waiting.push(waiter);
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#timer !== undefined || this.#live === 0) return;
    const nowMs = this.#clock.monotonicMs();
    this.#timer = this.#timers.after(this.#bucket.nextMs(nowMs) - nowMs, () => {
      this.#timer = undefined;
      this.#letThrough();
      this.#schedule();
    });
  }

  #letThrough(): void {
    let passed = 0;
    for (const waiter of this.#waiting) {
      if (waiter.settle !== undefined) {
        if (!this.#bucket.take(this.#clock.monotonicMs())) break;
        waiter.settle('turn');
      }
      passed++;
    }
    this.#waiting = this.#waiting.slice(passed);
  }
}
