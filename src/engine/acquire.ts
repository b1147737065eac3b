import { LIMITS } from '../api/limits.ts';
import type { AcquireOperation } from '../api/operations.ts';
import type { LockPolicy } from '../api/policies.ts';
import { findDeadlock } from './break-deadlock.ts';
import { isRefusing, markDirty } from './durable.ts';
import { endHold } from './ending.ts';
import { extend, firstHeard, grant, type GrantRequest, holdReply, promote, settle, unpark } from './grant.ts';
import { Hold } from './hold.ts';
import type { LockState } from './lock.ts';
import type { RequestEntry, Session } from './session.ts';
import { extendAfterRecord, mayGrantFromMemory } from './shard-record.ts';
import type { EngineState } from './state.ts';
import { Waiter } from './waiter.ts';

/** Takes a lock, joins the owner's own hold, or queues. */
export function acquire(state: EngineState, session: Session, operation: AcquireOperation, nowMs: number): void {
  if (operation.requestId !== undefined) {
    const entry = session.requests.get(operation.requestId);
    if (entry !== undefined) {
      repeat(state, session, operation, entry, nowMs);
      return;
    }
  }
  const lock = state.findOrOpen(operation.key);
  const policy = lock?.policy;
  if (lock === undefined || policy === undefined) {
    state.refuseFor(session.id, operation.ref, 'LOCK_NOT_FOUND', operation.key);
    return;
  }
  const problem = problemOf(operation, policy);
  if (problem !== undefined) {
    state.refuse(session.id, operation.ref, 'INVALID_ARGUMENT', problem);
  } else if (session.holdCount >= LIMITS.holdsPerSessionMax) {
    state.refuseFor(session.id, operation.ref, 'QUEUE_FULL', operation.key, {
      what: 'holds of this session',
      limit: LIMITS.holdsPerSessionMax,
    });
  } else {
    const own = lock.holds.ofOwner(session.principal, operation.ownerId);
    if (own === undefined || !joinOwnHold(state, session, operation, own, policy, nowMs))
      grantOrQueue(state, session, operation, lock, policy, nowMs);
  }
  settle(state, lock, nowMs);
}

function problemOf(operation: AcquireOperation, policy: LockPolicy): { field: string; problem: string } | undefined {
  if (operation.ttlMs !== undefined && operation.ttlMs > policy.maxLeaseDurationMs) {
    return {
      field: 'ttlMs',
      problem: `ttlMs is ${operation.ttlMs}, above the ${policy.maxLeaseDurationMs} that this lock allows; ask for less and renew`,
    };
  }
  if (operation.mode === 'shared' && policy.permits > 1) {
    return {
      field: 'mode',
      problem: `this lock has ${policy.permits} permits, and a semaphore has no shared mode; use mode exclusive`,
    };
  }
  return undefined;
}

/** A repeated request is answered from what its first one led to; it never makes a second hold or a second depth. */
function repeat(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  entry: RequestEntry,
  nowMs: number,
): void {
  state.count('idempotentReply');
  const { target } = entry;
  if (entry.key !== operation.key) {
    const problem = 'this requestId was used for another lock; use a fresh one for every request';
    state.refuse(session.id, operation.ref, 'INVALID_ARGUMENT', { field: 'requestId', problem });
  } else if (target === undefined) {
    state.refuseFor(session.id, operation.ref, 'NOT_HELD', operation.key, { reason: 'released' });
  } else if (target instanceof Hold) {
    if (target.state === 'granting')
      target.pending = [...(target.pending ?? []), { ref: operation.ref, depth: target.depth }];
    else if (target.ending || target.contested)
      state.refuse(session.id, operation.ref, 'UNAVAILABLE', { reason: 'ending', retryAfterMs: 250 });
    else state.reply(session.id, holdReply(state, target, operation.ref, target.depth, nowMs));
  } else if (operation.timeoutMs === 0 && !target.lock.stalled && target.lock.durable === undefined) {
    refuseHeld(state, session, operation.ref, target.lock, nowMs);
  } else {
    joinWaiter(state, session, operation, target, nowMs);
  }
}

