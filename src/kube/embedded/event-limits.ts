import type { Clock } from '../../system/clock.ts';

/** Which Events are too old or too many, by their keys in the order of their last writes. */
export class EventLimits {
  readonly #clock: Clock;
  readonly #countMax: number;
  readonly #ttlMs: number;
  readonly #writtenMs = new Map<string, number>();

  constructor(clock: Clock, countMax: number, ttlMs: number) {
    this.#clock = clock;
    this.#countMax = countMax;
    this.#ttlMs = ttlMs;
  }

  /** An Event was written. */
  note(key: string): void {
    this.#writtenMs.delete(key);
    this.#writtenMs.set(key, this.#clock.monotonicMs());
  }

  hasExpired(): boolean {
    const [oldestMs] = this.#writtenMs.values();
    return oldestMs !== undefined && this.#isExpired(oldestMs);
  }

  takeExpired(): readonly string[] {
    return this.#take((writtenMs) => this.#isExpired(writtenMs));
  }

  /** What must go so that one more fits. */
  takeSurplus(): readonly string[] {
    return this.#take((writtenMs) => this.#writtenMs.size >= this.#countMax || this.#isExpired(writtenMs));
  }

  #take(mustGo: (writtenMs: number) => boolean): readonly string[] {
    const keys: string[] = [];
    for (const [key, writtenMs] of this.#writtenMs) {
      if (!mustGo(writtenMs)) break;
      this.#writtenMs.delete(key);
      keys.push(key);
    }
    return keys;
  }

  #isExpired(writtenMs: number): boolean {
    return this.#clock.monotonicMs() - writtenMs >= this.#ttlMs;
  }
}
