import { type EndReason, isAbnormalEnd } from '../api/vocabulary.ts';
import { markDirty } from './durable.ts';
import type { Hold } from './hold.ts';
import { LockDelay } from './lock.ts';
import type { EngineState } from './state.ts';

/** Who ended a hold against its holder's will, and why, for the audit and for the holder. */
export interface EndCause {
  readonly by: string;
  readonly text: string;
}

/**
 * Ends a hold. After an abnormal end its place stays empty for the lock delay. A grant that was never told is answered with
 * its end. The caller settles the lock afterwards.
 */
export function endHold(state: EngineState, hold: Hold, reason: EndReason, nowMs: number, cause?: EndCause): void {
  if (hold.ended) return;
  hold.ended = true;
  const { lock, session } = hold;
  const acknowledged = hold.state !== 'granting';
  lock.holds.remove(hold);
  state.deadlines.remove(hold);
  state.holdCount--;
  const lockDelayMs = lock.policy?.lockDelayMs ?? 0;
  if (acknowledged && lockDelayMs > 0 && isAbnormalEnd(reason)) delayNextGrant(state, hold, lockDelayMs, nowMs);
  else lock.vacate(hold.mode);
  if (hold.requestIds !== undefined && session !== undefined) {
    for (const requestId of hold.requestIds) {
      if (reason === 'released') session.requests.released(requestId);
      else session.requests.forget(requestId);
    }
  }
  if (session !== undefined) {
    session.removeHold(hold);
    for (const { ref } of hold.pending ?? []) refusePending(state, hold, session.id, ref, reason);
    state.forgetIfGone(session);
  }
  if (!acknowledged) state.count('foldedGrant');
  hold.pending = undefined;
  markDirty(state, lock);
  state.audit({
    type: 'ended',
    key: lock.key,
    principal: hold.principal,
    ownerId: hold.ownerId,
    mode: hold.mode,
    token: hold.token,
    reason,
    by: cause?.by,
    text: cause?.text,
    heldForMs: acknowledged ? nowMs - hold.grantedAtMs : 0,
    sessionId: session?.id ?? 0,
    acknowledged,
  });
}

function refusePending(state: EngineState, hold: Hold, sessionId: number, ref: number, reason: EndReason): void {
  if (reason === 'storeRefused') state.refuseFor(sessionId, ref, 'UNAVAILABLE', hold.lock.key, { reason });
  else state.refuseFor(sessionId, ref, 'NOT_HELD', hold.lock.key, { reason });
}

function delayNextGrant(state: EngineState, hold: Hold, lockDelayMs: number, nowMs: number): void {
  const { lock } = hold;
  const delay = new LockDelay(lock, hold.mode, lockDelayMs);
  lock.lockDelays ??= [];
  lock.lockDelays.push(delay);
  state.deadlines.set(delay, nowMs + lockDelayMs);
  state.count('lockDelay');
}

/** The pause after an abnormal loss is over: the place is free. The caller settles the lock. */
export function endLockDelay(state: EngineState, delay: LockDelay): void {
  const { lock } = delay;
  state.deadlines.remove(delay);
  const others = lock.lockDelays?.filter((other) => other !== delay) ?? [];
  lock.lockDelays = others.length === 0 ? undefined : others;
  lock.vacate(delay.mode);
  markDirty(state, lock);
}