function joinWaiter(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  waiter: Waiter,
  nowMs: number,
): void {
  if (waiter.refs.length >= LIMITS.retriesPerWaiterMax) {
    state.refuseFor(session.id, operation.ref, 'QUEUE_FULL', operation.key, {
      what: 'repeated requests',
      limit: LIMITS.retriesPerWaiterMax,
    });
    return;
  }
  waiter.refs.push(operation.ref);
  session.waiters.set(operation.ref, waiter);
  if (operation.timeoutMs < 0) state.deadlines.remove(waiter);
  else if (waiter.heapIndex !== -1 && nowMs + operation.timeoutMs > waiter.dueAtMs)
    state.deadlines.set(waiter, nowMs + operation.timeoutMs);
  state.reply(session.id, { kind: 'queued', ref: operation.ref, position: waiter.lock.waiterCount });
  if (waiter.parked) unpark(state, session, nowMs);
}

/** Joins the owner's hold if the rules allow it; false if the request must stand in line like any other. */
function joinOwnHold(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  own: Hold,
  policy: LockPolicy,
  nowMs: number,
): boolean {
  if (own.state === 'adopted') {
    // Its session has declared everything it has, and not this one: a new ownership, in the same write.
    if (session.reclaimComplete) endHold(state, own, 'disowned', nowMs);
    return false;
  }
  if (own.contested || own.ending) return false;
  if (operation.mode === 'exclusive' && own.mode === 'shared') {
    state.refuseFor(session.id, operation.ref, 'DEADLOCK', operation.key, { reason: 'upgrade' });
    return true;
  }
  if (!policy.reentrant) return false;
  if (own.depth >= LIMITS.depthMax) {
    state.refuseFor(session.id, operation.ref, 'QUEUE_FULL', operation.key, {
      what: 're-entrant acquires of one hold',
      limit: LIMITS.depthMax,
    });
    return true;
  }
  if (own.state === 'granting') {
    // The write in flight carries the first request's time to live; the answer states it, and a renewal may ask for more.
    own.depth++;
    own.pending = [...(own.pending ?? []), { ref: operation.ref, depth: own.depth }];
    rememberReentry(session, own, operation.requestId);
    return true;
  }
  promiseTime(
    state,
    session,
    own,
    operation.ref,
    operation.ttlMs ?? own.ttlMs,
    { requestId: operation.requestId },
    nowMs,
  );
  return true;
}

/**
 * Extends a hold by `ttlMs` from now and answers `ref`, with one more depth for a re-entry. A promise beyond what is on record
 * is written first.
 */
export function promiseTime(
  state: EngineState,
  session: Session,
  hold: Hold,
  ref: number,
  ttlMs: number,
  reentry: { readonly requestId: string | undefined } | undefined,
  nowMs: number,
): void {
  const { lock } = hold;
  if (lock.durable !== undefined ? ttlMs > hold.recordedTtlMs : ttlMs > state.shard.graceMs) {
    const extension = { kind: 'extension', sessionId: session.id, ref, hold, ttlMs, reentry } as const;
    if (lock.durable === undefined) {
      extendAfterRecord(state, extension);
      return;
    }
    lock.durable.acknowledgements.push(extension);
    markDirty(state, lock);
    settle(state, lock, nowMs);
    return;
  }
  tellExtension(state, session.id, hold, ref, ttlMs, reentry, nowMs);
}

/** The promise is on record (or needed none): the hold gets its time and the request its answer. */
export function tellExtension(
  state: EngineState,
  sessionId: number,
  hold: Hold,
  ref: number,
  ttlMs: number,
  reentry: { readonly requestId: string | undefined } | undefined,
  nowMs: number,
): void {
  extend(state, hold, ttlMs, nowMs);
  const { key } = hold.lock;
  if (reentry === undefined) {
    state.audit({ type: 'renewed', key, token: hold.token });
  } else {
    hold.depth++;
    if (hold.session !== undefined) rememberReentry(hold.session, hold, reentry.requestId);
    state.audit({ type: 'reentered', key, token: hold.token, depth: hold.depth });
  }
  state.reply(sessionId, holdReply(state, hold, ref, hold.depth, nowMs));
}

function rememberReentry(session: Session, hold: Hold, requestId: string | undefined): void {
  if (requestId === undefined || hold.session !== session) return;
  hold.requestIds = [...(hold.requestIds ?? []), requestId];
  session.requests.remember(requestId, hold.lock.key, hold);
}

