import type { Deadline } from './deadlines.ts';
import type { LockState, PendingDone, PendingExtension } from './lock.ts';
import type { Revocation, ShardRecord } from './records.ts';
import type { Session } from './session.ts';

/** What a new owner brings to its engine: the shard's record as its takeover has just written it. */
export interface ShardStart {
  readonly shard: number;
  /**
   * Unique name of this reign; attempt ids begin with it. One process that takes a shard a second time brings another name, or
   * a late write of its first reign would pass for one of the second.
   */
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

/** Grace above one of these is recorded in whole steps of it, so that slightly longer promises do not each cost a write. */
const GRACE_STEP_MS = 5_000;

/** The grace to record for a promise: whole seconds, in whole steps above the first. */
function graceFor(ttlMs: number): number {
  const stepMs = ttlMs > GRACE_STEP_MS ? GRACE_STEP_MS : 1_000;
  return Math.ceil(ttlMs / stepMs) * stepMs;
}

/** The write of the shard's record in flight, and what its landing settles. */
export interface ShardWriteInFlight {
  readonly attempt: string;
  readonly counter: number;
  readonly graceMs: number;
  readonly sessions: ReadonlySet<Session>;
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

  /** Slots on the record, with the session each stands for: `undefined` while it has not spoken to this owner. */
  readonly slots: Map<number, Session | undefined>;
  /** Slots given up since the last write was sent: the record still names them. */
  readonly droppedSlots = new Set<number>();
  slotsOverflow: boolean;
  /** Slots of earlier owners' sessions that have not yet said that their reclaim is complete. */
  inheritedSlots: Set<number>;
  graceMayEndEarly: boolean;
  readonly inheritedCounter: number;
  inGrace: boolean;
  revocations: RecordedRevocation[];

  inFlight: ShardWriteInFlight | undefined = undefined;
  dirty = false;
  attempts = 0;
  refusals = 0;
  wantedSessions = new Set<Session>();
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
    this.slots = new Map(start.record.slots.map((slot) => [slot, undefined]));
    this.slotsOverflow = start.record.slotsOverflow;
    this.inheritedSlots = new Set(start.record.slots);
    this.graceMayEndEarly = start.graceMayEndEarly && !start.record.slotsOverflow;
    this.inheritedCounter = start.tokenNext - 1;
    // A shard that recorded no session never granted from memory: there is nothing to reclaim.
    this.inGrace = start.graceRemainingMs > 0 && !(this.graceMayEndEarly && this.inheritedSlots.size === 0);
    this.revocations = start.record.revocations.map((revocation) => ({ ...revocation, recordedAtMs: start.nowMs }));
  }

  /** Whether the record names the slot of a session that has just come. */
  recognise(session: Session): boolean {
    if (session.slot < 0) return this.slotsOverflow;
    if (!this.slots.has(session.slot) && !this.droppedSlots.delete(session.slot)) return false;
    this.claimSlot(session);
    return true;
  }

  /** The slot on record stands for this session from now on, and for the one before it again once this one is gone. */
  claimSlot(session: Session): void {
    const before = this.slots.get(session.slot);
    for (let known = before; known !== undefined; known = known.slotBefore) if (known === session) return;
    session.slotBefore = before;
    this.slots.set(session.slot, session);
  }

  /**
   * A session left nothing behind: its slot leaves the record with the next write. One that may still hold what an earlier
   * owner granted keeps it until the grace is over.
   */
  sessionGone(session: Session): void {
    session.forgotten = true;
    if (this.slots.get(session.slot) !== session) return;
    let { slotBefore } = session;
    while (slotBefore?.forgotten === true) ({ slotBefore } = slotBefore);
    if (slotBefore !== undefined) this.slots.set(session.slot, slotBefore);
    else if (this.inGrace && session.mayReclaim && !session.reclaimComplete) this.slots.set(session.slot, undefined);
    else this.dropSlot(session.slot);
  }

  dropSlot(slot: number): void {
    if (this.slots.delete(slot)) this.droppedSlots.add(slot);
  }

  /** Remembers a promise for the review that lowers the recorded grace. */
  notePromise(ttlMs: number): void {
    if (ttlMs > this.longestTtlMs) this.longestTtlMs = ttlMs;
  }

  /** Longest promise of this review period and the one before, as it would be recorded. */
  get promisedMs(): number {
    return graceFor(Math.max(this.longestTtlMs, this.longestTtlBeforeMs));
  }

  /** Asks for a longer grace on the record; false if it is asked for already. */
  wantGrace(ttlMs: number): boolean {
    if (ttlMs <= this.wantedGraceMs) return false;
    this.wantedGraceMs = graceFor(ttlMs);
    return true;
  }

  /** Whether a forced end forbids this claim, on record or about to be. */
  isRevoked(key: string, token: number): boolean {
    const forbids = (revocation: { readonly key: string | undefined; readonly floor: number }) =>
      revocation.key === key && token <= revocation.floor;
    return (
      this.revocations.some(forbids) ||
      this.wantedRevocations.some(forbids) ||
      this.inFlight?.revocations.some(forbids) === true
    );
  }

  /** Whether a write of this incarnation made a record. */
  isOwnAttempt(attempt: string): boolean {
    return attempt.startsWith(`${this.incarnation}.${this.shard}.`);
  }

  /** Unique id of a write: nobody else ever uses it, so a read that shows it proves that this write landed. */
  nextAttempt(): string {
    this.attempts++;
    return `${this.incarnation}.${this.shard}.${this.attempts}`;
  }
}
