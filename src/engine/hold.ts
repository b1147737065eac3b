import type { Mode } from '../api/vocabulary.ts';
import type { Deadline } from './deadlines.ts';
import type { LockState } from './lock.ts';
import type { RequestEntry, Session } from './session.ts';

/**
 * - `granting`: decided, but its write has not landed: nobody was told, no time runs.
 * - `held`: told to its holder; ends at `dueAtMs` unless renewed.
 * - `adopted`: read from a record after a takeover, not yet declared by its session.
 */
export type HoldState = 'granting' | 'held' | 'adopted';

/** A request that waits for the hold's write: it is answered when the write's outcome is known. */
export interface PendingReply {
  readonly session: Session;
  readonly ref: number;
  /** Depth that its request made; a retry has that of its first one. */
  depth: number;
}

/** One ownership of a lock: exactly one fencing token, whatever its depth. */
export class Hold implements Deadline {
  readonly deadlineKind = 'hold';
  dueAtMs = 0;
  heapIndex = -1;

  readonly lock: LockState;
  /** Session that carries it; `undefined` after an adoption until one claims it. */
  session: Session | undefined;
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  state: HoldState;
  depth = 1;
  ttlMs: number;
  /** Longest time to live on record for this hold: a promise above it is written first. */
  recordedTtlMs: number;
  /** Longest time to live in any write that names this hold, landed or not: no later write names a shorter one. */
  writtenTtlMs = 0;
  grantedAtMs: number;
  /** End of its longest allowed life; Infinity if unlimited. */
  maxHoldAtMs = Number.POSITIVE_INFINITY;
  /** Longest allowed life, counted from the moment the grant is told; Infinity if unlimited. */
  maxHoldMs = Number.POSITIVE_INFINITY;
  metadata: Readonly<Record<string, string>> | undefined;
  /** When it asked, for the wait in the audit; its own grant time if it never waited. */
  queuedAtMs: number;
  contended = false;
  /** Its time to live ran out under expiryPolicy Alert: it stays until released. */
  overdue = false;
  /** Two sessions claimed this key after a takeover: nobody's time is extended. */
  contested = false;
  /** A forced end waits for its record; until then nobody is told anything about this hold. */
  ending = false;
  ended = false;
  /** How far its expiry was put off, after stalls and in grace. The owner frees that much later and never promises it. */
  deferredMs = 0;
  /** The stall for which its expiry was put off last. */
  stall = 0;
  /** Requests to answer once the grant is written; `undefined` when none. */
  pending: PendingReply[] | undefined;
  /** Latest of the remembered requests that make up its depth, which chains the earlier ones; `undefined` when none. */
  requests: RequestEntry | undefined;

  nextInLock: Hold | undefined;
  previousInLock: Hold | undefined;
  nextInSession: Hold | undefined;
  previousInSession: Hold | undefined;

  constructor(
    lock: LockState,
    session: Session | undefined,
    principal: string,
    ownerId: string,
    mode: Mode,
    token: number,
    state: HoldState,
    ttlMs: number,
    nowMs: number,
  ) {
    this.lock = lock;
    this.session = session;
    this.principal = principal;
    this.ownerId = ownerId;
    this.mode = mode;
    this.token = token;
    this.state = state;
    this.ttlMs = ttlMs;
    this.recordedTtlMs = ttlMs;
    this.grantedAtMs = nowMs;
    this.queuedAtMs = nowMs;
    this.metadata = undefined;
    this.pending = undefined;
    this.requests = undefined;
    this.nextInLock = undefined;
    this.previousInLock = undefined;
    this.nextInSession = undefined;
    this.previousInSession = undefined;
  }

  /**
   * Its longest allowed life begins anew with a new owner, by the rules of today; but it does not end before the time that was
   * promised under those of yesterday.
   */
  restartLife(maxHoldMs: number | undefined, nowMs: number): void {
    this.maxHoldMs = Math.max(maxHoldMs ?? Number.POSITIVE_INFINITY, this.ttlMs);
    this.maxHoldAtMs = nowMs + this.maxHoldMs;
  }

