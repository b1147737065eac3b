import type { ForceReleaseOperation } from '../api/operations.ts';
import { isUnsettled, markDirty, takeDurableToken } from './durable.ts';
import { endHold } from './ending.ts';
import { settle } from './grant.ts';
import type { DurableState, LockState } from './lock.ts';
import type { Session } from './session.ts';
import { revokeAfterRecord, takeMemoryToken } from './shard-record.ts';
import type { EngineState } from './state.ts';

/**
 * Ends every hold of a lock against its holders' will. The counter grows, so that no guard that saw the next token takes the
 * old one; the answer, and the next grant, come after the end is on record. Waiters stay and are next. Where nobody holds but
 * the record may still name somebody (an end not yet written, a pool key whose holder has not reclaimed it), the answer waits
 * for the record all the same.
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
  } else if (lock?.durable !== undefined && (lock.holds.size > 0 || isUnsettled(lock.durable))) {
    forceDurable(state, session, operation, lock, lock.durable, nowMs);
  } else if (lock?.durable === undefined && ((lock?.holds.size ?? 0) > 0 || state.shard.inGrace)) {
    forceMemory(state, session, operation, lock, nowMs);
  } else {
    state.reply(session.id, { kind: 'done', ref: operation.ref, ended: 0 });
  }
}

function forceDurable(
  state: EngineState,
  session: Session,
  operation: ForceReleaseOperation,
  lock: LockState,
  durable: DurableState,
  nowMs: number,
): void {
  const holds = [...lock.holds];
  takeDurableToken(durable);
  for (const hold of holds) endHold(state, hold, 'forceReleased', nowMs, { by: operation.by, text: operation.reason });
  durable.acknowledgements.push({ kind: 'done', sessionId: session.id, ref: operation.ref, ended: holds.length });
  markDirty(state, lock);
  settle(state, lock, nowMs);
}

function forceMemory(
  state: EngineState,
  session: Session,
  operation: ForceReleaseOperation,
  lock: LockState | undefined,
  nowMs: number,
): void {
  const revocation = {
    key: operation.key,
    session: undefined,
    // A number of the block is spent; every hold has a lower one.
    floor: takeMemoryToken(state),
    acknowledgement: { kind: 'done', sessionId: session.id, ref: operation.ref, ended: 0 } as const,
    by: operation.by,
    text: operation.reason,
  };
  if (!revokeAfterRecord(state, revocation, nowMs)) {
    state.refuse(session.id, operation.ref, 'UNAVAILABLE', {
      reason: 'revocationsFull',
      retryAfterMs: state.shard.graceMs,
    });
    return;
  }
  for (const hold of lock?.holds ?? []) hold.ending = true;
}
