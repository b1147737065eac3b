/** What happened in one run, in order: for the report of a failure, and as a hash that proves two runs equal. */
import { createHash } from 'node:crypto';

/** Events kept for a report; the hash covers all. */
const KEPT_MAX = 200_000;

export class History {
  readonly #hash = createHash('sha256');
  readonly #events: string[] = [];
  #count = 0;
  readonly #nowMs: () => number;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** `about` names the lock, client or process that the event belongs to, so that a report can pick. */
  note(about: string, text: string): void {
    const event = `${this.#nowMs().toFixed(3)} ${about} ${text}`;
    this.#hash.update(event);
    this.#count++;
    if (this.#events.length < KEPT_MAX) this.#events.push(event);
  }

  get count(): number {
    return this.#count;
  }

  digest(): string {
    return this.#hash.copy().digest('hex');
  }

  /** The last `count` events that mention any of the words. */
  last(count: number, words: readonly string[]): string[] {
    const found: string[] = [];
    for (let index = this.#events.length - 1; index >= 0 && found.length < count; index--) {
      const event = this.#events[index] as string;
      if (words.length === 0 || words.some((word) => event.includes(word))) found.push(event);
    }
    return found.reverse();
  }
}
