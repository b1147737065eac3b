import { LIMITS } from '../api/limits.ts';
import type { Hold } from './hold.ts';
import type { LockState } from './lock.ts';
import type { Session } from './session.ts';
import type { EngineState } from './state.ts';

/** Holders named by a refusal; the count beside them is exact. */
const HOLDERS_NAMED = 3;

/** Somebody else holds the lock, or stands in line for it. */
export function refuseHeld(state: EngineState, session: Session, ref: number, lock: LockState, nowMs: number): void {
  const holders = [];
  for (const hold of lock.holds) {
    if (holders.length === HOLDERS_NAMED) break;
    holders.push({ ownerId: hold.ownerId, mode: hold.mode, heldForMs: Math.round(nowMs - hold.grantedAtMs) });
  }
  state.refuseFor(session.id, ref, 'LOCK_HELD', lock.key, {
    holders,
    holderCount: lock.holds.size,
    waiterCount: lock.waiterCount,
    ...(lock.lockDelays === undefined ? {} : { lockDelayRemainingMs: lockDelayRemainingMs(lock, nowMs) }),
  });
}

/** Time until the place of an abnormally lost hold is granted again; 0 if none is kept empty. */
export function lockDelayRemainingMs(lock: LockState, nowMs: number): number {
  return Math.max(0, ...(lock.lockDelays?.map((delay) => Math.round(delay.dueAtMs - nowMs)) ?? []));
}

/** The one refusal for a token that is not held: it does not tell a stranger's token from an old one. */
export function refuseNotHeld(state: EngineState, session: Session, ref: number, key: string, token: number): void {
  if (!state.isKnown(key)) {
    state.refuseFor(session.id, ref, 'LOCK_NOT_FOUND', key);
    return;
  }
  state.refuseFor(session.id, ref, 'NOT_HELD', key, { fencingToken: String(token) });
}

/** A forced end of this hold is being recorded: soon the answer is known. */
export function refuseEnding(state: EngineState, session: Session, ref: number): void {
  state.refuse(session.id, ref, 'UNAVAILABLE', { reason: 'ending', retryAfterMs: 250 });
}

/** The store refused the record on which this request depends. */
export function refuseUnrecorded(state: EngineState, sessionId: number, ref: number, retryAfterMs = 1_000): void {
  state.refuse(sessionId, ref, 'UNAVAILABLE', { reason: 'storeRefused', retryAfterMs });
}

/**
 * Whether one more request of the session may wait under this `ref`; refuses it otherwise. A second request under a `ref` that
 * still waits would make the first one unreachable.
 */
export function mayWait(state: EngineState, session: Session, ref: number, key: string): boolean {
  if (session.waiters.has(ref) || session.pending.has(ref)) {
    const problem = 'this ref still waits for its answer; number every operation anew';
    state.refuse(session.id, ref, 'INVALID_ARGUMENT', { field: 'ref', problem });
    return false;
  }
  if (session.waiters.size + session.pending.size < LIMITS.waitersPerSessionMax) return true;
  state.refuseFor(session.id, ref, 'QUEUE_FULL', key, {
    what: 'waiters of this session',
    limit: LIMITS.waitersPerSessionMax,
    retryAfterMs: 1_000,
  });
  return false;
}

/** Whether one more repetition of a request that waits may wait with it; refuses it otherwise. */
export function mayRepeat(state: EngineState, session: Session, ref: number, key: string, waiting: number): boolean {
  if (waiting < LIMITS.retriesPerWaiterMax) return mayWait(state, session, ref, key);
  state.refuseFor(session.id, ref, 'QUEUE_FULL', key, {
    what: 'repeated requests',
    limit: LIMITS.retriesPerWaiterMax,
  });
  return false;
}

/** Whether the hold may take one more depth; refuses the request otherwise. */
export function mayDeepen(state: EngineState, session: Session, ref: number, hold: Hold): boolean {
  if (hold.depth < LIMITS.depthMax) return true;
  state.refuseFor(session.id, ref, 'QUEUE_FULL', hold.lock.key, {
    what: 're-entrant acquires of one hold',
    limit: LIMITS.depthMax,
  });
  return false;
}
