import type { ErrorCode, ErrorDetails } from './codes.ts';
import type { EndReason, Mode } from './vocabulary.ts';

/**
 * What a session asks of a shard owner, and what it hears back. These are the values of the session protocol: the in-memory
 * transport passes them as they are, a stream frame is a JSON array of them. Tokens are plain integers here (below 2^53) and
 * decimal strings in every user-facing JSON.
 *
 * `ref` is the session's own correlation number, unique among its operations in flight; replies may come in any order.
 */
export interface AcquireOperation {
  readonly op: 'acquire';
  readonly ref: number;
  /** Full key, `namespace/lockId`, already validated. */
  readonly key: string;
  /** A fresh random id if the user named none, so that two such acquires exclude each other. */
  readonly ownerId: string;
  readonly mode: Mode;
  /** Time to live asked for; the policy's default if absent. */
  readonly ttlMs?: number | undefined;
  /** 0: try-lock. Above 0: wait at most this long. -1: wait until granted. */
  readonly timeoutMs: number;
  /** 0 (default) to 9; higher first under Priority fairness, ignored under Fifo. */
  readonly priority?: number | undefined;
  readonly maxHoldMs?: number | undefined;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
  /** Names this request across retries: an acquire with the same id never makes a second hold or a second depth. */
  readonly requestId?: string | undefined;
}

/** Extends a hold. A renewal never moves an expiry earlier. */
export interface RenewOperation {
  readonly op: 'renew';
  readonly ref: number;
  readonly key: string;
  readonly token: number;
  /** Checked when given; the principal is always checked. */
  readonly ownerId?: string | undefined;
  /** The hold's own time to live if absent. */
  readonly ttlMs?: number | undefined;
}

/** Gives back one depth of a hold. */
export interface ReleaseOperation {
  readonly op: 'release';
  readonly ref: number;
  readonly key: string;
  readonly token: number;
  readonly ownerId?: string | undefined;
  /**
   * The depth the caller expects to leave. A hold that is at it already is answered with success and not touched: this makes
   * a repeated release harmless. One less than the present depth if absent.
   */
  readonly leaveDepth?: number | undefined;
  /** The grant reached nobody: the whole hold ends and is counted as a late grant. */
  readonly disowned?: boolean | undefined;
}

/** Ends every hold of a lock against the holders' will. The reply comes after the end is recorded. */
export interface ForceReleaseOperation {
  readonly op: 'forceRelease';
  readonly ref: number;
  readonly key: string;
  readonly reason: string;
  /** Who asked, for the audit. */
  readonly by: string;
}

/** Withdraws a queued acquire. A grant that was already answered is not touched. There is no reply. */
export interface CancelOperation {
  readonly op: 'cancel';
  readonly ref: number;
  readonly key: string;
  /** `ref` of the acquire. */
  readonly target: number;
}

export interface InspectOperation {
  readonly op: 'inspect';
  readonly ref: number;
  readonly key: string;
}

/** Declares a hold to a new owner. Only a session the shard has on record may. */
export interface ReclaimOperation {
  readonly op: 'reclaim';
  readonly ref: number;
  readonly key: string;
  readonly token: number;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly depth: number;
  readonly ttlMs: number;
  readonly metadata?: Readonly<Record<string, string>> | undefined;
}

/** One shard's operations that a session may send for its locks. */
export type Operation =
  | AcquireOperation
  | RenewOperation
  | ReleaseOperation
  | ForceReleaseOperation
  | CancelOperation
  | InspectOperation
  | ReclaimOperation;

/**
 * A hold, as granted, renewed, re-entered or reclaimed. The holder's deadline is the monotonic time at which it *sent* frame
 * `seen`, plus `remainingMs`, less the margin; never a time of receipt.
 */
export interface HoldReply {
  readonly kind: 'hold';
  readonly ref: number;
  readonly key: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  readonly depth: number;
  readonly ttlMs: number;
  /** Time the hold had left at the moment the owner had processed frame `seen`. */
  readonly remainingMs: number;
  /** Number of the newest client frame the owner had processed when it set the expiry. */
  readonly seen: number;
  /** Takeover number of the shard's owner; a session that knows a newer one discards this reply. */
  readonly epoch: number;
  readonly metadata: Readonly<Record<string, string>> | undefined;
}

/** An acquire stands in the queue; its final reply follows. `position` is 1 for the next to be granted. */
export interface QueuedReply {
  readonly kind: 'queued';
  readonly ref: number;
  readonly position: number;
}

export interface ReleasedReply {
  readonly kind: 'released';
  readonly ref: number;
  /** Depth left; the lock is given back at 0. */
  readonly depth: number;
}

export interface DoneReply {
  readonly kind: 'done';
  readonly ref: number;
  /** Holds that were ended. */
  readonly ended: number;
}

export interface InspectReply {
  readonly kind: 'inspection';
  readonly ref: number;
  readonly inspection: Inspection;
}

export interface ErrorReply {
  readonly kind: 'error';
  readonly ref: number;
  readonly code: ErrorCode;
  readonly details: ErrorDetails;
}

export type Reply = HoldReply | QueuedReply | ReleasedReply | DoneReply | InspectReply | ErrorReply;

/** Told to the session of a hold that ended without its holder's release. */
export interface LostPush {
  readonly kind: 'lost';
  readonly key: string;
  readonly token: number;
  readonly ownerId: string;
  readonly reason: EndReason;
  readonly epoch: number;
}

/** One holder, for people and dashboards: it opens nothing. */
export interface HolderInspection {
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  readonly depth: number;
  readonly ttlMs: number;
  readonly remainingMs: number;
  readonly heldForMs: number;
  readonly metadata: Readonly<Record<string, string>> | undefined;
  /** Its time to live ran out under expiryPolicy Alert. */
  readonly overdue: boolean;
  /** Read from a record after a takeover and not yet declared by its session. */
  readonly unclaimed: boolean;
}

export interface WaiterInspection {
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly priority: number;
  readonly waitedMs: number;
}

/** A lock as it stands, for people and dashboards. */
export interface Inspection {
  readonly key: string;
  /** At most 100; `holderCount` is exact. */
  readonly holders: readonly HolderInspection[];
  readonly holderCount: number;
  /** In order of grant, at most 100; `waiterCount` is exact. */
  readonly waiters: readonly WaiterInspection[];
  readonly waiterCount: number;
  /** Time until an abnormally lost hold's place is granted again; 0 if none is pending. */
  readonly lockDelayRemainingMs: number;
}
