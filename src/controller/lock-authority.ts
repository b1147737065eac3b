import type { Inspection } from '../api/operations.ts';
import type { LockPolicy } from '../api/policies.ts';
import type { AuditEvent } from '../engine/effects.ts';
import type { StoredLease } from '../kube/lease.ts';

/**
 * What the controllers need of the lock server in the same process: the only way from a custom resource to a lock and back.
 * Keys are `namespace/lockId`, names `namespace/name`.
 */
export interface LockAuthority {
  /** Shards of the installation. */
  readonly shardCount: number;
  shardOf(key: string): number;
  /** Whether this process is the sole granter of the shard's locks at present. */
  owns(shard: number): boolean;
  /**
   * Sets, changes or (`undefined`) closes the rules of a DistributedLock, for every shard that this process owns or will own.
   * Its next token will be at least `counterFloor`, which only ever raises it.
   */
  configureLock(name: string, policy: LockPolicy | undefined, counterFloor?: number): void;
  /** As `configureLock`, for every key of a LockPool. */
  configurePool(name: string, policy: LockPolicy | undefined): void;
  /** Whether the lock or pool has rules, whoever set them. */
  hasRules(resource: 'lock' | 'pool', name: string): boolean;
  /** A lock as it stands; `undefined` if this process does not own its shard, or there is no such lock. */
  inspect(key: string): Inspection | undefined;
  /** Highest token of a DistributedLock known here to be spent, 0 if none. */
  highestToken(key: string): number;
  poolState(name: string): PoolState;
  /**
   * Ends every hold of the lock and answers with their number once that is on record. Rejects with a `LockkeeperError`:
   * `LOCK_NOT_FOUND`, or `UNAVAILABLE` if this process does not own the lock at present or cannot record the end.
   */
  forceRelease(key: string, reason: string, by: string): Promise<number>;
  /** What a lock's Lease says; `undefined` for a Lease that is not one of ours or cannot be trusted. */
  readLockLease(lease: StoredLease): LockLease | undefined;
  /** Hears of everything from now on, until disposed. */
  subscribe(listener: AuthorityListener): Disposable;
}

export interface AuthorityListener {
  /** In order for each lock. Called on the path of every operation: it must be quick, and must not throw. */
  onAudit(event: AuditEvent): void;
  /** A shard was taken, for the first time or anew. */
  onOwned(shard: number): void;
}

export interface PoolState {
  readonly holds: number;
  readonly waiters: number;
  /** Since the present owners took their shards. */
  readonly grants: number;
  /** Shards that nobody serves at present. */
  readonly unownedShards: number;
  /** Shards whose new owner waits for holders to reclaim. */
  readonly recoveringShards: number;
}

export interface LockLease {
  /** Key of the lock. */
  readonly key: string;
  /** Highest token number ever spent in a write of this lock. */
  readonly counter: number;
  readonly holderCount: number;
}
