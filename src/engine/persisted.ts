import type { PersistedCommand } from './commands.ts';
import { markDirty, retryLockWrite } from './durable.ts';
import { endHold } from './ending.ts';
import { isLastLanded, meetRecord } from './found-record.ts';
import { beginHold, holdReply, settle } from './grant.ts';
import type { Hold } from './hold.ts';
import type { DurableState, LockState, PendingDone, PendingExtension, WriteInFlight } from './lock.ts';
import { forgetUnnamedRequests, takePending } from './pending.ts';
import { answerExtension, refuseExtension } from './promise.ts';
import { refuseUnrecorded } from './refusals.ts';
import type { EngineState } from './state.ts';

const UNKNOWN_ATTEMPTS_MAX = 64;

/** The outcome of a lock's write: answers what the write carried. */
export function persistedLock(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  command: PersistedCommand,
  nowMs: number,
): void {
  const write = durable.inFlight;
  if (write === undefined || write.attempt !== command.attempt) return;
  durable.inFlight = undefined;
  durable.unwrittenEnds.unshift(...write.ends);
  if (command.outcome === 'ok') landed(state, durable, write, command.version, nowMs);
  else if (command.outcome === 'conflict') conflicted(state, lock, durable, write, command, nowMs);
  else if (command.outcome === 'unknown') unknown(state, lock, durable, write, nowMs);
  else rejected(state, lock, durable, write, command, nowMs);
  settle(state, lock, nowMs);
}

function landed(
  state: EngineState,
  durable: DurableState,
  write: WriteInFlight,
  version: string | undefined,
  nowMs: number,
): void {
  durable.version = version;
  durable.unwrittenEnds.splice(0, write.ends.length);
  durable.landedCounter = write.counter;
  durable.landedAttempt = write.attempt;
  durable.unknownAttempts = [];
  if (durable.refusals > 0) state.audit({ type: 'recordAccepted', key: durable.lock.key, text: undefined });
  durable.refusals = 0;
  // An end comes before the grant that it made room for.
  for (const acknowledgement of write.acknowledgements) {
    if (acknowledgement.kind === 'ended') state.audit(acknowledgement.event);
  }
  for (const hold of write.grants) {
    if (hold.ended) state.count('lateGrant');
    else tellGrant(state, hold, nowMs);
  }
  for (const acknowledgement of write.acknowledgements) {
    if (acknowledgement.kind !== 'ended') acknowledge(state, acknowledgement, nowMs);
  }
}

function tellGrant(state: EngineState, hold: Hold, nowMs: number): void {
  const pending = takePending(hold);
  beginHold(state, hold, nowMs);
  if (pending.length === 0) state.count('lateGrant');
  for (const { session, ref, depth } of pending) {
    if (depth > 1) state.audit({ type: 'reentered', key: hold.lock.key, token: hold.token, depth });
    state.reply(session.id, holdReply(state, hold, session, ref, depth, nowMs));
  }
}

function acknowledge(state: EngineState, acknowledgement: PendingDone | PendingExtension, nowMs: number): void {
  if (acknowledgement.kind === 'done') {
    state.reply(acknowledgement.sessionId, { kind: 'done', ref: acknowledgement.ref, ended: acknowledgement.ended });
    return;
  }
  const { hold, ttlMs } = acknowledgement;
  hold.recordedTtlMs = Math.max(hold.recordedTtlMs, ttlMs);
  answerExtension(state, acknowledgement, nowMs);
}

/**
 * Another version is there. One of our own earlier writes of unknown outcome: it landed, and ours goes on top of it. Anybody
 * else's: what it says is adopted, never overwritten unseen. A Lease that went backwards is a restored backup.
 */