function grantOrQueue(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  lock: LockState,
  policy: LockPolicy,
  nowMs: number,
): void {
  const request = {
    ownerId: operation.ownerId,
    mode: operation.mode,
    ttlMs: operation.ttlMs ?? policy.leaseDurationMs,
    timeoutMs: operation.timeoutMs,
    priority: operation.priority ?? 0,
    maxHoldMs: Math.min(operation.maxHoldMs ?? Number.POSITIVE_INFINITY, policy.maxHoldMs ?? Number.POSITIVE_INFINITY),
    metadata: operation.metadata,
    requestId: operation.requestId,
    queuedAtMs: nowMs,
    contended: false,
  };
  const open = lock.hasRoomFor(operation.mode) && isNextInLine(state, lock, operation.mode, nowMs);
  if (open && mayGrantAtOnce(state, session, lock, request)) {
    grant(state, lock, session, request, [operation.ref], nowMs);
    return;
  }
  const tryLock = operation.timeoutMs === 0;
  if (tryLock && !open) {
    refuseHeld(state, session, operation.ref, lock, nowMs);
    return;
  }
  if (tryLock && state.shard.inGrace && lock.durable === undefined) {
    const retryAfterMs = Math.max(1, state.shard.graceEnd.dueAtMs - nowMs);
    state.refuse(session.id, operation.ref, 'UNAVAILABLE', { reason: 'grace', retryAfterMs });
    return;
  }
  if (tryLock && lock.durable !== undefined) {
    const refusing = isRefusing(lock);
    if (refusing)
      state.refuse(session.id, operation.ref, 'UNAVAILABLE', {
        reason: 'storeRefused',
        retryAfterMs: Math.max(1, lock.durable.dueAtMs - nowMs),
      });
    else
      state.refuseFor(session.id, operation.ref, 'QUEUE_FULL', lock.key, {
        what: 'holders of this lock',
        limit: LIMITS.durableHoldersMax,
      });
    return;
  }
  queue(state, session, operation, lock, policy, request, !open, nowMs);
}

function mayGrantAtOnce(state: EngineState, session: Session, lock: LockState, request: GrantRequest): boolean {
  if (lock.durable !== undefined) return !isRefusing(lock) && lock.holds.size < LIMITS.durableHoldersMax;
  return mayGrantFromMemory(state, session, request.ttlMs);
}

/** Whether nobody who was heard lately stands before a new request of this mode. */
function isNextInLine(state: EngineState, lock: LockState, mode: 'exclusive' | 'shared', nowMs: number): boolean {
  if (lock.waiterCount === 0) return true;
  if (firstHeard(state, lock.writers, nowMs) !== undefined) return false;
  return mode === 'shared' || firstHeard(state, lock.readers, nowMs) === undefined;
}

function queue(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  lock: LockState,
  policy: LockPolicy,
  request: ConstructorParameters<typeof Waiter>[2],
  contended: boolean,
  nowMs: number,
): void {
  // One request may always wait for a record that is being written; that is no queue.
  if (lock.waiterCount >= Math.max(policy.maxWaiters, contended ? 0 : 1)) {
    state.refuseFor(session.id, operation.ref, 'QUEUE_FULL', lock.key, {
      what: 'waiters of this lock',
      limit: policy.maxWaiters,
      retryAfterMs: 1_000,
    });
    return;
  }
  if (session.waiters.size >= LIMITS.waitersPerSessionMax) {
    state.refuseFor(session.id, operation.ref, 'QUEUE_FULL', lock.key, {
      what: 'waiters of this session',
      limit: LIMITS.waitersPerSessionMax,
      retryAfterMs: 1_000,
    });
    return;
  }
  const waiter = new Waiter(lock, session, request, [operation.ref], nowMs, ++state.sequence, contended);
  state.addWaiter(waiter);
  if (operation.requestId !== undefined) session.requests.remember(operation.requestId, lock.key, waiter);
  if (operation.timeoutMs > 0) state.deadlines.set(waiter, nowMs + operation.timeoutMs);
  if (contended) state.audit({ type: 'queued', key: lock.key, ownerId: waiter.ownerId, mode: waiter.mode });
  promote(state, lock, nowMs);
  // A try-lock that only waits for the shard's record is not in anybody's way and hears of no position.
  if (session.waiters.get(operation.ref) !== waiter) return;
  if (operation.timeoutMs !== 0)
    state.reply(session.id, { kind: 'queued', ref: operation.ref, position: lock.waiterCount });
  findDeadlock(state, waiter, nowMs);
}

function refuseHeld(state: EngineState, session: Session, ref: number, lock: LockState, nowMs: number): void {
  const holders = [];
  for (const hold of lock.holds) {
    if (holders.length === 3) break;
    holders.push({ ownerId: hold.ownerId, mode: hold.mode, heldForMs: Math.round(nowMs - hold.grantedAtMs) });
  }
  state.refuseFor(session.id, ref, 'LOCK_HELD', lock.key, {
    holders,
    holderCount: lock.holds.size,
    waiterCount: lock.waiterCount,
  });
}
