import { policyNameOf } from '../../api/lock-id.ts';
import type { Timers } from '../../system/timers.ts';
import type { SessionClient } from './session-client.ts';

/** Longest pause between two frames while anything waits, in ms, and the part of a waiting time to live it stays under. */
const PERIOD_MS_MAX = 1_000;
const TTL_PARTS = 10;
/** Locks or pools whose short default time to live is remembered; the oldest is forgotten first. */
const REMEMBERED_MAX = 256;

/**
 * Keeps the owners sure that a waiting session is there: a grant is only made to a session that was heard lately, and its
 * time counts from the newest frame that was heard. Other frames are no substitute: each goes only to the shards it is about.
 */
export class Heartbeat {
  readonly #timers: Timers;
  readonly #client: SessionClient;
  /** How many waiters want each period. */
  readonly #waiters = new Map<number, number>();
  /** Default time to live, where it is known and short, by the lock or pool whose policy says so. */
  readonly #shortDefaultsMs = new Map<string, number>();
  #periodMs = Infinity;
  #timer: Disposable | undefined = undefined;

  constructor(timers: Timers, client: SessionClient) {
    this.#timers = timers;
    this.#client = client;
  }

  /** Somebody waits, for a hold of this time to live if it was named. Give the answer to `leave`. */
  enter(key: string, ttlMs: number | undefined): number {
    const periodMs = periodOf(ttlMs ?? this.#shortDefaultsMs.get(policyNameOf(key)));
    this.#waiters.set(periodMs, (this.#waiters.get(periodMs) ?? 0) + 1);
    if (periodMs < this.#periodMs) {
      this.#periodMs = periodMs;
      this.#arm();
    }
    return periodMs;
  }

  leave(periodMs: number): void {
    const left = (this.#waiters.get(periodMs) ?? 0) - 1;
    if (left > 0) {
      this.#waiters.set(periodMs, left);
      return;
    }
    this.#waiters.delete(periodMs);
    this.#periodMs = Math.min(...this.#waiters.keys());
    if (this.#waiters.size === 0) this.close();
  }

  /** A lock gave this time to live to a request that named none. */
  learn(key: string, ttlMs: number): void {
    if (ttlMs >= PERIOD_MS_MAX * TTL_PARTS && this.#shortDefaultsMs.size === 0) return;
    const name = policyNameOf(key);
    this.#shortDefaultsMs.delete(name);
    if (ttlMs >= PERIOD_MS_MAX * TTL_PARTS) return;
    this.#shortDefaultsMs.set(name, ttlMs);
    if (this.#shortDefaultsMs.size <= REMEMBERED_MAX) return;
    const [oldest] = this.#shortDefaultsMs.keys();
    if (oldest !== undefined) this.#shortDefaultsMs.delete(oldest);
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    if (this.#waiters.size === 0) this.#periodMs = Infinity;
  }

  #arm(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = this.#timers.after(this.#periodMs, () => {
      this.#client.beat();
      this.#arm();
    });
  }
}

function periodOf(ttlMs: number | undefined): number {
  return ttlMs === undefined ? PERIOD_MS_MAX : Math.min(PERIOD_MS_MAX, ttlMs / TTL_PARTS);
}
