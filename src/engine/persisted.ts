import { tellExtension } from './acquire.ts';
import type { PersistedCommand } from './commands.ts';
import { adoptHolders } from './adopt.ts';
import { markDirty, retryLockWrite } from './durable.ts';
import { endHold } from './ending.ts';
import { beginHold, holdReply, settle } from './grant.ts';
import type { Hold } from './hold.ts';
import type { DurableState, LockState, PendingAcknowledgement, PendingExtension, WriteInFlight } from './lock.ts';
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
  if (command.outcome === 'ok') landed(state, lock, durable, write, command.version, nowMs);
  else if (command.outcome === 'conflict') conflicted(state, lock, durable, write, command, nowMs);
  else if (command.outcome === 'unknown') unknown(state, lock, durable, write, nowMs);
  else rejected(state, lock, durable, write, command.message, nowMs);
  settle(state, lock, nowMs);
}

function landed(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  write: WriteInFlight,
  version: string | undefined,
  nowMs: number,
): void {
  durable.version = version;
  durable.landedCounter = write.counter;
  durable.unknownAttempts = [];
  durable.refusals = 0;
  for (const hold of write.grants) {
    if (hold.ended) state.count('lateGrant');
    else tellGrant(state, hold, nowMs);
  }
  for (const acknowledgement of write.acknowledgements) acknowledge(state, lock, acknowledgement, nowMs);
}

function tellGrant(state: EngineState, hold: Hold, nowMs: number): void {
  const pending = hold.pending ?? [];
  hold.pending = undefined;
  beginHold(state, hold, nowMs);
  if (pending.length === 0) state.count('lateGrant');
  for (const { ref, depth } of pending) state.reply(hold.session?.id ?? 0, holdReply(state, hold, ref, depth, nowMs));
}

function acknowledge(
  state: EngineState,
  lock: LockState,
  acknowledgement: PendingAcknowledgement,
  nowMs: number,
): void {
  if (acknowledgement.kind === 'done') {
    state.reply(acknowledgement.sessionId, { kind: 'done', ref: acknowledgement.ref, ended: acknowledgement.ended });
    return;
  }
  const { hold, ttlMs } = acknowledgement;
  hold.recordedTtlMs = Math.max(hold.recordedTtlMs, ttlMs);
  answerExtension(state, lock, acknowledgement, nowMs);
}

/** The record covers the promise now; if the hold has ended meanwhile, that is the answer. */
export function answerExtension(state: EngineState, lock: LockState, extension: PendingExtension, nowMs: number): void {
  const { hold, sessionId, ref, ttlMs, reentry } = extension;
  if (hold.ended || hold.contested)
    state.refuseFor(sessionId, ref, 'NOT_HELD', lock.key, { fencingToken: String(hold.token) });
  else if (hold.ending) state.refuse(sessionId, ref, 'UNAVAILABLE', { reason: 'ending', retryAfterMs: 250 });
  else tellExtension(state, sessionId, hold, ref, ttlMs, reentry, nowMs);
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
    landed(state, lock, durable, write, stored.version, nowMs);
    return;
  }
  state.count('writeConflict');
  if (command.damagedVersion !== undefined && !durable.hasLanded) {
    // Nothing of ours was ever there and it cannot be read: it may name holders. A person must decide.
    rejected(state, lock, durable, write, command.message, nowMs);
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
  if (durable.unknownAttempts.includes(stored.record.attempt)) {
    state.count('writeUnknownLanded');
    return;
  }
  if (stored.record.counter < durable.landedCounter) {
    state.frozen = true;
    state.effect({
      kind: 'regressed',
      key: lock.key,
      recordedCounter: stored.record.counter,
      seenCounter: durable.counter,
    });
    return;
  }
  state.audit({ type: 'recordEdited', key: lock.key, text: `attempt ${stored.record.attempt} is not ours` });
  durable.counter = Math.max(durable.counter, stored.record.counter);
  adoptHolders(state, lock, stored.record, nowMs);
  // What we had decided but told nobody gives way to what is recorded; its numbers are spent.
  for (const hold of write.grants) {
    if (lock.exclusiveCount + lock.sharedCount <= 1 || hold.ended) continue;
    if (overfull(lock)) endHold(state, hold, 'conflict', nowMs);
  }
}

function overfull(lock: LockState): boolean {
  if (lock.exclusiveCount > 0 && lock.sharedCount > 0) return true;
  return lock.exclusiveCount > (lock.policy?.permits ?? 1);
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
    for (const { ref } of hold.pending ?? []) state.refuseFor(hold.session?.id ?? 0, ref, 'OUTCOME_UNKNOWN', lock.key);
    hold.pending = undefined;
    if (hold.requestIds === undefined) endHold(state, hold, 'disowned', nowMs);
  }
  for (const acknowledgement of write.acknowledgements) {
    if (acknowledgement.kind === 'done') durable.acknowledgements.push(acknowledgement);
    else state.refuseFor(acknowledgement.sessionId, acknowledgement.ref, 'OUTCOME_UNKNOWN', lock.key);
  }
  markDirty(state, lock);
  if (durable.unknownAttempts.length > 1) retryLockWrite(state, durable, nowMs);
}

/** The store refuses for sure: whoever waited for this write is told, and the lock tries again after a pause. */
function rejected(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  write: WriteInFlight,
  message: string | undefined,
  nowMs: number,
): void {
  state.count('writeRejected');
  state.audit({ type: 'recordRefused', key: lock.key, text: message });
  for (const hold of write.grants) endHold(state, hold, 'storeRefused', nowMs);
  for (const { sessionId, ref } of write.acknowledgements)
    state.refuse(sessionId, ref, 'UNAVAILABLE', { reason: 'storeRefused', retryAfterMs: 1_000 });
  retryLockWrite(state, durable, nowMs);
}
