/** The one true store of a run: what is really on the Leases, and what people and backups do to it. */
import type { LockRecord, ShardRecord } from '../../src/engine/records.ts';
import type { StoredLease } from '../../src/kube/lease.ts';
import { MemoryLeaseStore } from '../../src/kube/memory-lease-store.ts';
import { decodeLockLease, decodeShardLease, lockLeaseName, shardLeaseName } from '../../src/server/lease-codec.ts';
import { splitLockKey } from '../../src/api/lock-id.ts';
import type { Clock } from '../../src/system/clock.ts';
import type { Random } from '../../src/system/random.ts';
import { disposable } from '../../src/system/disposables.ts';
import type { Chance } from './chance.ts';

export const OPERATOR_NAMESPACE = 'lockkeeper-system';

interface Backup {
  readonly leases: readonly StoredLease[];
  readonly resourceVersion: string;
}

export interface LeaseWorldOptions {
  readonly clock: Clock;
  readonly random: Random;
}

export class LeaseWorld {
  readonly #options: LeaseWorldOptions;
  readonly #backups: Backup[] = [];
  readonly #restoredListeners = new Set<() => void>();
  truth: MemoryLeaseStore;
  /** Leases that somebody else than an owner changed: what is promised about records is not judged for them. */
  readonly disturbed = new Set<string>();
  /** Every `key#token` that stood on a lock's Lease at some time. */
  readonly landedTokens = new Set<string>();
  /** What stands on Leases now, decoded, by name; kept by `noteLanded`. */
  readonly lockRecords = new Map<string, LockRecord>();
  readonly shardRecords = new Map<string, ShardRecord>();

  constructor(options: LeaseWorldOptions) {
    this.#options = options;
    this.truth = new MemoryLeaseStore(options);
  }

  /** An owner's write is on the store. */
  noteLanded(lease: StoredLease): void {
    const { name } = lease.metadata;
    const lock = decodeLockLease(lease);
    if (lock.kind === 'lock') {
      this.lockRecords.set(name, lock.record);
      for (const { token } of lock.record.holders) this.landedTokens.add(`${lock.record.key}#${token}`);
      return;
    }
    const shard = decodeShardLease(lease);
    if (shard.kind === 'shard') this.shardRecords.set(name, shard.record);
  }

  lockRecord(key: string): LockRecord | undefined {
    return this.lockRecords.get(lockLeaseName(splitLockKey(key).lockId));
  }

  shardRecord(shard: number): ShardRecord | undefined {
    return this.shardRecords.get(shardLeaseName(shard));
  }

  isDisturbed(key: string, shard: number): boolean {
    return this.disturbed.has(lockLeaseName(splitLockKey(key).lockId)) || this.disturbed.has(shardLeaseName(shard));
  }

  /** Told whenever a backup was put back. */
  onRestored(tell: () => void): Disposable {
    this.#restoredListeners.add(tell);
    return disposable(() => this.#restoredListeners.delete(tell));
  }

  async backUp(): Promise<void> {
    const { items, resourceVersion } = await this.truth.list({});
    this.#backups.push({ leases: items, resourceVersion });
    if (this.#backups.length > 12) this.#backups.shift();
  }

  /** Puts a backup back, as a careful administrator does: versions go on above every one ever given. False if there is none. */
  async restore(chance: Chance): Promise<boolean> {
    if (this.#backups.length === 0) return false;
    const backup = chance.pick(this.#backups);
    const { items, resourceVersion } = await this.truth.list({});
    for (const { metadata } of items) this.disturbed.add(metadata.name);
    const initial = { leases: backup.leases, resourceVersion: String(Number(resourceVersion) + 1_000) };
    this.truth = new MemoryLeaseStore({ ...this.#options, initial });
    for (const tell of this.#restoredListeners) tell();
    this.lockRecords.clear();
    this.shardRecords.clear();
    for (const lease of backup.leases) this.noteLanded(lease);
    return true;
  }

  /** Somebody adds a label: the content stays, the version does not. */
  async touch(namespace: string, name: string, chance: Chance): Promise<boolean> {
    const lease = await this.truth.get(namespace, name);
    if (lease === undefined) return false;
    const labels = { ...lease.metadata.labels, 'example.com/touched': String(chance.whole(1, 1_000_000)) };
    await this.truth.update({ metadata: { ...lease.metadata, labels }, spec: lease.spec });
    return true;
  }

  /** Somebody edits annotations of a lock's Lease by hand: the checksum no longer fits. */
  async edit(key: string, chance: Chance): Promise<boolean> {
    const { namespace, lockId } = splitLockKey(key);
    const name = lockLeaseName(lockId);
    const lease = await this.truth.get(namespace, name);
    if (lease === undefined) return false;
    this.disturbed.add(name);
    const annotations = { ...lease.metadata.annotations };
    const names = Object.keys(annotations).sort();
    if (names.length > 0) annotations[chance.pick(names)] = chance.pick(['', '7', 'null', '[]']);
    await this.truth.update({ metadata: { ...lease.metadata, annotations }, spec: lease.spec });
    return true;
  }

  async delete(key: string): Promise<boolean> {
    const { namespace, lockId } = splitLockKey(key);
    const name = lockLeaseName(lockId);
    const lease = await this.truth.get(namespace, name);
    if (lease === undefined) return false;
    this.disturbed.add(name);
    await this.truth.delete(namespace, name, lease.metadata.resourceVersion);
    return true;
  }
}
