import { type EndReason, isAbnormalEnd } from '../api/vocabulary.ts';
import { markDirty } from './durable.ts';
import type { EndedEvent } from './effects.ts';
import type { Hold } from './hold.ts';
import { LockDelay } from './lock.ts';
import { takePending } from './pending.ts';
import { refuseUnrecorded } from './refusals.ts';
import type { Session } from './session.ts';
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
  if (hold.requests !== undefined) endRequests(hold, reason);
  if (hold.pending !== undefined)
    for (const { session: asking, ref } of takePending(hold)) refusePending(state, hold, asking, ref, reason);
  if (session !== undefined) {
    session.removeHold(hold);
    state.forgetIfGone(session);
  }
  if (acknowledged) lock.durable?.unwrittenEnds.push(hold.token);
  else state.count('foldedGrant');
  markDirty(state, lock);
  const event: EndedEvent = {
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
  };
  // Written first, told then: after a crash in between the holder has what it had.
  if (acknowledged && lock.durable !== undefined && (reason === 'forceReleased' || reason === 'orphaned'))
    lock.durable.acknowledgements.push({ kind: 'ended', event });
  else state.audit(event);
}

/** A released request is remembered a while; any other one may be asked again from nothing. */
function endRequests(hold: Hold, reason: EndReason): void {
  for (let entry = hold.requests; entry !== undefined; entry = hold.requests) {
    hold.requests = entry.previous;
    if (reason === 'released') entry.memory.released(entry);
    else entry.memory.forget(entry.requestId);
  }
}

function refusePending(state: EngineState, hold: Hold, session: Session, ref: number, reason: EndReason): void {
  if (reason === 'storeRefused') refuseUnrecorded(state, session.id, ref);
  else if (reason === 'conflict') state.refuse(session.id, ref, 'UNAVAILABLE', { reason, retryAfterMs: 250 });
  else state.refuseFor(session.id, ref, 'NOT_HELD', hold.lock.key, { reason });
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
