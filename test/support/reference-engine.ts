/**
 * The lock engine once more, without any cleverness: arrays, linear scans, every rule as `DESIGN.md` says it. It knows neither
 * records nor writes: every write lands at once. Slow, short, and written apart from the engine, so that both have to agree.
 */
import { PRIORITY_AGING_MS } from '../../src/api/limits.ts';
import type { LockPolicy } from '../../src/api/policies.ts';
import type { EndReason, Mode } from '../../src/api/vocabulary.ts';

export interface ReferenceHold {
  readonly lock: ReferenceLock;
  session: number;
  readonly principal: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  depth: number;
  ttlMs: number;
  dueAtMs: number;
  readonly lastMomentMs: number;
  overdue: boolean;
}

export interface ReferenceWaiter {
  readonly lock: ReferenceLock;
  readonly session: number;
  readonly ref: number;
  readonly principal: string;
  readonly request: ReferenceRequest;
  readonly queuedAtMs: number;
  readonly arrival: number;
  readonly dueAtMs: number;
}

export interface ReferenceLock {
  readonly key: string;
  readonly policy: LockPolicy;
  holds: ReferenceHold[];
  waiters: ReferenceWaiter[];
  delays: { readonly mode: Mode; readonly dueAtMs: number }[];
  lastMode: Mode;
}

export interface ReferenceRequest {
  readonly ownerId: string;
  readonly mode: Mode;
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly priority: number;
  readonly maxHoldMs: number;
}

export type ReferenceReply = { readonly session: number; readonly ref: number } & (
  | {
      readonly kind: 'hold';
      readonly key: string;
      readonly token: number;
      readonly depth: number;
      readonly remainingMs: number;
    }
  | { readonly kind: 'queued'; readonly position: number }
  | { readonly kind: 'released'; readonly depth: number }
  | { readonly kind: 'done'; readonly ended: number }
  | { readonly kind: 'error'; readonly code: string }
);

export class ReferenceEngine {
  readonly locks: ReferenceLock[];
  nowMs = 0;
  /** Replies of the last command. */
  replies: ReferenceReply[] = [];
  readonly #principalOf: (session: number) => string;
  #token = 0;
  #arrivals = 0;

  constructor(
    policies: readonly (readonly [key: string, policy: LockPolicy])[],
    principalOf: (session: number) => string,
  ) {
    this.locks = policies.map(([key, policy]) => ({
      key,
      policy,
      holds: [],
      waiters: [],
      delays: [],
      lastMode: 'shared',
    }));
    this.#principalOf = principalOf;
  }

  get holds(): ReferenceHold[] {
    return this.locks.flatMap((lock) => lock.holds);
  }

  get waiters(): ReferenceWaiter[] {
    return this.locks.flatMap((lock) => lock.waiters);
  }

