import { splitLockKey } from '../api/lock-id.ts';
import type { ResourceType, StoredObject } from '../kube/kube-object.ts';
import { ListWatch } from '../kube/list-watch.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import { objectSource } from '../kube/watch-source.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import type { ControllerMetrics } from './controller-metrics.ts';
import { KeyQueue } from './key-queue.ts';

/**
 * What became of a reconcile.
 * - `done`: nothing is left to do.
 * - `again`: a next step waits.
 * - `stale`: the object is another one than the one looked at; read it and look again.
 */
export type Outcome = 'done' | 'again' | 'stale';

export interface Reconciled {
  readonly outcome: Outcome;
  /** Look again after this long though nothing may have happened; Infinity for never. */
  readonly reviewInMs: number;
}

export interface KindControllerOptions {
  readonly type: ResourceType;
  readonly store: ObjectStore;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: ControllerMetrics | undefined;
  readonly reconcile: (key: string) => Promise<Reconciled>;
}

/** Keeps one kind of object reconciled: every object once at the start, then whenever it or what it stands for changes. */
export class KindController implements AsyncDisposable {
  readonly objects: ListWatch<StoredObject>;
  readonly queue: KeyQueue;
  readonly #options: KindControllerOptions;

  constructor(options: KindControllerOptions) {
    this.#options = options;
    const { type, store, timers, random, log } = options;
    this.queue = new KeyQueue({
      timers,
      random,
      process: (key) => this.#process(key),
      onFailure: (key, error, retryInMs) =>
        log.warn({ kind: type.kind, key, retryInMs, error }, 'a reconcile failed and is tried again'),
    });
    this.objects = new ListWatch({
      ...options,
      source: objectSource(store, type),
      onChange: (key) => this.queue.add(key),
    });
  }

  start(): void {
    this.objects.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.objects[Symbol.dispose]();
    await this.queue[Symbol.asyncDispose]();
  }

  async #process(key: string): Promise<void> {
    const { type, clock, metrics, reconcile } = this.#options;
    const startedMs = clock.monotonicMs();
    let failed = true;
    try {
      const { outcome, reviewInMs } = await reconcile(key);
      if (outcome === 'stale') await this.#refresh(key);
      if (outcome !== 'done') this.queue.add(key);
      else if (reviewInMs < Number.POSITIVE_INFINITY) this.queue.addAfter(key, reviewInMs, clock.monotonicMs());
      failed = false;
    } finally {
      metrics?.reconciled(type.kind, (clock.monotonicMs() - startedMs) / 1_000, failed);
    }
  }

  /** The watch would tell it too, but later. Of an object that is gone it tells alone. */
  async #refresh(key: string): Promise<void> {
    const { store, type } = this.#options;
    const { namespace, lockId } = splitLockKey(key);
    const object = await store.get(type, namespace, lockId);
    if (object !== undefined) this.objects.note(object);
  }
}
