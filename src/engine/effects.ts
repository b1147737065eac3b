import type { EndReason, Mode } from '../api/vocabulary.ts';
import type { LockRecord, ShardRecord } from './records.ts';

/**
 * What the engine wants done, as data. **Ordering contract** for the driver that runs them:
 *
 * 1. Effects of one step are run in order, and the steps of one shard in order.
 * 2. A `persistLock` or `persistShard` is written by compare-and-swap on `version`, and its outcome comes back as exactly one
 *    `persisted` command that names `attempt`. At most one write per lock and one per shard record is in flight: the engine
 *    never emits the next before it heard of the last.
 * 3. The reply to a durable grant is produced by `persisted(attempt, ok)`, never before; so the driver may send every reply of
 *    a step at once, provided its authority is still valid at that moment (if not, it sends nothing and drops the engine).
 * 4. `audit` events of one lock are in the order in which the lock changed: an end always precedes the next grant.
 * 5. `count` and `audit` need no answer and may be dropped only together with the process.
 */
export type Effect = PersistLockEffect | PersistShardEffect | RegressedEffect | AuditEffect | CountEffect;

/** Write this record on the lock's Lease: create it if `version` is `undefined`, else replace exactly that version. */
export interface PersistLockEffect {
  readonly kind: 'persistLock';
  readonly attempt: string;
  readonly record: LockRecord;
  readonly version: string | undefined;
}

/** Write this record on the shard's Lease. The driver knows its version. */
export interface PersistShardEffect {
  readonly kind: 'persistShard';
  readonly attempt: string;
  readonly record: ShardRecord;
}

/**
 * A Lease went backwards under us: a backup was restored or somebody edited it. The driver drops this engine, takes the shard
 * over anew with full grace, and seeds every counter above `seenCounter`, the CR's status and the wall clock.
 */
export interface RegressedEffect {
  readonly kind: 'regressed';
  readonly key: string;
  readonly recordedCounter: number;
  readonly seenCounter: number;
}

export interface AuditEffect {
  readonly kind: 'audit';
  readonly event: AuditEvent;
}

/** A rare path was taken; `value` is how often. Routine counters are derived from the audit events. */
export interface CountEffect {
  readonly kind: 'count';
  readonly metric: RarePath;
  readonly value: number;
}

export const RARE_PATHS = [
  'writeConflict',
  'writeUnknown',
  'writeUnknownLanded',
  'writeRejected',
  'coalescedWrite',
  'foldedGrant',
  'lateGrant',
  'deferredExpiry',
  'silentWaiterPassed',
  'reclaimRefused',
  'reclaimAccepted',
  'graceEndedEarly',
  'parkedForRecord',
  'idempotentReply',
  'supersededFrame',
  'lockDelay',
  'agedOvertake',
  'readerBatch',
] as const;
export type RarePath = (typeof RARE_PATHS)[number];

/** One event in the life of a lock. `sessionId` says whom to tell of an end that the holder did not ask for. */
export type AuditEvent =
  | GrantedEvent
  | ReenteredEvent
  | RenewedEvent
  | EndedEvent
  | QueuedEvent
  | WaiterLeftEvent
  | OverdueEvent
  | DeadlockEvent
  | ReclaimEvent
  | RecordEvent;

export interface GrantedEvent {
  readonly type: 'granted';
  readonly key: string;
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  readonly ttlMs: number;
  /** From the acquire to this grant; 0 if it did not have to wait in the queue. */
  readonly waitedMs: number;
  /** Whether it stood in the queue behind another owner. */
  readonly contended: boolean;
}

export interface ReenteredEvent {
  readonly type: 'reentered';
  readonly key: string;
  readonly token: number;
  readonly depth: number;
}

export interface RenewedEvent {
  readonly type: 'renewed';
  readonly key: string;
  readonly token: number;
}

export interface EndedEvent {
  readonly type: 'ended';
  readonly key: string;
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  readonly reason: EndReason;
  /** For a forced end: who asked and why. */
  readonly by: string | undefined;
  readonly text: string | undefined;
  readonly heldForMs: number;
  /** Session to tell; 0 if none is known. */
  readonly sessionId: number;
  /** False if the grant was never acknowledged to anybody. */
  readonly acknowledged: boolean;
}

export interface QueuedEvent {
  readonly type: 'queued';
  readonly key: string;
  readonly ownerId: string;
  readonly mode: Mode;
}

export interface WaiterLeftEvent {
  readonly type: 'waiterLeft';
  readonly key: string;
  readonly ownerId: string;
  readonly why: 'timeout' | 'cancelled' | 'disconnected' | 'deadlock' | 'closed' | 'refused' | 'frozen';
  readonly waitedMs: number;
}

export interface OverdueEvent {
  readonly type: 'overdue';
  readonly key: string;
  readonly principal: string;
  readonly ownerId: string;
  readonly token: number;
}

export interface DeadlockEvent {
  readonly type: 'deadlock';
  /** Every edge of the cycle: this owner waits for that lock, which the next one holds. */
  readonly cycle: readonly DeadlockEdge[];
  /** `ownerId` of the waiter that was refused under policy Break. */
  readonly victim: string | undefined;
}

export interface DeadlockEdge {
  readonly principal: string;
  readonly ownerId: string;
  readonly waitsFor: string;
  readonly heldBy: string;
  readonly token: number;
}

export interface ReclaimEvent {
  readonly type: 'reclaimed' | 'reclaimRefused';
  readonly key: string;
  readonly principal: string;
  readonly ownerId: string;
  readonly token: number;
  /** Why it was refused. */
  readonly why: string | undefined;
}

/**
 * Something was found on a Lease that this owner did not write, or a write was refused.
 *
 * - `recordEdited`, `recordDeleted`: by somebody else; what this owner knows is written again.
 * - `recordRestored`: the record is from before what stood there; the reign began anew, or just ends for it.
 * - `recordUnusable`: the Lease belongs to somebody else or cannot be trusted; nothing is granted until a person has decided.
 * - `recordRefused`: the store refuses the write. `recordAccepted`: one landed after either.
 */
export interface RecordEvent {
  readonly type:
    | 'recordEdited'
    | 'recordDeleted'
    | 'recordRestored'
    | 'recordUnusable'
    | 'recordRefused'
    | 'recordAccepted';
  /** Key of the lock; `undefined` for the shard's own record. */
  readonly key: string | undefined;
  /** What was found, or what the store said; for people. */
  readonly text: string | undefined;
}
