import type { Mode } from '../api/vocabulary.ts';
import type { EndedEvent } from './effects.ts';

/**
 * What the engine needs written down, as plain values. A `LockRecord` stands on the Lease of one DistributedLock, a
 * `ShardRecord` on the Lease of one shard. A new owner trusts these and nothing else: never the spec, never its own memory of
 * an earlier life.
 */
export interface LockRecord {
  /** Full key of the lock, `namespace/name`. */
  readonly key: string;
  /** Highest token number ever spent in a write of this lock. */
  readonly counter: number;
  /** Lowest token still valid: the lowest holder's, or counter + 1 when nobody holds. */
  readonly fenceFloor: number;
  readonly holders: readonly HolderRecord[];
  /** Longest lock delay still pending when this was written, in milliseconds; it starts anew at a takeover. */
  readonly lockDelayMs: number;
  /** Unique id of the write that made this record. A read that shows it proves that the write landed. */
  readonly attempt: string;
}

/** A recorded holder. Metadata and depth are not recorded: the session declares them when it reclaims. */
export interface HolderRecord {
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  /** Longest time to live this holder was ever promised, in milliseconds. */
  readonly ttlMs: number;
}

/** A lock record as read from the store, with the version that a next write must name. */
export interface StoredLockRecord {
  readonly record: LockRecord;
  readonly version: string;
}

export interface ShardRecord {
  /** Number of takeovers; names the present owner's reign. */
  readonly epoch: number;
  /** Highest token number reserved for memory grants; every number below or equal may have been given out. */
  readonly counter: number;
  /** Longest time to live a memory hold of this shard may still rely on, in milliseconds. */
  readonly graceMs: number;
  /** Slots of the sessions that may have memory holds here, ascending. */
  readonly slots: readonly number[];
  /** More sessions than slots: the grace of a next owner must not end early. */
  readonly slotsOverflow: boolean;
  /** Forced ends of memory holds that a next owner must not let reclaim. */
  readonly revocations: readonly Revocation[];
  readonly attempt: string;
}

/** Every hold of `key` with a token at or below `floor` has ended, whatever its session says. */
export interface Revocation {
  readonly key: string;
  readonly floor: number;
}

/**
 * Everything a planned hand-over moves to the next owner, in durations: the receiver counts them from its receipt. `format`
 * is refused by a receiver that does not know it, which then takes over as after a crash.
 */
export interface ShardSnapshot {
  readonly format: 1;
  readonly shard: number;
  readonly graceMs: number;
  /** The grace that this owner is in itself, if it is: what is left of it, and the slots that it still waits for. */
  readonly grace:
    | { readonly remainingMs: number; readonly slots: readonly number[]; readonly mayEndEarly: boolean }
    | undefined;
  readonly slots: readonly number[];
  readonly slotsOverflow: boolean;
  readonly revocations: readonly Revocation[];
  /** Highest token of this shard ever given out in memory. */
  readonly counter: number;
  readonly locks: readonly LockSnapshot[];
}

export interface LockSnapshot {
  readonly key: string;
  /** Present for a DistributedLock: its counter, the version of its Lease, and whether the Lease lags behind (`dirty`). */
  readonly durable:
    | {
        readonly counter: number;
        /** Counter and attempt that surely stood on the Lease, and attempts that may stand there since. */
        readonly landedCounter: number;
        readonly landedAttempt: string | undefined;
        readonly unknownAttempts: readonly string[];
        readonly version: string | undefined;
        readonly dirty: boolean;
        /** Tokens of holds that ended and may still stand on the Lease. */
        readonly unwrittenEnds: readonly number[];
        /** Forced ends that are told once they are on record. */
        readonly ends: readonly EndedEvent[];
      }
    | undefined;
  readonly lastPhase: Mode;
  /** In order of arrival. */
  readonly holds: readonly HoldSnapshot[];
  readonly waiters: readonly WaiterSnapshot[];
  readonly lockDelays: readonly { readonly mode: Mode; readonly remainingMs: number }[];
}

export interface HoldSnapshot extends HolderRecord {
  readonly sessionId: number;
  readonly slot: number;
  readonly depth: number;
  readonly remainingMs: number;
  /** Part of it by which the expiry was put off, which the holder was never promised. */
  readonly deferredMs: number;
  readonly recordedTtlMs: number;
  readonly writtenTtlMs: number;
  readonly heldForMs: number;
  /** Time left of the longest allowed life; absent if unlimited. */
  readonly maxHoldRemainingMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** Remembered requests that make up its depth, by growing depth, and the depth that each made. */
  readonly requestIds: readonly string[];
  readonly requestDepths: readonly number[];
  readonly overdue: boolean;
  readonly contested: boolean;
  readonly unclaimed: boolean;
}

/** Only waiters that named a `requestId` travel: a retry with it takes the place up again. */
export interface WaiterSnapshot {
  readonly sessionId: number;
  readonly slot: number;
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly ttlMs: number;
  readonly timeoutRemainingMs: number | undefined;
  readonly priority: number;
  readonly waitedMs: number;
  readonly maxHoldMs: number | undefined;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly requestId: string;
}
