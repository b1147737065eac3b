import { LIMITS } from '../api/limits.ts';
import { policyNameOf } from '../api/lock-id.ts';
import type { AcquireOperation } from '../api/operations.ts';
import type { LockPolicy } from '../api/policies.ts';
import { findDeadlock } from './break-deadlock.ts';
import { isRefusing } from './durable.ts';
import { endHold } from './ending.ts';
import { firstHeard, grant, type GrantRequest, promote, settle } from './grant.ts';
import type { Hold } from './hold.ts';
import type { LockState } from './lock.ts';
import { awaitGrant } from './pending.ts';
import { promiseTime } from './promise.ts';
import { mayDeepen, mayWait, refuseHeld, refuseUnrecorded } from './refusals.ts';
import { repeat } from './repeat.ts';
import type { Session } from './session.ts';
import { mayGrantFromMemory } from './shard-record.ts';
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
  const problem = problemOf(operation, lock, policy);
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

function problemOf(
  operation: AcquireOperation,
  lock: LockState,
  policy: LockPolicy,
): { field: string; problem: string } | undefined {
  const { takesKey } = lock.rules;
  if (takesKey !== undefined && !takesKey(lock.key.slice(policyNameOf(lock.key).length + 1))) {
    return { field: 'lockId', problem: `this pool takes only keys that match ${policy.keyPattern}` };
  }
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

/** Joins the owner's hold if the rules allow it; false if the request must stand in line like any other. */
function joinOwnHold(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  own: Hold,
  policy: LockPolicy,
  nowMs: number,
): boolean {
  const { ref, requestId } = operation;
  if (own.state === 'adopted') {
    // Its session has declared everything it has, and not this one: a new ownership, in the same write. Unless somebody renewed
    // it, and so was promised its time.
    if (session.reclaimComplete && own.session === undefined) endHold(state, own, 'disowned', nowMs);
    return false;
  }
  if (own.contested || own.ending) return false;
  if (operation.mode === 'exclusive' && own.mode === 'shared') {
    state.refuseFor(session.id, ref, 'DEADLOCK', operation.key, { reason: 'upgrade' });
    return true;
  }
  // What reached its longest life ends with the next tick: to join it would be a grant that is over already.
  if (!policy.reentrant || nowMs >= own.maxHoldAtMs) return false;
  if (!mayDeepen(state, session, ref, own)) return true;
  if (own.state === 'held') {
    promiseTime(state, session, own, ref, operation.ttlMs ?? own.ttlMs, { requestId }, nowMs);
  } else if (mayWait(state, session, ref, operation.key)) {
    // The write in flight carries the first request's time to live; the answer states it, and a renewal may ask for more.
    own.depth++;
    awaitGrant(own, session, ref, own.depth);
    if (requestId !== undefined) session.requests.rememberHold(requestId, own, own.depth);
  }
  return true;
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
    if (lock.durable === undefined || mayWait(state, session, operation.ref, lock.key))
      grant(state, lock, session, request, [operation.ref], nowMs);
    return;
  }
  if (operation.timeoutMs === 0 && refuseTryLock(state, session, operation.ref, lock, open, nowMs)) return;
  queue(state, session, operation, lock, policy, request, !open, nowMs);
}

function mayGrantAtOnce(state: EngineState, session: Session, lock: LockState, request: GrantRequest): boolean {
  if (lock.durable !== undefined) return !isRefusing(lock) && lock.holds.size < LIMITS.durableHoldersMax;
  return mayGrantFromMemory(state, session, request.ttlMs);
}

/** A try-lock waits for nobody. False if only a write of the shard's record is missing: for that it may wait. */
function refuseTryLock(
  state: EngineState,
  session: Session,
  ref: number,
  lock: LockState,
  open: boolean,
  nowMs: number,
): boolean {
  if (!open) {
    refuseHeld(state, session, ref, lock, nowMs);
  } else if (lock.durable !== undefined && isRefusing(lock)) {
    refuseUnrecorded(state, session.id, ref, Math.max(1, lock.durable.dueAtMs - nowMs));
  } else if (lock.durable !== undefined) {
    state.refuseFor(session.id, ref, 'QUEUE_FULL', lock.key, {
      what: 'holders of this lock',
      limit: LIMITS.durableHoldersMax,
    });
  } else if (state.shard.inGrace) {
    const retryAfterMs = Math.max(1, state.shard.graceEnd.dueAtMs - nowMs);
    state.refuse(session.id, ref, 'UNAVAILABLE', { reason: 'grace', retryAfterMs });
  } else {
    return false;
  }
  return true;
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
  if (!mayWait(state, session, operation.ref, lock.key)) return;
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
