import { lockKey, splitLockKey } from '../api/lock-id.ts';
import { shardOf } from '../api/shard-hash.ts';
import type { RecordEvent } from '../engine/effects.ts';
import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import {
  decodeShardsLease,
  encodeShardsLease,
  lockIdOfLease,
  lockLeaseName,
  SHARDS_LEASE_NAME,
  shardLayoutRefusal,
  shardLeaseName,
} from './lease-codec.ts';
import { isSurprise } from './lease-drift.ts';
import { LOCK_LABEL, MANAGED_BY, MANAGED_BY_LABEL } from './lease-fields.ts';
import { LeaseWatch } from './lease-watch.ts';
import { type LeaseWriter, noteShard } from './lease-writer.ts';
import { MEMBER_LABEL } from './member.ts';
import type { ShardDriver } from './shard-driver.ts';
import { ownLayout } from './takeover.ts';

export interface LeaseGuardOptions {
  /** Leases of locks, in all namespaces. */
  readonly store: LeaseStore;
  /** Leases of shards and their layout, in the operator's namespace. */
  readonly authorityStore: LeaseStore;
  readonly namespace: string;
  readonly shardCount: number;
  readonly writer: LeaseWriter;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** The driver of a shard that this process owns now. */
  readonly driver: (shard: number) => ShardDriver | undefined;
  readonly drivers: () => ShardDriver[];
  readonly counterFloor: (key: string) => number;
  /** Something happened to the layout. */
  readonly audit: (event: RecordEvent) => void;
  /** The whole store was set back: no record can be trusted to be the last one. */
  readonly onRestored: () => void;
}

/**
 * Watches the Leases that this process's authority stands on, and sees that they say what it knows: those of locks in its shards,
 * those of its shards, and, for the owner of shard 0, the layout. Its own member Lease needs no watch: it is renewed by
 * compare-and-swap every two seconds.
 */
export class LeaseGuard implements Disposable {
  readonly #options: LeaseGuardOptions;
  readonly #locks: LeaseWatch;
  readonly #shards: LeaseWatch;
  readonly #layoutKey: string;
  #layoutVersion: string | undefined;

