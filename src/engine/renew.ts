import type { RenewOperation } from '../api/operations.ts';
import { LIMITS } from '../api/limits.ts';
import { promiseTime } from './acquire.ts';
import type { Hold } from './hold.ts';
import type { Session } from './session.ts';
import type { EngineState } from './state.ts';

/** Extends a hold; never moves its expiry earlier. A longer time than is on record is written before it is promised. */
export function renew(state: EngineState, session: Session, operation: RenewOperation, nowMs: number): void {
  const hold = state.findOwnHold(session, operation.key, operation.token, operation.ownerId);
  if (hold === undefined || hold.state === 'granting' || hold.contested) {
    refuseNotHeld(state, session, operation.ref, operation.key, operation.token);
    return;
  }
  if (hold.ending) {
    state.refuse(session.id, operation.ref, 'UNAVAILABLE', { reason: 'ending', retryAfterMs: 250 });
    return;
  }
  if (nowMs >= hold.maxHoldAtMs) {
    state.refuseFor(session.id, operation.ref, 'NOT_HELD', operation.key, {
      fencingToken: String(operation.token),
      reason: 'maxHold',
    });
    return;
  }
  const ttlMs = operation.ttlMs ?? hold.ttlMs;
  const maxMs = hold.lock.policy?.maxLeaseDurationMs ?? Math.max(hold.ttlMs, hold.recordedTtlMs);
  if (ttlMs > maxMs) {
    const problem = `ttlMs is ${ttlMs}, above the ${maxMs} that this lock allows; ask for less and renew`;
    state.refuse(session.id, operation.ref, 'INVALID_ARGUMENT', { field: 'ttlMs', problem });
    return;
  }
  attach(session, hold);
  promiseTime(state, session, hold, operation.ref, ttlMs, undefined, nowMs);
}

/** A hold follows the session of its principal that last spoke for it. */
export function attach(session: Session, hold: Hold): void {
  if (hold.session === session || session.holdCount >= LIMITS.holdsPerSessionMax) return;
  hold.session?.removeHold(hold);
  session.addHold(hold);
}

/** The one refusal for a token that is not held: it does not tell a stranger's token from an old one. */
export function refuseNotHeld(state: EngineState, session: Session, ref: number, key: string, token: number): void {
  if (!state.isKnown(key)) {
    state.refuseFor(session.id, ref, 'LOCK_NOT_FOUND', key);
    return;
  }
  state.refuseFor(session.id, ref, 'NOT_HELD', key, { fencingToken: String(token) });
}
