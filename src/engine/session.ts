import type { Hold } from './hold.ts';
import type { PendingExtension } from './lock.ts';
import type { Waiter } from './waiter.ts';

/** A remembered request id and what it led to. */
export interface RequestEntry {
  readonly memory: RequestMemory;
  readonly requestId: string;
  readonly key: string;
  /** The waiter, the hold, or the re-entry that waits for a record; `undefined` once its holder released it. */
  target: Waiter | Hold | PendingExtension | undefined;
  /** Depth that it made of its hold. */
  depth: number;
  /** Remembered request of the same hold before this one. */
  previous: RequestEntry | undefined;
}

const RELEASED_REMEMBERED = 1_024;

/**
 * Request ids of one session. A request that waits or holds is remembered as long as it does; one whose holder released it is
 * remembered among the last 1,024 such, so that a late repetition cannot take the lock again behind its owner's back.
 */
export class RequestMemory {
  readonly #entries = new Map<string, RequestEntry>();
  readonly #released: string[] = [];
  #oldest = 0;

  get(requestId: string): RequestEntry | undefined {
    return this.#entries.get(requestId);
  }

  remember(requestId: string, key: string, target: Waiter | PendingExtension): void {
    this.#entries.set(requestId, { memory: this, requestId, key, target, depth: 0, previous: undefined });
  }

  /** The request has led to this hold, of which it made `depth`. */
  rememberHold(requestId: string, hold: Hold, depth: number): void {
    let entry = this.#entries.get(requestId);
    if (entry === undefined) {
      entry = { memory: this, requestId, key: hold.lock.key, target: hold, depth, previous: hold.requests };
      this.#entries.set(requestId, entry);
    } else {
      entry.target = hold;
      entry.depth = depth;
      entry.previous = hold.requests;
    }
    hold.requests = entry;
  }

  forget(requestId: string): void {
    this.#entries.delete(requestId);
  }

  released(entry: RequestEntry): void {
    entry.target = undefined;
    entry.previous = undefined;
    if (this.#released.length < RELEASED_REMEMBERED) {
      this.#released.push(entry.requestId);
      return;
    }
    const forgotten = this.#released[this.#oldest] as string;
    if (this.#entries.get(forgotten)?.target === undefined) this.#entries.delete(forgotten);
    this.#released[this.#oldest] = entry.requestId;
    this.#oldest = (this.#oldest + 1) % RELEASED_REMEMBERED;
  }
}

/** One client connection context: it carries holds and waiters of one principal over its successive connections. */
export class Session {
  readonly id: number;
  readonly principal: string;
  readonly slot: number;
  readonly inProcess: boolean;
  connection: number;
  connected = true;
  /** Newest frame processed; frames are numbered over all connections of the session. */
  frame = 0;
  /** When anything was last heard from it. */
  heardAtMs: number;
  /** Its slot is on the shard's record, so its grants may be acknowledged. */
  recorded = false;
  /** Its slot was on the record when this owner took over. */
  mayReclaim = false;
  /** It has declared all its holds to this owner. */
  reclaimComplete = false;
  /** Its processes were reported terminated: it gets and keeps nothing from memory here, and its slot leaves the record. */
  revoked = false;
  /** The session that had its slot on record before it, while that one is still here: a restarted process follows its own. */
  slotBefore: Session | undefined = undefined;
  /** It left nothing behind. */
  forgotten = false;
  /** The record of its revocation is being written. */
  revoking = false;

  firstHold: Hold | undefined = undefined;
  holdCount = 0;
  /** Queued acquires by the `ref` of each request that waits for them. */
  readonly waiters = new Map<number, Waiter>();
  /** Requests that wait for a write of a grant or of a longer promise, by their `ref`. */
  readonly pending = new Map<number, Hold | PendingExtension>();
  /** Waiters taken out of their queues while the session is silent. */
  readonly parked = new Set<Waiter>();
  readonly requests = new RequestMemory();

  constructor(id: number, principal: string, slot: number, inProcess: boolean, connection: number, nowMs: number) {
    this.id = id;
    this.principal = principal;
    this.slot = slot;
    this.inProcess = inProcess;
    this.connection = connection;
    this.heardAtMs = nowMs;
  }

  addHold(hold: Hold): void {
    hold.session = this;
    hold.previousInSession = undefined;
    hold.nextInSession = this.firstHold;
    if (this.firstHold !== undefined) this.firstHold.previousInSession = hold;
    this.firstHold = hold;
    this.holdCount++;
  }

  removeHold(hold: Hold): void {
    if (hold.previousInSession === undefined) this.firstHold = hold.nextInSession;
    else hold.previousInSession.nextInSession = hold.nextInSession;
    if (hold.nextInSession !== undefined) hold.nextInSession.previousInSession = hold.previousInSession;
    hold.nextInSession = undefined;
    hold.previousInSession = undefined;
    this.holdCount--;
  }

  /** Whether a grant to this waiter would likely reach nobody. */
  isSilentFor(waiter: Waiter, nowMs: number): boolean {
    if (!this.connected || waiter.refs.length === 0) return true;
    return !this.inProcess && nowMs - this.heardAtMs > waiter.silenceLimitMs;
  }
}
