import type { Mode } from '../api/vocabulary.ts';
import type { Deadline } from './deadlines.ts';
import type { LockState } from './lock.ts';
import type { Session } from './session.ts';

/** A queued acquire. Its deadline is the end of its wait; it has none while it waits without end. */
export class Waiter implements Deadline {
  readonly deadlineKind = 'waiter';
  dueAtMs = Number.POSITIVE_INFINITY;
  heapIndex = -1;

  readonly lock: LockState;
  readonly session: Session;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly priority: number;
  readonly maxHoldMs: number;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  readonly requestId: string | undefined;
  readonly queuedAtMs: number;
  /** Place by arrival in the whole shard. */
  readonly sequence: number;
  /** Requests to answer: the acquire and its retries. Empty for a waiter that moved here and was not yet asked for again. */
  refs: number[];
  /** Smaller is granted first; what it is made of is the queue's affair. */
  rank = 0;
  /** Stood behind somebody else, rather than only behind a write of the shard's record. */
  contended: boolean;
  /** Taken out of the queue because its session is silent; it keeps its rank. */
  parked = false;

  nextInQueue: Waiter | undefined = undefined;
  previousInQueue: Waiter | undefined = undefined;
  queueIndex = -1;
  /** Place among the waiters of its owner. */
  ownerIndex = 0;

  constructor(
    lock: LockState,
    session: Session,
    request: {
      readonly ownerId: string;
      readonly mode: Mode;
      readonly ttlMs: number;
      readonly timeoutMs: number;
      readonly priority: number;
      readonly maxHoldMs: number;
      readonly metadata: Readonly<Record<string, string>> | undefined;
      readonly requestId: string | undefined;
    },
    refs: number[],
    nowMs: number,
    sequence: number,
    contended: boolean,
  ) {
    this.lock = lock;
    this.session = session;
    this.ownerId = request.ownerId;
    this.mode = request.mode;
    this.ttlMs = request.ttlMs;
    this.timeoutMs = request.timeoutMs;
    this.priority = request.priority;
    this.maxHoldMs = request.maxHoldMs;
    this.metadata = request.metadata;
    this.requestId = request.requestId;
    this.refs = refs;
    this.queuedAtMs = nowMs;
    this.sequence = sequence;
    this.contended = contended;
  }

  /** A waiter from which nothing was heard for this long is passed over (three heartbeat periods). */
  get silenceLimitMs(): number {
    return 3 * Math.min(1_000, this.ttlMs / 10);
  }
}
