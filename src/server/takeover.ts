import { LockkeeperError } from '../api/codes.ts';
import { LIMITS } from '../api/limits.ts';
import { SHARD_HASH_NAME, SHARD_HASH_VERSION, shardOf } from '../api/shard-hash.ts';
import type { Revocation, ShardRecord, StoredLockRecord } from '../engine/records.ts';
import type { ShardStart } from '../engine/shard.ts';
import type { StoredLease } from '../kube/lease.ts';
import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Timers } from '../system/timers.ts';
import { firstMemoryToken, nextEpoch } from './counters.ts';
import { fenceEveryMember, fenceMember } from './fence-member.ts';
import {
  decodeLockLease,
  decodeShardLease,
  decodeShardsLease,
  encodeShardLease,
  encodeShardsLease,
  mergeRevocations,
  SHARDS_LEASE_NAME,
  type ShardLayout,
  shardLayoutRefusal,
  shardLeaseName,
} from './lease-codec.ts';
import type { OwnedShardLease } from './lease-drift.ts';
import { carryOf, type LeaseCarry, LOCK_LABEL, SHARD_LABEL } from './lease-fields.ts';
import { MEMBER_LABEL } from './member.ts';

/** Tokens that one reservation adds to a shard's counter. */
export const TOKEN_BLOCK = 1_000_000;

export interface TakeoverOptions {
  readonly store: LeaseStore;
  readonly namespace: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly isKnownDead: (incarnation: string) => boolean;
  /** Nobody has ever owned a shard here: a missing record is not one that was deleted. */
  readonly isNewInstallation: () => boolean;
  /** Told that this incarnation has to be waited for. */
  readonly onWaiting?: ((incarnation: string) => void) | undefined;
  /** Told that this incarnation can never again rely on its member Lease. */
  readonly onFenced?: ((incarnation: string) => void) | undefined;
}

/** What an earlier life in this process knows of a shard, and the record may not. */
export interface ShardMemory {
  /** Epoch of the last reign. */
  readonly epoch: number;
  /** Highest token given out from memory. */
  readonly lastToken: number;
  /** Longest promise made. */
  readonly graceMs: number;
  /** Sessions and forced ends on record, which a record that was set back may not name. */
  readonly slots: readonly number[];
  readonly slotsOverflow: boolean;
  readonly revocations: readonly Revocation[];
  /** The writes of the last reign of which one stands on the Lease, unless somebody else wrote there. */
  readonly attempts: readonly string[];
  /** The Lease went backwards: the record may not name every session, so the grace runs its whole time. */
  readonly restored: boolean;
}

export interface TakenShard {
  readonly start: ShardStart;
  readonly lease: OwnedShardLease;
}

export interface FoundLock {
  readonly stored: StoredLockRecord;
  readonly carry: LeaseCarry;
}

/** How this process cuts the lock space. */
export function ownLayout(shardCount: number): ShardLayout {
  return { shardCount, hashName: SHARD_HASH_NAME, hashVersion: SHARD_HASH_VERSION };
}

/**
 * Records how the lock space is cut, or checks that it is cut as this process would. Throws if it is not. Answers whether the
 * installation is new: no owner, past or present, has left a trace.
 */
export async function agreeOnLayout(
  options: Omit<TakeoverOptions, 'isNewInstallation'>,
  shardCount: number,
): Promise<boolean> {
  const { store, namespace, clock } = options;
  const own = ownLayout(shardCount);
  let isNew = false;
  let lease = await store.get(namespace, SHARDS_LEASE_NAME);
  if (lease === undefined) {
    isNew = await assertNotDeleted(options, shardCount);
    try {
      lease = await store.create(encodeShardsLease(own, namespace, clock.wallMs()));
    } catch (error) {
      if (!(error instanceof StoreError) || error.outcome === 'rejected') throw error;
      isNew = false;
      lease = await store.get(namespace, SHARDS_LEASE_NAME);
      if (lease === undefined) throw error;
    }
  }
  const decoded = decodeShardsLease(lease);
  if (decoded.kind !== 'layout') throw undecodable(decoded);
  const refusal = shardLayoutRefusal(decoded.layout, own);
  if (refusal !== undefined) throw new LockkeeperError('UNAVAILABLE', refusal, { reason: 'shardLayout' });
  return isNew;
}

