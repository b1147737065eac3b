import { DISTRIBUTED_LOCKS } from '../kube/kube-object.ts';
import { formatTime, type StoredLease } from '../kube/lease.ts';
import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import { splitLockKey } from '../api/lock-id.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { TOMBSTONE_ANNOTATION } from './annotations.ts';
import type { LockAuthority } from './lock-authority.ts';

export interface TombstoneOptions {
  readonly leases: Pick<LeaseStore, 'list' | 'update' | 'delete'>;
  readonly store: Pick<ObjectStore, 'get'>;
  readonly authority: LockAuthority;
  /** Whether there is an object of that key, as far as this process knows; `undefined` before it knows any. */
  readonly hasObject: (key: string) => boolean | undefined;
  /** Selects the Leases of locks. */
  readonly labelSelector: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
}

const KEEP_MS = 7 * 86_400_000;
const ROUND_MS = 3_600_000;
/** The wall clock must be past the counter by this much, so that a small step back does not bring a token back. */
const CLOCK_MARGIN_MS = 60_000;
/** Leases written or deleted in one round. */
const WRITES_PER_ROUND = 200;

/**
 * Collects the Leases of locks whose object is gone. Such a Lease is a tombstone: it keeps the counter, so that a lock of the
 * same name goes on with it. After seven days it may go, once the wall clock, from which a lock without a record begins, is above
 * the counter. Marking and deleting are bound to the version that was looked at: a grant in between wins.
 *
 * Never touched: a Lease that is not a lock's, that cannot be trusted, that names a holder, or whose lock takes acquires.
 * The owner of shard 0 does it for the whole installation.
 */
export class Tombstones implements AsyncDisposable {
  readonly #options: TombstoneOptions;
  #timer: Disposable | undefined;
  #round: Promise<void> | undefined;
  #disposed = false;

  constructor(options: TombstoneOptions) {
    this.#options = options;
  }

  start(): void {
    const { timers, random, log } = this.#options;
    if (this.#disposed) return;
    this.#timer = timers.after(ROUND_MS * (0.75 + random.fraction() / 2), () => {
      this.#round = this.collect()
        .catch((error: unknown) => log.warn({ error }, 'could not collect tombstones; trying again later'))
        .finally(() => this.start());
    });
  }

  /** One round. Rejects with the store's error. */
  async collect(): Promise<void> {
    const { leases, authority, labelSelector } = this.#options;
    if (!authority.owns(0)) return;
    const { items } = await leases.list({ labelSelector });
    let writes = 0;
    for (const lease of items) {
      if (this.#disposed || writes >= WRITES_PER_ROUND) return;
      if (await this.#visit(lease)) writes++;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    this.#timer?.[Symbol.dispose]();
    await this.#round;
  }

  /** Whether something was written. */
  async #visit(lease: StoredLease): Promise<boolean> {
    const { leases, authority, store, hasObject, clock, log } = this.#options;
    const found = authority.readLockLease(lease);
    if (found === undefined || found.holderCount > 0) return false;
    if (authority.hasRules('lock', found.key) || hasObject(found.key) !== false) return false;
    const wallMs = clock.wallMs();
    const since = lease.metadata.annotations?.[TOMBSTONE_ANNOTATION];
    const sinceMs = since === undefined ? Number.NaN : Date.parse(since);
    const isMarked = !Number.isNaN(sinceMs);
    if (isMarked && (wallMs < sinceMs + KEEP_MS || wallMs < found.counter + CLOCK_MARGIN_MS)) return false;
    const { namespace, lockId } = splitLockKey(found.key);
    // What is known may lag; this is what the store says now.
    if ((await store.get(DISTRIBUTED_LOCKS, namespace, lockId)) !== undefined) return false;
    const { metadata } = lease;
    try {
      if (isMarked) await leases.delete(metadata.namespace, metadata.name, metadata.resourceVersion);
      else await leases.update(marked(lease, wallMs));
    } catch (error) {
      if (error instanceof StoreError && (error.outcome === 'conflict' || error.outcome === 'notFound')) return true;
      throw error;
    }
    if (isMarked) log.info({ key: found.key, since }, 'the lease of a lock that is gone was collected');
    return true;
  }
}

function marked(lease: StoredLease, wallMs: number): StoredLease {
  const annotations = { ...lease.metadata.annotations, [TOMBSTONE_ANNOTATION]: formatTime(wallMs) };
  return { ...lease, metadata: { ...lease.metadata, annotations } };
}
