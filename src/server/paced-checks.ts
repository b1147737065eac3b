import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Timers } from '../system/timers.ts';

export interface PacedChecksOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  /** Looks at one thing. A rejection is logged, and the look is repeated after the pause that is due. */
  readonly check: (id: string) => Promise<void>;
}

/** Looks under way at once. */
const AT_ONCE = 4;
/** Pause between two looks at one thing: doubled with each up to the second, which bounds what somebody who fights us costs. */
const GAP_MS_MIN = 1_000;
const GAP_MS_MAX = 60_000;
/** A thing that was left alone for this long begins anew. */
const QUIET_MS = 300_000;
/** Things whose last look is remembered; beyond it the oldest begins anew. */
const REMEMBERED_MAX = 4_096;

interface Pace {
  gapMs: number;
  lastAtMs: number;
}

/**
 * Looks at things that may be wrong: at once the first time, ever more rarely if the same thing is asked for again and again.
 * What is asked for twice before its turn is looked at once.
 */
export class PacedChecks implements Disposable {
  readonly #options: PacedChecksOptions;
  /** Asked for and not begun. */
  readonly #wanted = new Set<string>();
  readonly #timers = new Map<string, Disposable>();
  readonly #paces = new Map<string, Pace>();
  #running = 0;
  #disposed = false;

  constructor(options: PacedChecksOptions) {
    this.#options = options;
  }

  /** O(1); never looks inside this call. */
  ask(id: string): void {
    if (this.#disposed || this.#wanted.has(id) || this.#timers.has(id)) return;
    const { clock, timers } = this.#options;
    const nowMs = clock.monotonicMs();
    const pace = this.#paces.get(id);
    const waitMs = pace === undefined || nowMs - pace.lastAtMs > QUIET_MS ? 0 : pace.lastAtMs + pace.gapMs - nowMs;
    const queue = () => {
      this.#timers.delete(id);
      this.#wanted.add(id);
      this.#next();
    };
    this.#timers.set(id, waitMs <= 0 ? timers.soon(queue) : timers.after(waitMs, queue));
  }

  [Symbol.dispose](): void {
    this.#disposed = true;
    this.#wanted.clear();
    for (const timer of this.#timers.values()) timer[Symbol.dispose]();
    this.#timers.clear();
  }

  #next(): void {
    for (const id of this.#wanted) {
      if (this.#disposed || this.#running >= AT_ONCE) return;
      this.#wanted.delete(id);
      void this.#look(id);
    }
  }

  async #look(id: string): Promise<void> {
    const { check, log } = this.#options;
    this.#running++;
    this.#notePace(id);
    try {
      await check(id);
    } catch (error) {
      log.warn({ id, error }, 'could not look at a lease that was changed; trying again');
      this.ask(id);
    } finally {
      this.#running--;
      this.#next();
    }
  }

  #notePace(id: string): void {
    const nowMs = this.#options.clock.monotonicMs();
    const known = this.#paces.get(id);
    const gapMs =
      known === undefined || nowMs - known.lastAtMs > QUIET_MS ? GAP_MS_MIN : Math.min(GAP_MS_MAX, known.gapMs * 2);
    this.#paces.delete(id);
    this.#paces.set(id, { gapMs, lastAtMs: nowMs });
    if (this.#paces.size <= REMEMBERED_MAX) return;
    for (const oldest of this.#paces.keys()) {
      this.#paces.delete(oldest);
      return;
    }
  }
}