  constructor(options: LeaseGuardOptions) {
    this.#options = options;
    this.#layoutKey = `${options.namespace}/${SHARDS_LEASE_NAME}`;
    this.#locks = new LeaseWatch({
      ...options,
      query: { labelSelector: LOCK_LABEL },
      isSurprise: (leaseKey, version) => this.#isLockSurprise(leaseKey, version),
      check: (leaseKey) => this.#checkLock(leaseKey),
      expected: () => this.#lockLeases(),
    });
    this.#shards = new LeaseWatch({
      ...options,
      store: options.authorityStore,
      query: {
        namespace: options.namespace,
        labelSelector: `${MANAGED_BY_LABEL}=${MANAGED_BY},!${LOCK_LABEL},!${MEMBER_LABEL}`,
      },
      isSurprise: (leaseKey, version) => this.#isShardSurprise(leaseKey, version),
      check: (leaseKey) => this.#checkShard(leaseKey),
      expected: () => this.#shardLeases(),
    });
  }

  start(): void {
    this.#locks.start();
    this.#shards.start();
  }

  /** A write of a lock's Lease, or (`undefined`) of the shard's, has an outcome. */
  written(shard: number, key: string | undefined): void {
    if (key === undefined) this.#shards.written(`${this.#options.namespace}/${shardLeaseName(shard)}`);
    else this.#locks.written(leaseKeyOf(key));
  }

  /** Shards were taken: what was seen of their Leases meanwhile was nobody's business. */
  review(): void {
    this.#locks.review();
    this.#shards.review();
  }

  [Symbol.dispose](): void {
    this.#locks[Symbol.dispose]();
    this.#shards[Symbol.dispose]();
  }

  #driverOf(key: string): ShardDriver | undefined {
    return this.#options.driver(shardOf(key, this.#options.shardCount));
  }

  #isLockSurprise(leaseKey: string, version: string | undefined): boolean {
    const key = keyOfLease(leaseKey);
    const known = key === undefined ? undefined : this.#driverOf(key)?.engine.knownLease(key);
    return known !== undefined && isSurprise(version, known);
  }

  async #checkLock(leaseKey: string): Promise<void> {
    const { writer, counterFloor } = this.#options;
    const key = keyOfLease(leaseKey);
    if (key === undefined) return;
    const before = this.#driverOf(key)?.engine.knownLease(key);
    if (before?.settled !== true) return;
    const { found, carry } = await writer.readLock(key, before.attempt);
    const driver = this.#driverOf(key);
    const after = driver?.engine.knownLease(key);
    if (driver === undefined || after?.settled !== true) return;
    // A write of our own landed during the read, which then may show the state before it.
    if (after.version !== before.version || after.attempt !== before.attempt) {
      this.#locks.written(leaseKey);
      return;
    }
    if (found.kind === 'record' && found.stored.version === after.version) return;
    if (found.kind === 'gone' && after.version === undefined) return;
    if (found.kind !== 'unusable') writer.noteLockLease(key, carry);
    driver.submit({ kind: 'leaseSeen', key, found, counterFloor: counterFloor(key) });
    if (driver.engine.knownLease(key) === undefined) writer.noteLockLease(key, undefined);
  }

  *#lockLeases(): IterableIterator<string> {
    for (const driver of this.#options.drivers()) {
      for (const key of driver.engine.durableKeys()) yield leaseKeyOf(key);
    }
  }

  #isShardSurprise(leaseKey: string, version: string | undefined): boolean {
    if (leaseKey === this.#layoutKey)
      return this.#options.driver(0) !== undefined && (version === undefined || version !== this.#layoutVersion);
    const lease = this.#shardDriver(leaseKey)?.lease;
    return lease !== undefined && isSurprise(version, { ...lease, settled: !lease.writing, attempt: undefined });
  }

  #shardDriver(leaseKey: string): ShardDriver | undefined {
    return this.#options.drivers().find(({ engine }) => leaseKey.endsWith(`/${shardLeaseName(engine.shard)}`));
  }

  async #checkShard(leaseKey: string): Promise<void> {
    if (leaseKey === this.#layoutKey) return this.#checkLayout();
    const driver = this.#shardDriver(leaseKey);
    if (driver === undefined || driver.lease.writing) return;
    const { lease } = driver;
    const { version, attempts } = lease;
    const drift = await this.#options.writer.readShard(driver.engine.shard, lease);
    if (driver.isDropped || lease.writing) return;
    if (lease.version !== version || lease.attempts !== attempts) {
      this.#shards.written(leaseKey);
      return;
    }
    if (drift.kind === 'lost' || drift.kind === 'restored') {
      driver.loseShard();
      return;
    }
    noteShard(lease, drift);
    if (drift.kind === 'repair') driver.submit({ kind: 'shardLeaseSeen', change: drift.change, text: drift.text });
  }

  *#shardLeases(): IterableIterator<string> {
    for (const { engine } of this.#options.drivers())
      yield `${this.#options.namespace}/${shardLeaseName(engine.shard)}`;
    if (this.#options.driver(0) !== undefined) yield this.#layoutKey;
  }

  /** The layout was agreed upon before this process served, and never changes: another one there is a hand's. */
  async #checkLayout(): Promise<void> {
    const { authorityStore, namespace, shardCount, clock, audit, log } = this.#options;
    const own = ownLayout(shardCount);
    const found = await authorityStore.get(namespace, SHARDS_LEASE_NAME);
    const decoded = found && decodeShardsLease(found);
    if (decoded?.kind === 'layout' && shardLayoutRefusal(decoded.layout, own) === undefined) {
      this.#layoutVersion = decoded.version;
      return;
    }
    if (decoded?.kind === 'foreign') {
      log.error(
        { lease: decoded.lease },
        'the lease of the layout is somebody else\u2019s now; no new replica will serve',
      );
      return;
    }
    const lease = encodeShardsLease(own, namespace, clock.wallMs());
    try {
      const written =
        found === undefined
          ? await authorityStore.create(lease)
          : await authorityStore.update({
              ...lease,
              metadata: { ...lease.metadata, resourceVersion: found.metadata.resourceVersion, uid: found.metadata.uid },
            });
      this.#layoutVersion = written.metadata.resourceVersion;
    } catch (error) {
      // Somebody was faster: what is there now is looked at when its event comes.
      if (error instanceof StoreError && (error.outcome === 'conflict' || error.outcome === 'notFound')) return;
      throw error;
    }
    const type = found === undefined ? 'recordDeleted' : 'recordEdited';
    audit({ type, key: undefined, text: `the Lease ${SHARDS_LEASE_NAME} was written again` });
  }
}

function leaseKeyOf(key: string): string {
  const { namespace, lockId } = splitLockKey(key);
  return `${namespace}/${lockLeaseName(lockId)}`;
}

/** `undefined`: no lock has a Lease of this name. */
function keyOfLease(leaseKey: string): string | undefined {
  const slash = leaseKey.indexOf('/');
  const lockId = lockIdOfLease(leaseKey.slice(slash + 1));
  return lockId === undefined ? undefined : lockKey(leaseKey.slice(0, slash), lockId);
}
