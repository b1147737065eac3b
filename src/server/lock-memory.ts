import type { RememberedLock } from '../engine/engine.ts';
import type { HolderRecord } from '../engine/records.ts';

interface Entry {
  readonly counter: number;
  readonly landedCounter: number;
  readonly holders: readonly { readonly holder: HolderRecord; readonly untilMs: number }[];
}

/**
 * What earlier reigns of this process knew of DistributedLocks, for the next one: a store may be set back between them. Counters
 * are kept for ever, at some 100 bytes for each lock; the rest until the next reign has it.
 */
export class LockMemory {
  readonly #counters = new Map<string, number>();
  readonly #entries = new Map<string, Entry>();

  /** Highest number spent on a lock, 0 if none is known. */
  counterOf(key: string): number {
    return this.#counters.get(key) ?? 0;
  }

  /** A reign is over. What it promised last runs out one time to live from now at the latest. */
  note(locks: Iterable<RememberedLock>, nowMs: number): void {
    for (const { key, counter, landedCounter, holders } of locks) {
      this.#counters.set(key, Math.max(counter, this.counterOf(key)));
      if (landedCounter === 0) continue;
      this.#entries.set(key, {
        counter,
        landedCounter,
        holders: holders.map((holder) => ({ holder, untilMs: nowMs + holder.ttlMs })),
      });
    }
  }

  /** What a new reign over these locks must know; it is not kept any longer. */
  take(isWanted: (key: string) => boolean, nowMs: number): RememberedLock[] {
    const taken: RememberedLock[] = [];
    for (const [key, { counter, landedCounter, holders }] of this.#entries) {
      if (!isWanted(key)) continue;
      this.#entries.delete(key);
      const alive = holders.filter(({ untilMs }) => nowMs < untilMs).map(({ holder }) => holder);
      taken.push({ key, counter, landedCounter, holders: alive });
    }
    return taken;
  }
}