function conflicted(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  write: WriteInFlight,
  command: PersistedCommand,
  nowMs: number,
): void {
  const { stored } = command;
  if (stored !== undefined && stored.record.attempt === write.attempt) {
    landed(state, durable, write, stored.version, nowMs);
    return;
  }
  state.count('writeConflict');
  if (command.damagedVersion !== undefined && !durable.hasLanded) {
    // Nothing of ours was ever there and it cannot be read: it may name holders. A person must decide.
    rejected(state, lock, durable, write, { ...command, unusable: true }, nowMs);
    return;
  }
  durable.version = stored?.version ?? command.damagedVersion;
  durable.acknowledgements = [...write.acknowledgements, ...durable.acknowledgements];
  markDirty(state, lock);
  if (stored === undefined) {
    // Deleted or edited by hand under us: what we remember is the truth, and the next write says so above every token seen.
    const type = command.damagedVersion === undefined ? 'recordDeleted' : 'recordEdited';
    if (durable.hasLanded) state.audit({ type, key: lock.key, text: command.message });
    return;
  }
  // Somebody touched the Lease, but our record on it is the one we wrote.
  if (!isLastLanded(durable, stored)) meetRecord(state, lock, durable, stored, nowMs);
}

/**
 * It may land still. Requests are told so; a grant that its client can find again by its request id stays, any other one ends.
 * The next write settles it: once that has landed, the unknown one cannot.
 */
function unknown(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  write: WriteInFlight,
  nowMs: number,
): void {
  state.count('writeUnknown');
  durable.unknownAttempts.push(write.attempt);
  if (durable.unknownAttempts.length > UNKNOWN_ATTEMPTS_MAX) durable.unknownAttempts.shift();
  for (const hold of write.grants) {
    if (hold.ended) continue;
    for (const { session, ref } of takePending(hold)) state.refuseFor(session.id, ref, 'OUTCOME_UNKNOWN', lock.key);
    forgetUnnamedRequests(hold);
    if (hold.depth === 0) endHold(state, hold, 'disowned', nowMs);
  }
  for (const acknowledgement of write.acknowledgements) {
    if (acknowledgement.kind !== 'extension') durable.acknowledgements.push(acknowledgement);
    else
      refuseExtension(acknowledgement, (ref) =>
        state.refuseFor(acknowledgement.session.id, ref, 'OUTCOME_UNKNOWN', lock.key),
      );
  }
  markDirty(state, lock);
  if (durable.unknownAttempts.length > 1) retryLockWrite(state, durable, nowMs);
}

function rejected(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  write: WriteInFlight,
  { message, unusable = false }: PersistedCommand,
  nowMs: number,
): void {
  state.count('writeRejected');
  durable.acknowledgements = [...write.acknowledgements, ...durable.acknowledgements];
  refuseWrites(state, lock, durable, { text: message, unusable }, nowMs);
}

/**
 * The lock cannot be written now, for sure: the store refuses, or the Lease is not ours to write (`unusable`). Whoever waits for
 * a write of this lock is told, and the lock tries again after a pause. A closed lock without Lease that nobody holds has nothing
 * left to write.
 */
export function refuseWrites(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  { text, unusable }: { readonly text: string | undefined; readonly unusable: boolean },
  nowMs: number,
): void {
  state.audit({ type: unusable ? 'recordUnusable' : 'recordRefused', key: lock.key, text });
  for (const hold of lock.holds) if (hold.state === 'granting') endHold(state, hold, 'storeRefused', nowMs);
  const { acknowledgements } = durable;
  durable.acknowledgements = [];
  for (const acknowledgement of acknowledgements) {
    if (acknowledgement.kind === 'ended') durable.acknowledgements.push(acknowledgement);
    else if (acknowledgement.kind === 'done') refuseUnrecorded(state, acknowledgement.sessionId, acknowledgement.ref);
    else refuseExtension(acknowledgement, (ref) => refuseUnrecorded(state, acknowledgement.session.id, ref));
  }
  const nothingLeft =
    lock.policy === undefined &&
    lock.isIdle &&
    durable.version === undefined &&
    durable.acknowledgements.length === 0 &&
    durable.unknownAttempts.length === 0;
  if (nothingLeft) durable.dirty = false;
  else retryLockWrite(state, durable, nowMs);
}
