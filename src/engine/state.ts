import type { ErrorCode, ErrorDetails } from '../api/codes.ts';
import { lockKindOf, policyNameOf, splitLockKey } from '../api/lock-id.ts';
import type { Reply } from '../api/operations.ts';
import { DeadlineHeap } from './deadlines.ts';
import type { AuditEvent, Effect, RarePath } from './effects.ts';
import { type Hold, ownerKeyOf } from './hold.ts';
import { LockState, type Rules } from './lock.ts';
import type { Session } from './session.ts';
import { ShardState, type ShardStart } from './shard.ts';
import type { Waiter } from './waiter.ts';

/** What one command led to. Replies are in order; `recipients[i]` is the session of `replies[i]`. */
export interface Step {
  readonly replies: Reply[];
  readonly recipients: number[];
  readonly effects: Effect[];
  /** When the next `tick` is wanted; Infinity if never. An early tick changes nothing. */
  wakeAtMs: number;
}

/**
 * Everything one shard's owner knows. The command handlers share it; nobody outside the engine writes it. No clock, no
 * randomness, no I/O: what happens is a function of the commands and the times they carry.
 */
export class EngineState {
  readonly shard: ShardState;
  readonly locks = new Map<string, LockState>();
  /** Rules of the pools, by `namespace/name`. */
  readonly pools = new Map<string, Rules>();
  readonly sessions = new Map<number, Session>();
  readonly deadlines = new DeadlineHeap();
  /** Waiters by owner, for the deadlock search. */
  readonly waitersByOwner = new Map<string, Waiter[]>();
  /** Grants of this step whose owner also waits elsewhere: each may have closed a cycle. */
  grantsToSearch: Hold[] = [];
  /** A hand-over is under way: nothing new is granted, written or told. */
  frozen = false;
  frozenAtMs = 0;
  /** The last stall: holds that are due before its window ends get that much more time. */
  readonly stall = { number: 0, untilMs: Number.NEGATIVE_INFINITY, byMs: 0 };
  holdCount = 0;
  waiterCount = 0;
  /** Arrivals, counted for the order of the queues. */
  sequence = 0;
  #step: Step = newStep();
  #lastPrefix = '';
  #lastRules: Rules | undefined;

  constructor(start: ShardStart) {
    this.shard = new ShardState(start);
  }

  takeStep(): Step {
    const step = this.#step;
    this.#step = newStep();
    step.wakeAtMs = this.frozen ? Number.POSITIVE_INFINITY : this.deadlines.nextDueMs;
    return step;
  }

  reply(sessionId: number, reply: Reply): void {
    this.#step.replies.push(reply);
    this.#step.recipients.push(sessionId);
  }

  refuse(sessionId: number, ref: number, code: ErrorCode, details: ErrorDetails): void {
    this.reply(sessionId, { kind: 'error', ref, code, details });
  }

  /** Refuses with the lock named in the details. */
  refuseFor(sessionId: number, ref: number, code: ErrorCode, key: string, details: ErrorDetails = {}): void {
    this.refuse(sessionId, ref, code, { ...splitLockKey(key), ...details });
  }

  effect(effect: Effect): void {
    this.#step.effects.push(effect);
  }

  audit(event: AuditEvent): void {
    this.#step.effects.push({ kind: 'audit', event });
  }

  count(metric: RarePath, value = 1): void {
    this.#step.effects.push({ kind: 'count', metric, value });
  }

  /** The lock of a key: as it is, or a new one if the key belongs to an open pool. `undefined` if there is no such lock. */
  findOrOpen(key: string): LockState | undefined {
    const known = this.locks.get(key);
    if (known !== undefined) return known;
    const rules = this.#rulesOfPool(key);
    if (rules?.policy === undefined) return undefined;
    const lock = new LockState(key, 'pool', rules);
    this.locks.set(key, lock);
    return lock;
  }

  /** Most keys belong to the pool of the key before, which one comparison tells without cutting the name out. */
  #rulesOfPool(key: string): Rules | undefined {
    if (this.#lastPrefix !== '' && key.startsWith(this.#lastPrefix)) return this.#lastRules;
    if (lockKindOf(key) === 'lock') return undefined;
    const name = policyNameOf(key);
    const rules = this.pools.get(name);
    if (rules !== undefined) {
      this.#lastPrefix = `${name}/`;
      this.#lastRules = rules;
    }
    return rules;
  }

