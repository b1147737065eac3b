import { splitLockKey } from '../api/lock-id.ts';
import type { PersistedCommand } from '../engine/commands.ts';
import type { PersistLockEffect, PersistShardEffect } from '../engine/effects.ts';
import type { StoredLease } from '../kube/lease.ts';
import { type CallOptions, type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Timers } from '../system/timers.ts';
import { encodeLockLease, encodeShardLease, lockLeaseName, shardLeaseName } from './lease-codec.ts';
import { type FoundLock, foundLock, type OwnedShardLease, type ShardDrift, shardDrift } from './lease-drift.ts';
import { carryOf, type LeaseCarry } from './lease-fields.ts';

/** Writes in flight at once; more only queue up in the API server and slow the renewals of authority. */
const IN_FLIGHT_MAX = 16;
/** A write without an answer for this long has an unknown outcome. */
const WRITE_TIMEOUT_MS = 5_000;
/** Of one shard's record since the last that surely landed; an engine pauses ever longer between them. */
const UNKNOWN_ATTEMPTS_MAX = 64;

export interface LeaseWriterOptions {
  /** For the Leases of locks. */
  readonly store: LeaseStore;
  /** For those of shards. */
  readonly authorityStore: LeaseStore;
  readonly namespace: string;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Seconds a write took, and how it ended; for the metrics. */
  readonly observe: (outcome: PersistedCommand['outcome'], seconds: number) => void;
}

type Outcome = Omit<PersistedCommand, 'kind' | 'key' | 'attempt'>;

/**
 * Turns the engine's persist effects into compare-and-swap writes and their outcomes into what the engine understands. It never
 * retries: an attempt is one write, and only the engine knows what should be written next.
 */
export class LeaseWriter {
  readonly #options: LeaseWriterOptions;
  readonly #carries = new Map<string, LeaseCarry>();
  readonly #waiting: (() => void)[] = [];
  readonly #idle: (() => void)[] = [];
  #inFlight = 0;

  constructor(options: LeaseWriterOptions) {
    this.#options = options;
  }

  /** What was read of a lock's Lease, so that the next write keeps others' labels. `undefined`: the lock is forgotten. */
  noteLockLease(key: string, carry: LeaseCarry | undefined): void {
    if (carry === undefined) this.#carries.delete(key);
    else this.#carries.set(key, carry);
  }

