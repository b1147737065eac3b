import type { RenewOperation } from '../api/operations.ts';
import { promiseTime } from './promise.ts';
import { refuseEnding, refuseNotHeld } from './refusals.ts';
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
    refuseEnding(state, session, operation.ref);
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
  // What it was promised before an edit of the policy it may have again.
  const maxMs = Math.max(hold.lock.policy?.maxLeaseDurationMs ?? 0, hold.ttlMs, hold.recordedTtlMs);
  if (ttlMs > maxMs) {
    const problem = `ttlMs is ${ttlMs}, above the ${maxMs} that this lock allows; ask for less and renew`;
    state.refuse(session.id, operation.ref, 'INVALID_ARGUMENT', { field: 'ttlMs', problem });
    return;
  }
  promiseTime(state, session, hold, operation.ref, ttlMs, undefined, nowMs);
}