  /** The rules of a key's pool, made without a policy if the pool is not known yet. */
  rulesForClaim(key: string): Rules {
    const name = policyNameOf(key);
    let rules = this.pools.get(name);
    if (rules === undefined) {
      rules = { policy: undefined };
      this.pools.set(name, rules);
    }
    return rules;
  }

  /** Whether a key could be locked: it exists, or belongs to an open pool. */
  isKnown(key: string): boolean {
    return this.locks.has(key) || this.pools.get(policyNameOf(key))?.policy !== undefined;
  }

  /** Drops a pool key that has nothing left to remember. */
  forgetIfIdle(lock: LockState): void {
    if (lock.kind !== 'pool' || !lock.isIdle) return;
    this.shard.stalledLocks.delete(lock);
    this.locks.delete(lock.key);
  }

  /** Drops a session that is gone and left nothing behind. */
  forgetIfGone(session: Session): void {
    if (
      session.connected ||
      session.holdCount > 0 ||
      session.waiters.size > 0 ||
      session.pending.size > 0 ||
      session.parked.size > 0 ||
      session.revoking
    )
      return;
    this.sessions.delete(session.id);
    this.shard.sessionGone(session);
  }

  addWaiter(waiter: Waiter): void {
    const { lock, session } = waiter;
    lock.queueOf(waiter.mode).add(waiter);
    lock.waiterCount++;
    if (waiter.timeoutMs === 0) lock.tryLockCount++;
    this.waiterCount++;
    for (const ref of waiter.refs) session.waiters.set(ref, waiter);
    const owner = ownerKeyOf(session.principal, waiter.ownerId);
    const others = this.waitersByOwner.get(owner);
    waiter.ownerIndex = others?.length ?? 0;
    if (others === undefined) this.waitersByOwner.set(owner, [waiter]);
    else others.push(waiter);
  }

  /** Takes a waiter out of everything; its request ids are the caller's affair. */
  removeWaiter(waiter: Waiter): void {
    const { lock, session } = waiter;
    if (waiter.parked) {
      session.parked.delete(waiter);
      lock.parked?.delete(waiter);
    } else {
      lock.queueOf(waiter.mode).remove(waiter);
    }
    lock.waiterCount--;
    if (waiter.timeoutMs === 0) lock.tryLockCount--;
    this.waiterCount--;
    this.deadlines.remove(waiter);
    for (const ref of waiter.refs) session.waiters.delete(ref);
    const owner = ownerKeyOf(session.principal, waiter.ownerId);
    const others = this.waitersByOwner.get(owner) as Waiter[];
    const last = others.pop() as Waiter;
    if (others.length === 0) this.waitersByOwner.delete(owner);
    if (last === waiter) return;
    others[waiter.ownerIndex] = last;
    last.ownerIndex = waiter.ownerIndex;
  }

  /** Takes a silent waiter out of its queue; it keeps its place for its return. */
  park(waiter: Waiter): void {
    waiter.lock.queueOf(waiter.mode).remove(waiter);
    waiter.parked = true;
    waiter.session.parked.add(waiter);
    waiter.lock.parked ??= new Set();
    waiter.lock.parked.add(waiter);
  }

  /** Puts a parked waiter back at its place. */
  unpark(waiter: Waiter): void {
    waiter.session.parked.delete(waiter);
    waiter.lock.parked?.delete(waiter);
    waiter.parked = false;
    waiter.lock.queueOf(waiter.mode).add(waiter);
  }

  /** The hold that a session may act on by naming its token; `undefined` if there is none or it belongs to somebody else. */
  findOwnHold(session: Session, key: string, token: number, ownerId: string | undefined): Hold | undefined {
    const hold = this.locks.get(key)?.holds.byToken(token);
    if (hold === undefined || hold.principal !== session.principal) return undefined;
    if (ownerId !== undefined && hold.ownerId !== ownerId) return undefined;
    return hold;
  }
}

function newStep(): Step {
  return { replies: [], recipients: [], effects: [], wakeAtMs: Number.POSITIVE_INFINITY };
}