  /**
   * What stands on a lock's Lease now, by a consistent read. The caller notes it if it goes by it. Rejects with the store's error.
   */
  async readLock(key: string, lastAttempt?: string): Promise<FoundLock> {
    const { namespace, lockId } = splitLockKey(key);
    const lease = await this.#options.store.get(namespace, lockLeaseName(lockId));
    return foundLock(lease, key, this.#carries.get(key), lastAttempt);
  }

  /** What stands on the Lease of an owned shard now, by a consistent read. Rejects with the store's error. */
  async readShard(shard: number, owned: OwnedShardLease): Promise<ShardDrift> {
    const { authorityStore, namespace } = this.#options;
    return shardDrift(await authorityStore.get(namespace, shardLeaseName(shard)), shard, owned);
  }

  /** Resolves when no write is in flight. */
  async whenIdle(): Promise<void> {
    if (this.#inFlight > 0) await new Promise<void>((resolve) => this.#idle.push(resolve));
  }

  /** Writes a lock's record. Never rejects. */
  async writeLock({ record, version, attempt }: PersistLockEffect): Promise<PersistedCommand> {
    const { key } = record;
    const outcome = await this.#write(
      (call) => {
        const write = { wallMs: this.#options.clock.wallMs(), resourceVersion: version, carry: this.#carries.get(key) };
        const lease = encodeLockLease(record, write);
        return version === undefined
          ? this.#options.store.create(lease, call)
          : this.#options.store.update(lease, call);
      },
      (lease) => {
        this.#carries.set(key, carryOf(lease));
        return { outcome: 'ok', version: lease.metadata.resourceVersion };
      },
      () => this.#readLock(key),
    );
    return { kind: 'persisted', key, attempt, ...outcome };
  }

  /**
   * Writes a shard's record on the version in `owned`, and notes the new one there. A Lease that somebody changed or deleted and
   * that names nobody else is told by `drift`, and is written again by the next attempt; `lostShard` is set if it names another
   * reign, or a state of this one that is over: then this owner's reign is over.
   */
  async writeShard(
    shard: number,
    { record, attempt }: PersistShardEffect,
    owned: OwnedShardLease,
  ): Promise<PersistedCommand & { readonly lostShard: boolean; readonly drift: ShardDrift | undefined }> {
    let drift: ShardDrift | undefined;
    const { authorityStore: store, namespace, clock } = this.#options;
    owned.attempts = [...owned.attempts, attempt].slice(-UNKNOWN_ATTEMPTS_MAX);
    owned.writing = true;
    const outcome = await this.#write(
      (call) => {
        const owner = { namespace, shard, incarnation: owned.incarnation };
        const write = { wallMs: clock.wallMs(), resourceVersion: owned.version, carry: owned.carry };
        const lease = encodeShardLease(record, owner, write);
        return owned.version === undefined ? store.create(lease, call) : store.update(lease, call);
      },
      (lease) => {
        noteShard(owned, { attempt, version: lease.metadata.resourceVersion, carry: carryOf(lease) });
        return { outcome: 'ok' };
      },
      async () => {
        drift = await this.readShard(shard, owned);
        noteShard(owned, drift);
        return { outcome: drift.kind === 'ours' && drift.attempt === attempt ? 'ok' : 'conflict' };
      },
    );
    owned.writing = false;
    const lostShard = drift?.kind === 'lost' || drift?.kind === 'restored';
    return { kind: 'persisted', key: undefined, attempt, ...outcome, lostShard, drift };
  }

  async #write(
    send: (call: CallOptions) => Promise<StoredLease>,
    landed: (lease: StoredLease) => Outcome,
    read: () => Promise<Outcome>,
  ): Promise<Outcome> {
    if (this.#inFlight >= IN_FLIGHT_MAX) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    this.#inFlight++;
    const { clock, timers, observe } = this.#options;
    const startedMs = clock.monotonicMs();
    const abort = new AbortController();
    const timeout = timers.after(WRITE_TIMEOUT_MS, () => abort.abort());
    let outcome: Outcome;
    try {
      outcome = landed(await send({ signal: abort.signal }));
    } catch (error) {
      outcome = await this.#outcomeOf(error, read);
    } finally {
      timeout[Symbol.dispose]();
      this.#inFlight--;
      this.#waiting.shift()?.();
      if (this.#inFlight === 0) for (const resolve of this.#idle.splice(0)) resolve();
    }
    observe(outcome.outcome, (clock.monotonicMs() - startedMs) / 1000);
    return outcome;
  }

  async #outcomeOf(error: unknown, read: () => Promise<Outcome>): Promise<Outcome> {
    if (!(error instanceof StoreError)) return { outcome: 'rejected', message: String(error) };
    if (error.outcome === 'unknown') return { outcome: 'unknown', message: error.message };
    if (error.outcome === 'rejected') return { outcome: 'rejected', message: error.message };
    // For sure not written. What is there instead must be read; if that fails, nothing is known of it.
    try {
      return await read();
    } catch (readError) {
      return { outcome: 'unknown', message: String(readError) };
    }
  }

  async #readLock(key: string): Promise<Outcome> {
    const { found, carry } = await this.readLock(key);
    this.noteLockLease(key, carry);
    switch (found.kind) {
      case 'gone':
        return { outcome: 'conflict', stored: undefined };
      case 'record':
        return { outcome: 'conflict', stored: found.stored };
      case 'damaged':
        return { outcome: 'conflict', damagedVersion: found.version, message: found.text };
      case 'unusable':
    }
    return { outcome: 'rejected', unusable: true, message: found.text };
  }
}

/** Takes over what is known of a shard's Lease, if it is this owner's to write. */
export function noteShard(
  owned: OwnedShardLease,
  seen: ShardDrift | { readonly attempt: string; readonly version: string; readonly carry: LeaseCarry },
): void {
  if (!('carry' in seen)) return;
  owned.version = seen.version;
  owned.carry = seen.carry;
  if ('attempt' in seen) owned.attempts = owned.attempts.slice(owned.attempts.indexOf(seen.attempt));
}
