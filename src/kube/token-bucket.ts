/** One, less what sums of fractions lose. */
const ONE = 1 - 1e-9;

/** `burst` at once, and `perSecond` more as time passes. Told the time by a clock that never goes back. */
export class TokenBucket {
  readonly #burst: number;
  readonly #perSecond: number;
  #tokens: number;
  #filledAtMs: number;

  constructor(burst: number, perSecond: number, nowMs: number) {
    this.#burst = burst;
    this.#perSecond = perSecond;
    this.#tokens = burst;
    this.#filledAtMs = nowMs;
  }

  /** Whether there was one to take. */
  take(nowMs: number): boolean {
    if (!this.has(nowMs)) return false;
    this.#tokens--;
    return true;
  }

  has(nowMs: number): boolean {
    const grownBy = ((nowMs - this.#filledAtMs) * this.#perSecond) / 1_000;
    this.#tokens = Math.min(this.#burst, this.#tokens + grownBy);
    this.#filledAtMs = nowMs;
    return this.#tokens >= ONE;
  }

  giveBack(): void {
    this.#tokens = Math.min(this.#burst, this.#tokens + 1);
  }

  /** The moment at which there is one. */
  nextMs(nowMs: number): number {
    return this.has(nowMs) ? nowMs : nowMs + ((1 - this.#tokens) * 1_000) / this.#perSecond;
  }
}