  acquire(session: number, ref: number, lock: ReferenceLock, request: ReferenceRequest): void {
    const { policy } = lock;
    const { mode, ownerId, ttlMs } = request;
    const principal = this.#principalOf(session);
    if (ttlMs > policy.maxLeaseDurationMs || (mode === 'shared' && policy.permits > 1)) {
      this.#refuse(session, ref, 'INVALID_ARGUMENT');
      return;
    }
    const own = lock.holds.find((hold) => hold.principal === principal && hold.ownerId === ownerId);
    if (own !== undefined && own.mode === 'shared' && mode === 'exclusive') {
      this.#refuse(session, ref, 'DEADLOCK');
    } else if (own !== undefined && policy.reentrant && this.nowMs < own.lastMomentMs) {
      own.depth++;
      this.#extend(session, ref, own, ttlMs);
    } else {
      const before = lock.waiters.filter((waiter) => mode === 'exclusive' || waiter.request.mode === 'exclusive');
      const waiter = {
        lock,
        session,
        ref,
        principal,
        request,
        queuedAtMs: this.nowMs,
        arrival: ++this.#arrivals,
        dueAtMs: request.timeoutMs < 0 ? Number.POSITIVE_INFINITY : this.nowMs + request.timeoutMs,
      };
      if (before.length === 0 && this.#hasRoom(lock, mode)) this.#grant(waiter);
      else if (request.timeoutMs === 0) this.#refuse(session, ref, 'LOCK_HELD');
      else if (lock.waiters.length >= policy.maxWaiters) this.#refuse(session, ref, 'QUEUE_FULL');
      else this.replies.push({ session, ref, kind: 'queued', position: lock.waiters.push(waiter) });
    }
  }

  renew(session: number, ref: number, lock: ReferenceLock, token: number, ttlMs: number | undefined): void {
    const hold = this.#held(session, lock, token);
    if (hold === undefined || this.nowMs >= hold.lastMomentMs) this.#refuse(session, ref, 'NOT_HELD');
    else if ((ttlMs ?? 0) > lock.policy.maxLeaseDurationMs) this.#refuse(session, ref, 'INVALID_ARGUMENT');
    else this.#extend(session, ref, hold, ttlMs ?? hold.ttlMs);
  }

  release(session: number, ref: number, lock: ReferenceLock, token: number): void {
    const hold = this.#held(session, lock, token);
    if (hold === undefined) {
      this.#refuse(session, ref, 'NOT_HELD');
      return;
    }
    hold.depth--;
    this.replies.push({ session, ref, kind: 'released', depth: hold.depth });
    if (hold.depth === 0) this.#end(hold, 'released');
  }

  forceRelease(session: number, ref: number, lock: ReferenceLock): void {
    this.replies.push({ session, ref, kind: 'done', ended: lock.holds.length });
    const { holds } = lock;
    lock.holds = [];
    for (const hold of holds) this.#delay(hold, 'forceReleased');
    this.#promote(lock);
  }

  cancel(session: number, target: number): void {
    this.#leave((waiter) => waiter.session === session && waiter.ref === target);
  }

  close(session: number, reason: 'goodbye' | 'lost'): void {
    this.#leave((waiter) => waiter.session === session);
    if (reason === 'lost') return;
    const given = this.holds.filter((hold) => hold.session === session);
    for (const lock of this.locks) lock.holds = lock.holds.filter((hold) => hold.session !== session);
    for (const lock of new Set(given.map((hold) => hold.lock))) this.#promote(lock);
  }

  /** Everything that is due by now happens, in the order in which it fell due. */
  tick(): void {
    for (;;) {
      const due = this.locks.flatMap((lock) => [
        ...lock.holds.map((hold) => ({
          atMs: hold.overdue ? hold.lastMomentMs : hold.dueAtMs,
          happens: () => this.#expire(hold),
        })),
        ...lock.waiters.map((waiter) => ({ atMs: waiter.dueAtMs, happens: () => this.#timeOut(waiter) })),
        ...lock.delays.map((delay) => ({
          atMs: delay.dueAtMs,
          happens: () => {
            lock.delays = lock.delays.filter((other) => other !== delay);
            this.#promote(lock);
          },
        })),
      ]);
      const [first] = due.filter(({ atMs }) => atMs <= this.nowMs).toSorted((left, right) => left.atMs - right.atMs);
      if (first === undefined) return;
      first.happens();
    }
  }

  /** Waiters in the order in which they would be granted, as far as that is fixed: writers by fairness, readers by arrival. */
  inOrder(lock: ReferenceLock, mode: Mode): ReferenceWaiter[] {
    const rank = ({ queuedAtMs, request }: ReferenceWaiter) =>
      mode === 'exclusive' && lock.policy.fairness === 'Priority'
        ? queuedAtMs - request.priority * PRIORITY_AGING_MS
        : 0;
    return lock.waiters
      .filter((waiter) => waiter.request.mode === mode)
      .toSorted((left, right) => rank(left) - rank(right) || left.arrival - right.arrival);
  }

  /**
   * Phase-fair: after a writer all waiting readers enter, then the next writer; running readers are joined only while no writer
   * waits.
   */
  #promote(lock: ReferenceLock): void {
    for (;;) {
      const [writer] = this.inOrder(lock, 'exclusive');
      const readers = this.inOrder(lock, 'shared');
      const readersTurn = writer === undefined || (lock.lastMode === 'exclusive' && this.#places(lock, 'shared') === 0);
      if (readers.length > 0 && readersTurn && this.#hasRoom(lock, 'shared')) {
        for (const reader of readers) this.#grant(reader);
      } else if (writer !== undefined && this.#hasRoom(lock, 'exclusive')) {
        this.#grant(writer);
      } else {
        return;
      }
    }
  }

  #grant(waiter: ReferenceWaiter): void {
    const { lock, session, ref, principal, request } = waiter;
    const { mode, ownerId, ttlMs } = request;
    lock.waiters = lock.waiters.filter((other) => other !== waiter);
    lock.lastMode = mode;
    const lastMomentMs = this.nowMs + Math.min(request.maxHoldMs, lock.policy.maxHoldMs ?? Number.POSITIVE_INFINITY);
    const dueAtMs = Math.min(this.nowMs + ttlMs, lastMomentMs);
    const token = ++this.#token;
    const hold = {
      lock,
      session,
      principal,
      ownerId,
      mode,
      token,
      depth: 1,
      ttlMs,
      dueAtMs,
      lastMomentMs,
      overdue: false,
    };
    lock.holds.push(hold);
    this.#tell(session, ref, hold);
  }

  #extend(session: number, ref: number, hold: ReferenceHold, ttlMs: number): void {
    const dueAtMs = Math.min(this.nowMs + ttlMs, hold.lastMomentMs);
    hold.dueAtMs = hold.overdue ? dueAtMs : Math.max(hold.dueAtMs, dueAtMs);
    hold.overdue = false;
    hold.ttlMs = ttlMs;
    hold.session = session;
    this.#tell(session, ref, hold);
  }

  #expire(hold: ReferenceHold): void {
    const isLastMoment = this.nowMs >= hold.lastMomentMs;
    if (hold.lock.policy.expiryPolicy === 'Alert' && !isLastMoment) hold.overdue = true;
    else this.#end(hold, isLastMoment ? 'maxHold' : 'expired');
  }

  #timeOut(waiter: ReferenceWaiter): void {
    this.#refuse(waiter.session, waiter.ref, 'ACQUIRE_TIMEOUT');
    this.#leave((other) => other === waiter);
  }

