import type { AcquireOperation } from '../api/operations.ts';
import { holdReply, unpark } from './grant.ts';
import { Hold } from './hold.ts';
import { awaitGrant } from './pending.ts';
import { mayRepeat, refuseEnding, refuseHeld } from './refusals.ts';
import type { RequestEntry, Session } from './session.ts';
import type { EngineState } from './state.ts';
import { Waiter } from './waiter.ts';

/** A repeated request is answered from what its first one led to; it never makes a second hold or a second depth. */
export function repeat(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  entry: RequestEntry,
  nowMs: number,
): void {
  state.count('idempotentReply');
  const { target } = entry;
  const { key, ref } = operation;
  if (entry.key !== key) {
    const problem = 'this requestId was used for another lock; use a fresh one for every request';
    state.refuse(session.id, ref, 'INVALID_ARGUMENT', { field: 'requestId', problem });
  } else if (target === undefined) {
    state.refuseFor(session.id, ref, 'NOT_HELD', key, { reason: 'released' });
  } else if (target instanceof Hold) {
    repeatForHold(state, session, ref, target, entry.depth, nowMs);
  } else if (target instanceof Waiter) {
    repeatForWaiter(state, session, operation, target, nowMs);
  } else if (mayRepeat(state, session, ref, key, target.refs.length)) {
    target.refs.push(ref);
    session.pending.set(ref, target);
  }
}

function repeatForHold(
  state: EngineState,
  session: Session,
  ref: number,
  hold: Hold,
  depth: number,
  nowMs: number,
): void {
  if (hold.state === 'granting') {
    const waiting = hold.pending?.filter((reply) => reply.depth === depth).length ?? 0;
    if (mayRepeat(state, session, ref, hold.lock.key, waiting)) awaitGrant(hold, session, ref, depth);
  } else if (hold.ending || hold.contested) {
    refuseEnding(state, session, ref);
  } else {
    state.reply(session.id, holdReply(state, hold, session, ref, depth, nowMs));
  }
}

function repeatForWaiter(
  state: EngineState,
  session: Session,
  operation: AcquireOperation,
  waiter: Waiter,
  nowMs: number,
): void {
  const { ref, timeoutMs } = operation;
  if (timeoutMs === 0 && !waiter.lock.stalled) {
    refuseHeld(state, session, ref, waiter.lock, nowMs);
    return;
  }
  if (!mayRepeat(state, session, ref, waiter.lock.key, waiter.refs.length)) return;
  const dueAtMs = timeoutMs < 0 ? Number.POSITIVE_INFINITY : nowMs + timeoutMs;
  // A waiter that moved here and is asked for the first time takes the new wait; any other one keeps the longer of the two.
  const isLonger = waiter.heapIndex !== -1 && dueAtMs > waiter.dueAtMs;
  if (waiter.refs.length === 0 || isLonger) state.deadlines.set(waiter, dueAtMs);
  waiter.refs.push(ref);
  session.waiters.set(ref, waiter);
  state.reply(session.id, { kind: 'queued', ref, position: waiter.lock.waiterCount });
  if (waiter.parked) unpark(state, session, nowMs);
}
