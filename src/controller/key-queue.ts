import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { type BackoffOptions, backoffMs } from '../kube/backoff.ts';

export interface KeyQueueOptions {
  readonly timers: Timers;
  readonly random: Random;
  /** Brings what the key names to what it should be. Learns nothing but the key, so it cannot depend on events. */
  readonly process: (key: string) => Promise<void>;
  /** A round failed and will be tried again in `retryInMs`. Must not throw. */
  readonly onFailure: (key: string, error: unknown, retryInMs: number) => void;
  /** Keys worked on at once. Default 8. */
  readonly concurrency?: number | undefined;
  /** Default 100 ms, doubling to 60 s. */
  readonly backoff?: BackoffOptions | undefined;
}

const CONCURRENCY_DEFAULT = 8;
const BACKOFF_DEFAULT: BackoffOptions = { firstMs: 100, maxMs: 60_000 };

/**
 * Keys to reconcile. A key that is added many times is worked on once; one that is added while it is worked on is worked on once
 * more afterwards, and never twice at once. A failed key comes back after a pause of its own that grows with every failure and
 * that nobody else waits for; adding it meanwhile starts it at once, since something has changed.
 *
 * Keys start in the order of their adding, in later turns of the event loop, so that a flood does not block it.
 */
export class KeyQueue implements AsyncDisposable {
  readonly #options: KeyQueueOptions;
  /** Waiting to start, oldest first. */
  readonly #ready = new Set<string>();
  readonly #running = new Set<string>();
  /** Added again while they were worked on. */
  readonly #again = new Set<string>();
  readonly #later = new Map<string, { readonly dueMs: number; readonly timer: Disposable }>();
  readonly #failures = new Map<string, number>();
  readonly #idle: (() => void)[] = [];
  #pump: Disposable | undefined;
  #disposed = false;

  constructor(options: KeyQueueOptions) {
    this.#options = options;
  }

  /** Keys that wait to start; those that wait for a later moment are not among them. */
  get depth(): number {
    return this.#ready.size + this.#again.size;
  }

  add(key: string): void {
    if (this.#disposed) return;
    this.#forgetLater(key);
    if (this.#running.has(key)) this.#again.add(key);
    else this.#ready.add(key);
    this.#schedule();
  }

  /** Adds the key when at least `delayMs` have passed. Of several such wishes for one key the earliest counts. */
  addAfter(key: string, delayMs: number, nowMs: number): void {
    if (this.#disposed) return;
    const dueMs = nowMs + delayMs;
    const before = this.#later.get(key);
    if (before !== undefined && before.dueMs <= dueMs) return;
    this.#forgetLater(key);
    const timer = this.#options.timers.after(delayMs, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { dueMs, timer });
  }

  /** Starts nothing more, and resolves when what was started has ended. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#pump?.[Symbol.dispose]();
    for (const { timer } of this.#later.values()) timer[Symbol.dispose]();
    this.#later.clear();
    this.#ready.clear();
    this.#again.clear();
    if (this.#running.size > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  #forgetLater(key: string): void {
    this.#later.get(key)?.timer[Symbol.dispose]();
    this.#later.delete(key);
  }

  #schedule(): void {
    if (this.#pump !== undefined || this.#disposed) return;
    this.#pump = this.#options.timers.soon(() => {
      this.#pump = undefined;
      this.#start();
    });
  }

  #start(): void {
    const limit = this.#options.concurrency ?? CONCURRENCY_DEFAULT;
    for (const key of this.#ready) {
      if (this.#running.size >= limit) return;
      this.#ready.delete(key);
      this.#running.add(key);
      void this.#run(key);
    }
  }

  async #run(key: string): Promise<void> {
    try {
      await this.#options.process(key);
      this.#failures.delete(key);
    } catch (error) {
      this.#failed(key, error);
    }
    this.#running.delete(key);
    if (this.#again.delete(key)) this.add(key);
    if (this.#ready.size > 0) this.#schedule();
    if (this.#running.size === 0) for (const resolve of this.#idle.splice(0)) resolve();
  }

  #failed(key: string, error: unknown): void {
    if (this.#disposed) return;
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    const { timers, random, onFailure, backoff = BACKOFF_DEFAULT } = this.#options;
    const retryInMs = backoffMs(failures, backoff, random);
    onFailure(key, error, retryInMs);
    this.#forgetLater(key);
    const timer = timers.after(retryInMs, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { dueMs: Number.NEGATIVE_INFINITY, timer });
  }
}
