import type { ReleaseOperation } from '../api/operations.ts';
import { endHold } from './ending.ts';
import { settle } from './grant.ts';
import type { Hold } from './hold.ts';
import { refuseNotHeld } from './refusals.ts';
import type { Session } from './session.ts';
import type { EngineState } from './state.ts';

/**
 * Gives back one depth; at the last one the lock is free. The holder's own release is answered at once and its write follows:
 * a crash between costs the next owner one time to live, never safety.
 */
export function release(state: EngineState, session: Session, operation: ReleaseOperation, nowMs: number): void {
  const hold = state.findOwnHold(session, operation.key, operation.token, operation.ownerId);
  if (hold === undefined || hold.state === 'granting') {
    refuseNotHeld(state, session, operation.ref, operation.key, operation.token);
    return;
  }
  if (hold.state === 'adopted') {
    // Its depth is not on record: to end it here could free the lock under an outer section.
    state.refuse(session.id, operation.ref, 'UNAVAILABLE', {
      reason: 'unclaimed',
      // The claim comes with the session's first frames.
      retryAfterMs: Math.min(1_000, Math.max(250, hold.dueAtMs - nowMs)),
    });
    return;
  }
  if (operation.disowned === true) {
    state.count('lateGrant');
    endHold(state, hold, 'disowned', nowMs);
    state.reply(session.id, { kind: 'released', ref: operation.ref, depth: 0 });
    settle(state, hold.lock, nowMs);
    return;
  }
  const leaveDepth = operation.leaveDepth ?? hold.depth - 1;
  if (leaveDepth < hold.depth) hold.depth = leaveDepth;
  state.reply(session.id, { kind: 'released', ref: operation.ref, depth: hold.depth });
  if (hold.depth > 0) {
    forgetInnerRequests(hold);
    return;
  }
  endHold(state, hold, 'released', nowMs);
  settle(state, hold.lock, nowMs);
}

/** Requests whose depth was given back: they are as released as a whole hold's, so that a long hold does not collect them. */
function forgetInnerRequests(hold: Hold): void {
  for (let entry = hold.requests; entry !== undefined && entry.depth > hold.depth; entry = hold.requests) {
    hold.requests = entry.previous;
    entry.memory.released(entry);
  }
}