/** A missing layout beside records of shards was deleted: these must agree with the one that takes its place. */
async function assertNotDeleted(
  { store, namespace }: Pick<TakeoverOptions, 'store' | 'namespace'>,
  shardCount: number,
): Promise<boolean> {
  const shards = await store.list({ namespace, labelSelector: SHARD_LABEL });
  const members = await store.list({ namespace, labelSelector: MEMBER_LABEL });
  if (shards.items.length === 0) return members.items.length === 0;
  const names = new Set(Array.from({ length: shardCount }, (_, shard) => shardLeaseName(shard)));
  if (shards.items.length === shardCount && shards.items.every(({ metadata }) => names.has(metadata.name)))
    return false;
  throw new LockkeeperError(
    'UNAVAILABLE',
    `The Lease ${SHARDS_LEASE_NAME}, which records the number of shards, is missing, and the Leases of ${shards.items.length} shards do not fit the ${shardCount} that this process is set to. Set the number of shards that the installation always had, which never changes; if Leases of shards are missing too, restore them from a backup.`,
    { reason: 'shardLayout' },
  );
}

/**
 * Makes `incarnation` the owner of a shard, or answers `undefined` once `isWanted` says that it must not be any more: a taker
 * that has lost its own authority would only fight its successor. Fences the member that owned it, then writes the shard's Lease with a new epoch and
 * a fresh block of tokens by compare-and-swap. What was recorded for reclaims (grace, slots, revocations) is kept.
 */
export async function takeOverShard(
  options: TakeoverOptions,
  shard: number,
  incarnation: string,
  memory: ShardMemory,
  isWanted: () => boolean,
): Promise<TakenShard | undefined> {
  const { store, namespace, clock, timers, log } = options;
  let everyOtherFenced = options.isNewInstallation();
  for (let attempts = 1; isWanted(); attempts++) {
    try {
      const found = await store.get(namespace, shardLeaseName(shard));
      if (found === undefined && !everyOtherFenced) {
        // Somebody deleted it. Its owner may be alive, and knows it only once it looks.
        await fenceEveryMember({ ...options, isWanted }, incarnation, shardLeaseName(shard));
        everyOtherFenced = true;
        continue;
      }
      const decoded = found === undefined ? undefined : decodeShardLease(found);
      if (decoded !== undefined && decoded.kind !== 'shard') throw undecodable(decoded);
      if (decoded?.incarnation !== undefined && decoded.incarnation !== incarnation) {
        await fenceMember({ ...options, isWanted }, decoded.incarnation);
        if (!isWanted()) return undefined;
        options.onFenced?.(decoded.incarnation);
      }
      const tokenNext = firstMemoryToken(decoded?.record.counter ?? 0, memory.lastToken, clock.wallMs());
      const epoch = nextEpoch(decoded?.record.epoch ?? 0, memory.epoch, clock.wallMs());
      const restored = wasSetBack(decoded?.record, memory);
      const record: ShardRecord = {
        epoch,
        counter: tokenNext + TOKEN_BLOCK - 1,
        graceMs: Math.max(decoded?.record.graceMs ?? 0, memory.graceMs),
        ...inheritance(decoded?.record, restored ? memory : undefined),
        attempt: `${incarnation}.${shard}.${epoch}.takeover.${attempts}`,
      };
      const write = { wallMs: clock.wallMs(), resourceVersion: decoded?.version, carry: decoded?.carry };
      const lease = encodeShardLease(record, { namespace, shard, incarnation }, write);
      const stored = decoded === undefined ? await store.create(lease) : await store.update(lease);
      return taken(stored, record, shard, incarnation, tokenNext, restored, clock.monotonicMs());
    } catch (error) {
      // An unknown write may land still; only the success of a later one on the same Lease, here, bars it.
      if (!(error instanceof StoreError) || (error.outcome === 'rejected' && !error.retryable)) throw error;
      log.warn({ shard, error }, 'taking over a shard: trying again');
      await new Promise<void>((resolve) => timers.after(250, resolve));
    }
  }
  return undefined;
}

