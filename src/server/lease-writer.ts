import { splitLockKey } from '../api/lock-id.ts';
import type { PersistedCommand } from '../engine/commands.ts';
import type { PersistLockEffect, PersistShardEffect } from '../engine/effects.ts';
import type { StoredLease } from '../kube/lease.ts';
import { type CallOptions, type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Timers } from '../system/timers.ts';
import {
  type DecodedShard,
  decodeLockLease,
  decodeShardLease,
  encodeLockLease,
  encodeShardLease,
  lockLeaseName,
  shardLeaseName,
} from './lease-codec.ts';
import { carryOf, type LeaseCarry } from './lease-fields.ts';

/** Writes in flight at once; more only queue up in the API server and slow the renewals of authority. */
const IN_FLIGHT_MAX = 16;
/** A write without an answer for this long has an unknown outcome. */
const WRITE_TIMEOUT_MS = 5_000;

export interface LeaseWriterOptions {
  readonly store: LeaseStore;
  readonly namespace: string;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Seconds a write took, and how it ended; for the metrics. */
  readonly observe: (outcome: PersistedCommand['outcome'], seconds: number) => void;
}

/** A shard's Lease as this owner last saw it. */
export interface OwnedShardLease {
  readonly incarnation: string;
  version: string;
  carry: LeaseCarry;
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

  /** What a takeover read of a lock's Lease, so that the next write keeps others' labels. */
  noteLockLease(key: string, carry: LeaseCarry): void {
    this.#carries.set(key, carry);
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
   * Writes a shard's record on the version in `owned`, and notes the new one there. `lostShard` is set if the Lease names
   * another incarnation or is gone: then this owner's reign is over.
   */
  async writeShard(
    shard: number,
    { record, attempt }: PersistShardEffect,
    owned: OwnedShardLease,
  ): Promise<PersistedCommand & { readonly lostShard: boolean }> {
    let lostShard = false;
    const { store, namespace, clock } = this.#options;
    const note = (lease: StoredLease) => {
      owned.version = lease.metadata.resourceVersion;
      owned.carry = carryOf(lease);
    };
    const outcome = await this.#write(
      (call) => {
        const owner = { namespace, shard, incarnation: owned.incarnation };
        const write = { wallMs: clock.wallMs(), resourceVersion: owned.version, carry: owned.carry };
        return store.update(encodeShardLease(record, owner, write), call);
      },
      (lease) => {
        note(lease);
        return { outcome: 'ok' };
      },
      async () => {
        const lease = await store.get(namespace, shardLeaseName(shard));
        const decoded = lease === undefined ? undefined : decodeShardLease(lease);
        lostShard = !isStillOurs(decoded, owned.incarnation, record.epoch);
        if (lease !== undefined && !lostShard) note(lease);
        const landed = decoded?.kind === 'shard' && decoded.record.attempt === attempt;
        return { outcome: landed ? 'ok' : 'conflict' };
      },
    );
    return { kind: 'persisted', key: undefined, attempt, ...outcome, lostShard };
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
    const { namespace, lockId } = splitLockKey(key);
    const lease = await this.#options.store.get(namespace, lockLeaseName(lockId));
    if (lease === undefined) return { outcome: 'conflict', stored: undefined };
    const decoded = decodeLockLease(lease);
    if (decoded.kind === 'lock') {
      this.#carries.set(key, decoded.carry);
      return { outcome: 'conflict', stored: { record: decoded.record, version: decoded.version } };
    }
    if (decoded.kind === 'damaged') {
      this.#carries.set(key, carryOf(lease));
      return { outcome: 'conflict', damagedVersion: decoded.version, message: decoded.problem.message };
    }
    const message = `The Lease ${decoded.lease} belongs to somebody else; rename the lock or remove that Lease.`;
    return { outcome: 'rejected', message };
  }
}

function isStillOurs(
  decoded: ReturnType<typeof decodeShardLease> | undefined,
  incarnation: string,
  epoch: number,
): boolean {
  return (
    decoded?.kind === 'shard' &&
    (decoded satisfies DecodedShard).incarnation === incarnation &&
    decoded.record.epoch === epoch
  );
}
