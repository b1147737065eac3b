import type { Deadline } from './deadlines.ts';
import type { LockState, PendingDone, PendingExtension } from './lock.ts';
import type { Revocation, ShardRecord } from './records.ts';
import type { Session } from './session.ts';

/** What a new owner brings to its engine: the shard's record as its takeover has just written it. */
export interface ShardStart {
  readonly shard: number;
  /** Unique name of this owner's life; attempt ids begin with it. */
  readonly incarnation: string;
  /** The record now on the Lease. Its `counter` already covers this owner's first block. */
  readonly record: ShardRecord;
  /** First token this owner may give out from memory; above everything an earlier owner may have given. */
  readonly tokenNext: number;
  /** Time during which only reclaims are served for pool keys: the recorded grace, or 0 for a shard that never granted. */
  readonly graceRemainingMs: number;
  /** Whether every recorded session's completion may end the grace before its time. */
  readonly graceMayEndEarly: boolean;
  /** Tokens one reservation adds. */
  readonly tokenBlock: number;
  /** Owner's monotonic clock at the takeover. */
  readonly nowMs: number;
}

/** A timer of the shard itself. */
export class ShardDeadline implements Deadline {
  readonly deadlineKind = 'shard';
  dueAtMs = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly purpose: 'graceEnd' | 'recordRetry' | 'graceReview';

  constructor(purpose: 'graceEnd' | 'recordRetry' | 'graceReview') {
    this.purpose = purpose;
  }
}

/** A forced end of memory holds that waits for the shard's record: of one key, or of one session. */
export interface PendingRevocation {
  readonly key: string | undefined;
  readonly session: Session | undefined;
  readonly floor: number;
  readonly acknowledgement: PendingDone | undefined;
  readonly by: string;
  readonly text: string;
}

export interface RecordedRevocation extends Revocation {
  readonly recordedAtMs: number;
}

/** The write of the shard's record in flight, and what its landing settles. */
export interface ShardWriteInFlight {
  readonly attempt: string;
  readonly counter: number;
  readonly graceMs: number;
  readonly sessions: readonly Session[];
  readonly slotsOverflow: boolean;
  readonly revocations: readonly PendingRevocation[];
  readonly extensions: readonly PendingExtension[];
}

/** What stands on the shard's Lease, what should, and what waits for the difference. */
export class ShardState {
  readonly shard: number;
  readonly incarnation: string;
  readonly epoch: number;
  readonly tokenBlock: number;

  nextToken: number;
  /** Tokens up to this one are reserved on the record. */
  tokenLimit: number;
  /** Longest memory promise on record. */
  graceMs: number;
  wantedGraceMs: number;
  /** Longest memory promises made in this review period and the one before; earlier owners' count as made just now. */
  longestTtlMs: number;
  longestTtlBeforeMs: number;

  readonly slots: Set<number>;
  slotsOverflow: boolean;
  /** Slots of earlier owners' sessions that have not yet said that their reclaim is complete. */
  readonly inheritedSlots: Set<number>;
  readonly graceMayEndEarly: boolean;
  readonly inheritedCounter: number;
  inGrace: boolean;
  revocations: RecordedRevocation[];

  inFlight: ShardWriteInFlight | undefined = undefined;
  dirty = false;
  attempts = 0;
  refusals = 0;
  wantedSessions: Session[] = [];
  wantedOverflow = false;
  wantedRevocations: PendingRevocation[] = [];
  wantedExtensions: PendingExtension[] = [];
  /** Locks whose next grant waits for the record or for the end of grace. */
  readonly stalledLocks = new Set<LockState>();

  readonly graceEnd = new ShardDeadline('graceEnd');
  readonly recordRetry = new ShardDeadline('recordRetry');
  readonly graceReview = new ShardDeadline('graceReview');

  constructor(start: ShardStart) {
    this.shard = start.shard;
    this.incarnation = start.incarnation;
    this.epoch = start.record.epoch;
    this.tokenBlock = start.tokenBlock;
    this.nextToken = start.tokenNext;
    this.tokenLimit = start.record.counter;
    this.graceMs = start.record.graceMs;
    this.wantedGraceMs = start.record.graceMs;
    this.longestTtlMs = start.record.graceMs;
    this.longestTtlBeforeMs = start.record.graceMs;
    this.slots = new Set(start.record.slots);
    this.slotsOverflow = start.record.slotsOverflow;
    this.inheritedSlots = new Set(start.record.slots);
    this.graceMayEndEarly = start.graceMayEndEarly && !start.record.slotsOverflow;
    this.inheritedCounter = start.tokenNext - 1;
    // A shard that recorded no session never granted from memory: there is nothing to reclaim.
    this.inGrace = start.graceRemainingMs > 0 && !(this.graceMayEndEarly && this.inheritedSlots.size === 0);
    this.revocations = start.record.revocations.map((revocation) => ({ ...revocation, recordedAtMs: start.nowMs }));
  }

  /** Unique id of a write: nobody else ever uses it, so a read that shows it proves that this write landed. */
  nextAttempt(): string {
    this.attempts++;
    return `${this.incarnation}.${this.shard}.${this.attempts}`;
  }
}
