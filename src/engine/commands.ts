import type { Operation } from '../api/operations.ts';
import type { LockPolicy } from '../api/policies.ts';
import type { HolderRecord, ShardSnapshot, StoredLockRecord } from './records.ts';

/**
 * What can happen to a shard. Commands are plain values; `engine.apply(command, nowMs)` is a pure function of the state and
 * these. `nowMs` is the owner's monotonic clock and never goes back. Time passes only by `tick`: no other command expires
 * anything, so a renewal that is processed before the tick still counts.
 */
export type Command =
  | SessionCommand
  | HeardCommand
  | OpenSessionCommand
  | CloseSessionCommand
  | ReclaimCompleteCommand
  | ConfigureCommand
  | AdoptCommand
  | RememberCommand
  | LeaseSeenCommand
  | ShardLeaseSeenCommand
  | PersistedCommand
  | TickCommand
  | FreezeCommand
  | ResumeCommand
  | ImportCommand;

/** An operation that came over a session. */
export interface SessionCommand {
  readonly kind: 'operation';
  readonly sessionId: number;
  /** Which of the session's connections carried it: a superseded one's are dropped unread. */
  readonly connection: number;
  /** Number of the client frame that carried it. */
  readonly frame: number;
  readonly operation: Operation;
}

/** A heartbeat: the session is there, and its newest frame is this one. */
export interface HeardCommand {
  readonly kind: 'heard';
  readonly sessionId: number;
  readonly connection: number;
  readonly frame: number;
}

/** A connection of a session is there: a first one, or a resumed one, which supersedes the earlier. */
export interface OpenSessionCommand {
  readonly kind: 'openSession';
  readonly sessionId: number;
  /** Grows with every connection of this session. */
  readonly connection: number;
  /** Authenticated identity: the pod's UID, or `local` in dev mode. Fixed for the life of the session. */
  readonly principal: string;
  /** Slot number, `0 .. 16383`, or -1 if there are more sessions than slots. */
  readonly slot: number;
  /** A session in the owner's own process is never silent; any other one is, if it stops sending. */
  readonly inProcess: boolean;
}

/**
 * `goodbye`: the client gives everything back. `lost`: the connection is gone; waiters leave, holds run to their expiry.
 * `orphaned`: the pod's containers were reported terminated; holds end now, recorded first.
 */
export interface CloseSessionCommand {
  readonly kind: 'closeSession';
  readonly sessionId: number;
  readonly connection: number;
  readonly reason: 'goodbye' | 'lost' | 'orphaned';
}

/** The session has declared all its holds of this shard. */
export interface ReclaimCompleteCommand {
  readonly kind: 'reclaimComplete';
  readonly sessionId: number;
  readonly connection: number;
}

/**
 * A custom resource's policy: of a lock (`namespace/name`) or a pool. `undefined` closes it: no new acquire, holds live on.
 */
export interface ConfigureCommand {
  readonly kind: 'configure';
  readonly resource: 'lock' | 'pool';
  /** `namespace/name`. */
  readonly name: string;
  readonly policy: LockPolicy | undefined;
  /** Lowest counter a lock without a record may start from: milliseconds of a plausible wall clock, or the CR's high water. */
  readonly counterFloor: number;
}

/** A lock's Lease as found at a takeover, before its lock is served. Every holder gets its full recorded time from now. */
export interface AdoptCommand {
  readonly kind: 'adopt';
  readonly stored: StoredLockRecord;
  readonly counterFloor: number;
}

/**
 * What an earlier life of this process knew of a lock, given after the lock's Lease was adopted (or found missing) and before the
 * lock is served.
 */
export interface RememberCommand {
  readonly kind: 'remember';
  readonly key: string;
  /** Highest token number spent, written or not. */
  readonly counter: number;
  /** Counter that surely stood on the Lease. */
  readonly landedCounter: number;
  /** Holds that were acknowledged and may not have run out. */
  readonly holders: readonly HolderRecord[];
}

/**
 * A lock's Lease as a consistent read found it, made while no write of this lock was under way: somebody else changed it. Must
 * not be given for a read that a write of this owner has overtaken.
 */
export interface LeaseSeenCommand {
  readonly kind: 'leaseSeen';
  readonly key: string;
  readonly found: FoundLease;
  /** Lowest counter of a lock that begins anew. */
  readonly counterFloor: number;
}

/** Somebody else changed the shard's Lease, and it still names this owner, or nobody: it is written again. */
export interface ShardLeaseSeenCommand {
  readonly kind: 'shardLeaseSeen';
  readonly change: 'recordEdited' | 'recordDeleted';
  readonly text: string;
}

/**
 * - `record`: one that can be trusted. `astray` says, for people, what around it is not as an owner writes it.
 * - `damaged`: ours, but it cannot be trusted. `unusable`: somebody else's, which is never written. `gone`: there is none.
 */
export type FoundLease =
  | { readonly kind: 'record'; readonly stored: StoredLockRecord; readonly astray: string | undefined }
  | { readonly kind: 'damaged'; readonly version: string; readonly text: string }
  | { readonly kind: 'unusable'; readonly text: string }
  | { readonly kind: 'gone' };

/**
 * Outcome of one write. `ok`: it landed. `conflict`: another version is there, which the driver has read (`stored`, or
 * `undefined` if the Lease is gone). `unknown`: it may land still. `rejected`: the server refuses it; `retryable` tells a
 * passing refusal from one that needs a person.
 */
export interface PersistedCommand {
  readonly kind: 'persisted';
  /** Key of the lock, or `undefined` for the shard's record. */
  readonly key: string | undefined;
  readonly attempt: string;
  readonly outcome: 'ok' | 'conflict' | 'unknown' | 'rejected';
  /** New version after `ok`. */
  readonly version?: string | undefined;
  readonly stored?: StoredLockRecord | undefined;
  /** After `conflict` with a Lease that cannot be read: its version, so that an owner who knows the truth can write it. */
  readonly damagedVersion?: string | undefined;
  /** After `rejected`: the Lease of that name is somebody else's. */
  readonly unusable?: boolean | undefined;
  /** For people: what the store said. */
  readonly message?: string | undefined;
}

/** Time has passed. `lateMs` is how much later than asked the driver woke: every expiry is put off by as much. */
export interface TickCommand {
  readonly kind: 'tick';
  readonly lateMs: number;
}

/** Stop answering for a hand-over: nothing is acknowledged until `resume`. */
export interface FreezeCommand {
  readonly kind: 'freeze';
}

/** The hand-over did not happen, proven by a later write of this incarnation. */
export interface ResumeCommand {
  readonly kind: 'resume';
}

/** The state of the previous owner, received before the hand-over was committed. Only on an engine that has none. */
export interface ImportCommand {
  readonly kind: 'import';
  readonly snapshot: ShardSnapshot;
}
