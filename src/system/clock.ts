/**
 * Reading the time. Two clocks, because neither is enough alone.
 *
 * The monotonic clock decides every deadline of this process: it never goes back and no operator can set it. On Linux it
 * does not count time spent suspended. The wall clock does, but it can be stepped at any moment in either direction.
 */

export interface Clock {
  /**
   * Milliseconds since an arbitrary start of this process; fractions are possible, never decreasing.
   * Not promised: that it counts suspended time, or that its values mean anything to another process.
   */
  monotonicMs(): number;
  /** Milliseconds since 1970 in UTC. Not promised: that it is right, or that it never goes back. */
  wallMs(): number;
}

/** One moment, read from both clocks together. Keep it to measure progress since then with a `ProgressMeter`. */
export interface Mark {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

/** The clocks of the machine. */
export function systemClock(): Clock {
  return { monotonicMs: () => performance.now(), wallMs: () => Date.now() };
}

/**
 * Measures progress since a mark for those who must stop in time: an owner's own authority, a holder's deadline.
 *
 * The larger progress of the two clocks counts. A suspended machine shows only on the wall clock, a wall clock set back
 * only on the monotonic one; so the answer errs towards "more time has passed", which makes somebody stop earlier.
 * Never use it to decide that somebody else's time is over: for that only `Clock.monotonicMs` will do.
 */
export class ProgressMeter {
  readonly #clock: Clock;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The present moment on both clocks. */
  mark(): Mark {
    return { monotonicMs: this.#clock.monotonicMs(), wallMs: this.#clock.wallMs() };
  }

  /** Milliseconds that may have passed since `mark`: the larger progress of the two clocks, never negative. */
  elapsedSince(mark: Mark): number {
    return Math.max(0, this.#clock.monotonicMs() - mark.monotonicMs, this.#clock.wallMs() - mark.wallMs);
  }

  /**
   * How far the wall clock ran ahead of the monotonic clock since `mark`, in ms. Above zero: the machine was suspended or
   * the wall clock was set forward. Below zero: it was set back. Clock discipline alone stays far below 1,000.
   */
  stepMs(mark: Mark): number {
    return this.#clock.wallMs() - mark.wallMs - (this.#clock.monotonicMs() - mark.monotonicMs);
  }
}
