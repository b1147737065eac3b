import type { ForceReleaseOperation } from '../api/operations.ts';
import { markDirty, takeDurableToken } from './durable.ts';
import { endHold } from './ending.ts';
import { settle } from './grant.ts';
import type { LockState } from './lock.ts';
import type { Session } from './session.ts';
import { revokeAfterRecord, takeMemoryToken } from './shard-record.ts';
import type { EngineState } from './state.ts';

/**
 * Ends every hold of a lock against its holders' will. The counter grows, so that no guard that saw the next token takes the
 * old one; the answer, and the next grant, come after the end is on record. Waiters stay and are next.
 */
export function forceRelease(
  state: EngineState,
  session: Session,
  operation: ForceReleaseOperation,
  nowMs: number,
): void {
  const lock = state.locks.get(operation.key);
  if (lock === undefined && !state.isKnown(operation.key)) {
    state.refuseFor(session.id, operation.ref, 'LOCK_NOT_FOUND', operation.key);
  } else if (lock === undefined || lock.holds.size === 0) {
    state.reply(session.id, { kind: 'done', ref: operation.ref, ended: 0 });
  } else if (lock.durable !== undefined) {
    forceDurable(state, session, operation, lock, nowMs);
  } else {
    forceMemory(state, session, operation, lock);
  }
}

function forceDurable(
  state: EngineState,
  session: Session,
  operation: ForceReleaseOperation,
  lock: LockState,
  nowMs: number,
): void {
  const durable = lock.durable!;
  const holds = [...lock.holds];
  takeDurableToken(durable);
  for (const hold of holds) endHold(state, hold, 'forceReleased', nowMs, { by: operation.by, text: operation.reason });
  durable.acknowledgements.push({ kind: 'done', sessionId: session.id, ref: operation.ref, ended: holds.length });
  markDirty(state, lock);
  settle(state, lock, nowMs);
}

function forceMemory(state: EngineState, session: Session, operation: ForceReleaseOperation, lock: LockState): void {
  // A number of the block is spent; every hold has a lower one.
  const floor = takeMemoryToken(state);
  const accepted = revokeAfterRecord(state, {
    key: lock.key,
    session: undefined,
    floor,
    acknowledgement: { kind: 'done', sessionId: session.id, ref: operation.ref, ended: lock.holds.size },
    by: operation.by,
    text: operation.reason,
  });
  if (!accepted) {
    state.refuse(session.id, operation.ref, 'UNAVAILABLE', {
      reason: 'revocationsFull',
      retryAfterMs: state.shard.graceMs,
    });
    return;
  }
  for (const hold of lock.holds) hold.ending = true;
}