  #end(hold: ReferenceHold, reason: EndReason): void {
    hold.lock.holds = hold.lock.holds.filter((other) => other !== hold);
    this.#delay(hold, reason);
    this.#promote(hold.lock);
  }

  #delay({ lock, mode }: ReferenceHold, reason: EndReason): void {
    const { lockDelayMs } = lock.policy;
    if (lockDelayMs > 0 && ['expired', 'maxHold', 'forceReleased'].includes(reason))
      lock.delays.push({ mode, dueAtMs: this.nowMs + lockDelayMs });
  }

  #leave(leaves: (waiter: ReferenceWaiter) => boolean): void {
    for (const lock of this.locks) {
      if (!lock.waiters.some(leaves)) continue;
      lock.waiters = lock.waiters.filter((waiter) => !leaves(waiter));
      this.#promote(lock);
    }
  }

  #hasRoom(lock: ReferenceLock, mode: Mode): boolean {
    if (mode === 'shared') return this.#places(lock, 'exclusive') === 0;
    return this.#places(lock, 'shared') === 0 && this.#places(lock, 'exclusive') < lock.policy.permits;
  }

  #places(lock: ReferenceLock, mode: Mode): number {
    return [...lock.holds, ...lock.delays].filter((place) => place.mode === mode).length;
  }

  #held(session: number, lock: ReferenceLock, token: number): ReferenceHold | undefined {
    return lock.holds.find((hold) => hold.token === token && hold.principal === this.#principalOf(session));
  }

  #tell(session: number, ref: number, hold: ReferenceHold): void {
    const { depth, token, dueAtMs } = hold;
    this.replies.push({
      session,
      ref,
      kind: 'hold',
      key: hold.lock.key,
      token,
      depth,
      remainingMs: dueAtMs - this.nowMs,
    });
  }

  #refuse(session: number, ref: number, code: string): void {
    this.replies.push({ session, ref, kind: 'error', code });
  }
}
