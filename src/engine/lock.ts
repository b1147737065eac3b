import type { LockKind } from '../api/lock-id.ts';
import type { LockPolicy } from '../api/policies.ts';
import type { Mode } from '../api/vocabulary.ts';
import type { Deadline } from './deadlines.ts';
import type { EndedEvent } from './effects.ts';
import { type Hold, HoldSet } from './hold.ts';
import type { Session } from './session.ts';
import { createWaitQueue, type WaitQueue } from './wait-queue.ts';
import type { Waiter } from './waiter.ts';

/** The place of an abnormally lost hold, kept empty until the lock delay is over. */
export class LockDelay implements Deadline {
  readonly deadlineKind = 'lockDelay';
  dueAtMs = 0;
  heapIndex = -1;
  readonly lock: LockState;
  readonly mode: Mode;
  /** As it began; recorded, since a next owner starts it anew. */
  readonly lengthMs: number;

  constructor(lock: LockState, mode: Mode, lengthMs: number) {
    this.lock = lock;
    this.mode = mode;
    this.lengthMs = lengthMs;
  }
}

/** A reply that must not leave before the record that carries what it says. */
export type PendingAcknowledgement = PendingDone | PendingEnd | PendingExtension;

/** A forced end: done once it is on record. */
export interface PendingDone {
  readonly kind: 'done';
  readonly sessionId: number;
  readonly ref: number;
  readonly ended: number;
}

/** A forced end that is told, to the loser and in the audit, once it is on record. */
export interface PendingEnd {
  readonly kind: 'ended';
  readonly event: EndedEvent;
}

/** A renewal or re-entry that promises more than is on record: more time, or a memory hold to a session without a slot there. */
export interface PendingExtension {
  readonly kind: 'extension';
  readonly session: Session;
  /** Requests to answer: the first and its retries. None is left once they were withdrawn: then nothing is promised. */
  refs: number[];
  readonly hold: Hold;
  readonly ttlMs: number;
  readonly reentry: ReentryRequest | undefined;
}

/** What a re-entrant acquire adds to the hold it joins. */
export interface ReentryRequest {
  readonly requestId: string | undefined;
}

/** One write in flight: what it carries is answered by its outcome. */
export interface WriteInFlight {
  readonly attempt: string;
  readonly counter: number;
  readonly grants: readonly Hold[];
  readonly acknowledgements: readonly PendingAcknowledgement[];
  /** Tokens of the ends that it is the first to carry. */
  readonly ends: readonly number[];
}

/** Everything about the Lease of a DistributedLock. */
export class DurableState implements Deadline {
  readonly deadlineKind = 'lockRetry';
  /** When a refused write is tried again. */
  dueAtMs = Number.POSITIVE_INFINITY;
  heapIndex = -1;
  readonly lock: LockState;
  /** Highest token number ever spent, written or not. */
  counter: number;
  /** Version of the Lease as last known; `undefined` if there is none yet. */
  version: string | undefined;
  /** Attempt that surely stood on the Lease last: found again under a newer version, its record says nothing new. */
  landedAttempt: string | undefined = undefined;
  /** Counter that surely stood on the Lease once: one below it later means that the Lease went backwards. */
  landedCounter: number;
  inFlight: WriteInFlight | undefined = undefined;
  /** The lock changed since the write in flight was made, or since the last write. */
  dirty = false;
  acknowledgements: PendingAcknowledgement[] = [];
  /** Tokens of holds that ended and may still stand on the Lease: finding them there brings nobody back. */
  unwrittenEnds: number[] = [];
  /** Attempts of unknown outcome since the last write that surely landed: any of them may still land. */
  unknownAttempts: string[] = [];
  refusals = 0;

  constructor(lock: LockState, counter: number, version: string | undefined) {
    this.lock = lock;
    this.counter = counter;
    this.version = version;
    this.landedCounter = 0;
  }

  get hasLanded(): boolean {
    return this.landedCounter > 0;
  }
}

/** The rules of one lock, or those that all keys of a pool share. `policy` is `undefined` once the custom resource is gone. */
export interface Rules {
  policy: LockPolicy | undefined;
  /** For a pool with a `keyPattern`: whether it takes a key (the part after the slash). */
  takesKey?: ((key: string) => boolean) | undefined;
}

/** One lock: its rules, its holds, its waiters. A pool key without any of them is forgotten; its tokens still only grow. */
export class LockState {
  readonly key: string;
  readonly kind: LockKind;
  readonly rules: Rules;
  readonly holds = new HoldSet();
  /** Occupied places by mode: holds and lock delays. */
  exclusiveCount = 0;
  sharedCount = 0;
  lockDelays: LockDelay[] | undefined = undefined;
  writers: WaitQueue | undefined = undefined;
  readers: WaitQueue | undefined = undefined;
  /** Waiters taken out of the queues while their sessions are silent; `undefined` when there were never any. */
  parked: Set<Waiter> | undefined = undefined;
  /** Waiters in the queues and parked. */
  waiterCount = 0;
  /** Those of them that are try-locks: they may wait for a record, never for a holder. */
  tryLockCount = 0;
  /** Mode of the last grant: reader and writer phases alternate while both wait. */
  lastPhase: Mode = 'shared';
  /** Readers that came up to this sequence number belong to the present reader phase. */
  batchUntil = -1;
  durable: DurableState | undefined = undefined;
  /** Waits for the shard's record or for the end of grace. */
  stalled = false;

  constructor(key: string, kind: LockKind, rules: Rules) {
    this.key = key;
    this.kind = kind;
    this.rules = rules;
  }

  /** `undefined`: the custom resource is gone; holds live on, no new acquire. */
  get policy(): LockPolicy | undefined {
    return this.rules.policy;
  }

  /** Writers stand by the lock's fairness. Readers enter all together, so their order is that of arrival. */
  queueOf(mode: Mode): WaitQueue {
    if (mode === 'shared') {
      this.readers ??= createWaitQueue('Fifo');
      return this.readers;
    }
    this.writers ??= createWaitQueue(this.policy?.fairness ?? 'Fifo');
    return this.writers;
  }

  /** Whether a hold of this mode fits beside those that are there. The queue is another question. */
  hasRoomFor(mode: Mode): boolean {
    if (mode === 'shared') return this.exclusiveCount === 0;
    return this.sharedCount === 0 && this.exclusiveCount < (this.policy?.permits ?? 1);
  }

  occupy(mode: Mode): void {
    if (mode === 'shared') this.sharedCount++;
    else this.exclusiveCount++;
  }

  vacate(mode: Mode): void {
    if (mode === 'shared') this.sharedCount--;
    else this.exclusiveCount--;
  }

  /** All waiters, the parked ones last. */
  waiters(): Waiter[] {
    return [
      ...(this.writers?.list(this.writers.size) ?? []),
      ...(this.readers?.list(this.readers.size) ?? []),
      ...(this.parked ?? []),
    ];
  }

  /** Nothing to remember: a pool key in this state is dropped. */
  get isIdle(): boolean {
    return this.holds.size === 0 && this.waiterCount === 0 && this.lockDelays === undefined;
  }
}
