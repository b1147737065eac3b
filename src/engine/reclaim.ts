import type { ReclaimOperation } from '../api/operations.ts';
import { holdReply, notePromiseOf } from './grant.ts';
import { Hold } from './hold.ts';
import { LockState } from './lock.ts';
import { lockKindOf } from '../api/lock-id.ts';
import { attach } from './promise.ts';
import { refuseEnding } from './refusals.ts';
import type { Session } from './session.ts';
import { recordSession } from './shard-record.ts';
import type { EngineState } from './state.ts';

/**
 * A session declares a hold to a new owner. A durable one must be on record, from the same principal; a memory one must come
 * within grace, from a session whose slot is on record, with a token below the recorded counter and above every revocation.
 * Depth and metadata are the session's to declare. Of two claims of one key nobody's time is extended: both run out.
 */
export function reclaim(state: EngineState, session: Session, operation: ReclaimOperation, nowMs: number): void {
  const known = state.locks.get(operation.key);
  const hold = known?.holds.byToken(operation.token);
  if (hold !== undefined) {
    if (
      hold.state === 'granting' ||
      hold.contested ||
      !hold.isOwnedBy(session.principal, operation.ownerId) ||
      hold.mode !== operation.mode
    ) {
      refuse(state, session, operation, 'the record names another holder');
      return;
    }
    if (hold.ending) {
      refuseEnding(state, session, operation.ref);
      return;
    }
    if (known?.durable === undefined && !session.recorded) {
      // A memory hold may move only to a session that a next owner would wait for.
      recordSession(state, session);
      state.refuse(session.id, operation.ref, 'UNAVAILABLE', { reason: 'recording', retryAfterMs: 250 });
      return;
    }
    accept(state, session, operation, hold, nowMs);
    return;
  }
  const isDurable = lockKindOf(operation.key) === 'lock';
  const problem = isDurable ? 'this hold is not on record' : memoryProblem(state, session, operation);
  if (problem === undefined) reclaimMemory(state, session, operation, known, nowMs);
  else refuse(state, session, operation, problem);
}

function memoryProblem(state: EngineState, session: Session, operation: ReclaimOperation): string | undefined {
  const { shard } = state;
  if (!shard.inGrace) return 'the grace for reclaims is over';
  if (!session.mayReclaim) return 'this session was not on record';
  if (operation.token > shard.inheritedCounter) return 'this token was never given out';
  if (shard.isRevoked(operation.key, operation.token)) return 'this hold was ended by force';
  return undefined;
}

function reclaimMemory(
  state: EngineState,
  session: Session,
  operation: ReclaimOperation,
  known: LockState | undefined,
  nowMs: number,
): void {
  const lock = known ?? openForReclaim(state, operation.key);
  const fits = lock.hasRoomFor(operation.mode);
  const ttlMs = Math.min(operation.ttlMs, state.shard.graceMs);
  const hold = new Hold(
    lock,
    session,
    session.principal,
    operation.ownerId,
    operation.mode,
    operation.token,
    'held',
    ttlMs,
    nowMs,
  );
  hold.restartLife(lock.policy?.maxHoldMs, nowMs);
  if (!fits) {
    for (const other of lock.holds) other.contested = true;
    hold.contested = true;
  }
  lock.holds.add(hold);
  lock.occupy(operation.mode);
  lock.lastPhase = operation.mode;
  session.addHold(hold);
  state.holdCount++;
  // Its holder may rely on an earlier and longer promise than its last one: that ends with the grace at the latest.
  const dueAtMs = Math.min(Math.max(nowMs + ttlMs, state.shard.graceEnd.dueAtMs), hold.maxHoldAtMs);
  hold.deferredMs = dueAtMs - nowMs - ttlMs;
  state.deadlines.set(hold, dueAtMs);
  notePromiseOf(state, hold);
  if (fits) accept(state, session, operation, hold, nowMs);
  else refuse(state, session, operation, 'another session claims the same lock');
}

/** Holds live on after their pool is gone, so a claim of one opens its key without rules. */
function openForReclaim(state: EngineState, key: string): LockState {
  const lock = new LockState(key, 'pool', state.rulesForClaim(key));
  state.locks.set(key, lock);
  return lock;
}

/** A request that was answered is in the declared depth; one that was not is asked again, and then makes its own. */
function forgetRequests(hold: Hold): void {
  for (let entry = hold.requests; entry !== undefined; entry = entry.previous) entry.memory.forget(entry.requestId);
  hold.requests = undefined;
}

function accept(state: EngineState, session: Session, operation: ReclaimOperation, hold: Hold, nowMs: number): void {
  hold.state = 'held';
  hold.depth = operation.depth;
  forgetRequests(hold);
  hold.metadata = operation.metadata;
  attach(state, session, hold);
  state.count('reclaimAccepted');
  state.audit({
    type: 'reclaimed',
    key: operation.key,
    principal: hold.principal,
    ownerId: hold.ownerId,
    token: hold.token,
    why: undefined,
  });
  state.reply(session.id, holdReply(state, hold, session, operation.ref, hold.depth, nowMs));
}

function refuse(state: EngineState, session: Session, operation: ReclaimOperation, why: string): void {
  state.count('reclaimRefused');
  state.audit({
    type: 'reclaimRefused',
    key: operation.key,
    principal: session.principal,
    ownerId: operation.ownerId,
    token: operation.token,
    why,
  });
  state.refuseFor(session.id, operation.ref, 'NOT_HELD', operation.key, {
    fencingToken: String(operation.token),
    reason: why,
  });
}
