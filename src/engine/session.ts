import type { Hold } from './hold.ts';
import type { Waiter } from './waiter.ts';

/** What a remembered request id led to. */
export interface RequestEntry {
  readonly key: string;
  /** The waiter or the hold; `undefined` once its holder released it. */
  target: Waiter | Hold | undefined;
}

const RELEASED_REMEMBERED = 1_024;

/**
 * Request ids of one session. A request that waits or holds is remembered as long as it does; one whose holder released it is
 * remembered among the last 1,024 such, so that a late repetition cannot take the lock again behind its owner's back.
 */
export class RequestMemory {
  readonly #entries = new Map<string, RequestEntry>();
  #released: string[] = [];
  #oldest = 0;

  get(requestId: string): RequestEntry | undefined {
    return this.#entries.get(requestId);
  }

  remember(requestId: string, key: string, target: Waiter | Hold): void {
    this.#entries.set(requestId, { key, target });
  }

  forget(requestId: string): void {
    this.#entries.delete(requestId);
  }

  released(requestId: string): void {
    const entry = this.#entries.get(requestId);
    if (entry === undefined) return;
    entry.target = undefined;
    if (this.#released.length < RELEASED_REMEMBERED) {
      this.#released.push(requestId);
      return;
    }
    const forgotten = this.#released[this.#oldest] as string;
    if (this.#entries.get(forgotten)?.target === undefined) this.#entries.delete(forgotten);
    this.#released[this.#oldest] = requestId;
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
  /** A record of its slot's revocation is being written. */
  revoking = false;

  firstHold: Hold | undefined = undefined;
  holdCount = 0;
  /** Queued acquires by the `ref` of each request that waits for them. */
  readonly waiters = new Map<number, Waiter>();
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