/** Whether a record is from before what the last reign in this process left there: a restored backup, whatever ended that reign. */
function wasSetBack(record: ShardRecord | undefined, memory: ShardMemory): boolean {
  if (memory.restored || memory.epoch === 0) return memory.restored;
  if (record === undefined || record.epoch < memory.epoch) return true;
  return record.epoch === memory.epoch && !memory.attempts.includes(record.attempt);
}

/** Who may reclaim, and what not: by the record, and by what this process remembers if the record is older than that. */
function inheritance(
  record: ShardRecord | undefined,
  memory: ShardMemory | undefined,
): Pick<ShardRecord, 'slots' | 'slotsOverflow' | 'revocations'> {
  const slots = new Set([...(record?.slots ?? []), ...(memory?.slots ?? [])]);
  // Beyond the bound the older ones give way: their holders have had the most time to run out.
  const revocations = mergeRevocations([...(memory?.revocations ?? []), ...(record?.revocations ?? [])]);
  return {
    slots: [...slots].sort((left, right) => left - right),
    slotsOverflow: record?.slotsOverflow === true || memory?.slotsOverflow === true,
    revocations: revocations.slice(0, LIMITS.revocationsPerShardMax),
  };
}

function taken(
  stored: StoredLease,
  record: ShardRecord,
  shard: number,
  incarnation: string,
  tokenNext: number,
  restored: boolean,
  nowMs: number,
): TakenShard {
  const start: ShardStart = {
    shard,
    // With the epoch, since one incarnation may take a shard twice, and no two writes may share an attempt id.
    incarnation: `${incarnation}.${record.epoch}`,
    record,
    tokenNext,
    graceRemainingMs: record.graceMs,
    graceMayEndEarly: !restored,
    tokenBlock: TOKEN_BLOCK,
    nowMs,
  };
  const { resourceVersion: version } = stored.metadata;
  const { epoch, attempt } = record;
  return {
    start,
    lease: { incarnation, epoch, version, carry: carryOf(stored), attempts: [attempt], writing: false },
  };
}

/**
 * Every lock's Lease, by shard, from one consistent read. To be called after the shards were won. A damaged Lease is left out:
 * its lock's first write then meets it and is refused, so it never reads as free.
 */
export async function readLocks(
  options: Pick<TakeoverOptions, 'store' | 'log'>,
  shardCount: number,
): Promise<FoundLock[][]> {
  const { items } = await options.store.list({ labelSelector: LOCK_LABEL });
  const shards: FoundLock[][] = Array.from({ length: shardCount }, () => []);
  for (const lease of items) {
    const decoded = decodeLockLease(lease);
    if (decoded.kind === 'damaged')
      options.log.error({ problem: decoded.problem }, 'a lock has a damaged lease and is not served');
    if (decoded.kind !== 'lock') continue;
    const { record, version, carry } = decoded;
    (shards[shardOf(record.key, shardCount)] as FoundLock[]).push({ stored: { record, version }, carry });
  }
  return shards;
}

function undecodable(decoded: Exclude<ReturnType<typeof decodeShardLease>, { kind: 'shard' }>): LockkeeperError {
  const message =
    decoded.kind === 'foreign'
      ? `The Lease ${decoded.lease} belongs to somebody else. Remove it, or run Lockkeeper in another namespace.`
      : decoded.problem.message;
  return new LockkeeperError('UNAVAILABLE', message, { reason: 'undecodableLease' });
}