  isOwnedBy(principal: string, ownerId: string): boolean {
    return this.ownerId === ownerId && this.principal === principal;
  }
}

const INDEX_FROM = 8;

/** Identity of an owner as one string. Neither part can hold a NUL. */
export function ownerKeyOf(principal: string, ownerId: string): string {
  return `${principal}\0${ownerId}`;
}

/**
 * The holds of one lock, in order of grant. A few stand in a list alone; from eight on they are indexed by token and by owner,
 * so that every look-up stays O(1) for a lock of many readers. An owner may have several holds only on a lock that is, or was,
 * not re-entrant; `ofOwner` then finds one of them.
 */
export class HoldSet {
  first: Hold | undefined = undefined;
  last: Hold | undefined = undefined;
  size = 0;
  #byToken: Map<number, Hold> | undefined = undefined;
  #byOwner: Map<string, Hold> | undefined = undefined;
  /** Some owner has had several holds at once since the index was started. */
  #ownersRepeat = false;

  add(hold: Hold): void {
    hold.previousInLock = this.last;
    if (this.last === undefined) this.first = hold;
    else this.last.nextInLock = hold;
    this.last = hold;
    this.size++;
    if (this.#byToken !== undefined) this.#index(hold);
    else if (this.size === INDEX_FROM) this.#startIndex();
  }

  remove(hold: Hold): void {
    if (hold.previousInLock === undefined) this.first = hold.nextInLock;
    else hold.previousInLock.nextInLock = hold.nextInLock;
    if (hold.nextInLock === undefined) this.last = hold.previousInLock;
    else hold.nextInLock.previousInLock = hold.previousInLock;
    hold.nextInLock = undefined;
    hold.previousInLock = undefined;
    this.size--;
    if (this.#byToken === undefined) return;
    this.#byToken.delete(hold.token);
    const owner = ownerKeyOf(hold.principal, hold.ownerId);
    if (this.#byOwner?.get(owner) === hold) this.#unindexOwner(owner, hold);
    if (this.size === 0) {
      this.#byToken = undefined;
      this.#byOwner = undefined;
      this.#ownersRepeat = false;
    }
  }

  byToken(token: number): Hold | undefined {
    if (this.#byToken !== undefined) return this.#byToken.get(token);
    for (let hold = this.first; hold !== undefined; hold = hold.nextInLock) if (hold.token === token) return hold;
    return undefined;
  }

  ofOwner(principal: string, ownerId: string): Hold | undefined {
    if (this.#byOwner !== undefined) return this.#byOwner.get(ownerKeyOf(principal, ownerId));
    return this.#scanForOwner(principal, ownerId);
  }

  *[Symbol.iterator](): IterableIterator<Hold> {
    for (let hold = this.first; hold !== undefined; ) {
      const next = hold.nextInLock;
      yield hold;
      hold = next;
    }
  }

  #startIndex(): void {
    this.#byToken = new Map();
    this.#byOwner = new Map();
    for (const hold of this) this.#index(hold);
  }

  #index(hold: Hold): void {
    const owner = ownerKeyOf(hold.principal, hold.ownerId);
    this.#ownersRepeat ||= this.#byOwner?.has(owner) === true;
    this.#byToken?.set(hold.token, hold);
    this.#byOwner?.set(owner, hold);
  }

  /** Another hold of the same owner takes the place in the index; only a lock with such owners pays for the search. */
  #unindexOwner(owner: string, hold: Hold): void {
    const other = this.#ownersRepeat ? this.#scanForOwner(hold.principal, hold.ownerId) : undefined;
    if (other === undefined) this.#byOwner?.delete(owner);
    else this.#byOwner?.set(owner, other);
  }

  #scanForOwner(principal: string, ownerId: string): Hold | undefined {
    for (let hold = this.first; hold !== undefined; hold = hold.nextInLock)
      if (hold.isOwnedBy(principal, ownerId)) return hold;
    return undefined;
  }
}
