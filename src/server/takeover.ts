import { LockkeeperError } from '../api/codes.ts';
import { SHARD_HASH_NAME, SHARD_HASH_VERSION, shardOf } from '../api/shard-hash.ts';
import type { ShardRecord, StoredLockRecord } from '../engine/records.ts';
import type { ShardStart } from '../engine/shard.ts';
import type { StoredLease } from '../kube/lease.ts';
import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Timers } from '../system/timers.ts';
import { firstMemoryToken, nextEpoch } from './counters.ts';
import { fenceMember } from './fence-member.ts';
import {
  decodeLockLease,
  decodeShardLease,
  decodeShardsLease,
  encodeShardLease,
  encodeShardsLease,
  SHARDS_LEASE_NAME,
  shardLayoutRefusal,
  shardLeaseName,
} from './lease-codec.ts';
import { carryOf, type LeaseCarry, LOCK_LABEL } from './lease-fields.ts';
import type { OwnedShardLease } from './lease-writer.ts';

/** Tokens that one reservation adds to a shard's counter. */
export const TOKEN_BLOCK = 1_000_000;

export interface TakeoverOptions {
  readonly store: LeaseStore;
  readonly namespace: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly log: Log;
  readonly isKnownDead: (incarnation: string) => boolean;
}

/** What an earlier life in this process knows of a shard, and the record may not. */
export interface ShardMemory {
  /** Epoch of the last reign. */
  readonly epoch: number;
  /** Highest token given out from memory. */
  readonly lastToken: number;
  /** Longest promise made. */
  readonly graceMs: number;
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

/** Records how the lock space is cut, or checks that it is cut as this process would. Throws if it is not. */
export async function agreeOnLayout(options: TakeoverOptions, shardCount: number): Promise<void> {
  const { store, namespace, clock } = options;
  const own = { shardCount, hashName: SHARD_HASH_NAME, hashVersion: SHARD_HASH_VERSION };
  let lease = await store.get(namespace, SHARDS_LEASE_NAME);
  if (lease === undefined) {
    try {
      lease = await store.create(encodeShardsLease(own, namespace, clock.wallMs()));
    } catch (error) {
      if (!(error instanceof StoreError) || error.outcome === 'rejected') throw error;
      lease = await store.get(namespace, SHARDS_LEASE_NAME);
      if (lease === undefined) throw error;
    }
  }
  const decoded = decodeShardsLease(lease);
  if (decoded.kind !== 'layout') throw undecodable(decoded);
  const refusal = shardLayoutRefusal(decoded.layout, own);
  if (refusal !== undefined) throw new LockkeeperError('UNAVAILABLE', refusal, { reason: 'shardLayout' });
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
  for (let attempts = 1; isWanted(); attempts++) {
    try {
      const found = await store.get(namespace, shardLeaseName(shard));
      const decoded = found === undefined ? undefined : decodeShardLease(found);
      if (decoded !== undefined && decoded.kind !== 'shard') throw undecodable(decoded);
      if (decoded?.incarnation !== undefined && decoded.incarnation !== incarnation) {
        await fenceMember({ ...options, isWanted }, decoded.incarnation);
        if (!isWanted()) return undefined;
      }
      const tokenNext = firstMemoryToken(decoded?.record.counter ?? 0, memory.lastToken, clock.wallMs());
      const epoch = nextEpoch(decoded?.record.epoch ?? 0, memory.epoch, clock.wallMs());
      const record: ShardRecord = {
        epoch,
        counter: tokenNext + TOKEN_BLOCK - 1,
        graceMs: Math.max(decoded?.record.graceMs ?? 0, memory.graceMs),
        slots: decoded?.record.slots ?? [],
        slotsOverflow: decoded?.record.slotsOverflow ?? false,
        revocations: decoded?.record.revocations ?? [],
        attempt: `${incarnation}.${shard}.${epoch}.takeover.${attempts}`,
      };
      const write = { wallMs: clock.wallMs(), resourceVersion: decoded?.version, carry: decoded?.carry };
      const lease = encodeShardLease(record, { namespace, shard, incarnation }, write);
      const stored = decoded === undefined ? await store.create(lease) : await store.update(lease);
      // A record older than the last reign here is a restored backup, whatever ended that reign.
      const restored = memory.restored || (decoded?.record.epoch ?? 0) < memory.epoch;
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
  return { start, lease: { incarnation, version: stored.metadata.resourceVersion, carry: carryOf(stored) } };
}

/**
 * Every lock's Lease, by shard, from one consistent read. To be called after the shards were won. A damaged Lease is left out:
 * its lock's first write then meets it and is refused, so it never reads as free.
 */
export async function readLocks(options: TakeoverOptions, shardCount: number): Promise<FoundLock[][]> {
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
