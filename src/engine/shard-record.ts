import { LIMITS, TOKEN_MAX } from '../api/limits.ts';
import type { LockState, PendingExtension } from './lock.ts';
import type { Session } from './session.ts';
import type { PendingRevocation, ShardState } from './shard.ts';
import type { EngineState } from './state.ts';

/** A grace up to this is never lowered: the next grant after an idle time would have to wait for it to be recorded again. */
const GRACE_KEPT_MS = 15_000;
/** First pause after a refused write of the shard's record, doubled up to the second. */
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 15_000;

/**
 * Whether a memory grant may be acknowledged now: the shard is out of grace, has a reserved token, and the record names the
 * session and a grace at least as long as the promise (what was promised is recorded first). If only the record is missing,
 * its write is asked for.
 */
export function mayGrantFromMemory(state: EngineState, session: Session, ttlMs: number): boolean {
  const { shard } = state;
  let allowed = !shard.inGrace;
  let wanted = false;
  if (shard.nextToken > shard.tokenLimit) {
    allowed = false;
    wanted = true;
  } else if (shard.tokenLimit - shard.nextToken < shard.tokenBlock / 2 && shard.inFlight === undefined) {
    wanted = true;
  }
  if (!session.recorded) {
    allowed = false;
    wanted = wantSession(shard, session) || wanted;
  }
  if (ttlMs > shard.graceMs) {
    allowed = false;
    wanted = shard.wantGrace(ttlMs) || wanted;
  }
  if (wanted) requestShardWrite(state);
  return allowed;
}

/** Next token for a memory grant; call only after `mayGrantFromMemory`. */
export function takeMemoryToken(state: EngineState): number {
  const token = state.shard.nextToken++;
  if (token > TOKEN_MAX) throw new Error('token space exhausted');
  return token;
}

/** A longer promise, or one to a session without a slot on record: told once the record says so. */
export function extendAfterRecord(state: EngineState, extension: PendingExtension): void {
  const { shard } = state;
  shard.wantGrace(extension.ttlMs);
  if (!extension.session.recorded) wantSession(shard, extension.session);
  shard.wantedExtensions.push(extension);
  requestShardWrite(state);
}

/** A session needs its slot on record before anything may be told to it. */
export function recordSession(state: EngineState, session: Session): void {
  if (wantSession(state.shard, session)) requestShardWrite(state);
}

/** A forced end of memory holds: done once the record forbids their reclaim. False if the record has no room. */
export function revokeAfterRecord(state: EngineState, revocation: PendingRevocation, nowMs: number): boolean {
  const { shard } = state;
  forgetOldRevocations(shard, nowMs);
  const kept = shard.revocations.length + shard.wantedRevocations.length + (shard.inFlight?.revocations.length ?? 0);
  if (kept >= LIMITS.revocationsPerShardMax) return false;
  shard.wantedRevocations.push(revocation);
  requestShardWrite(state);
  return true;
}

/** Whatever was promised before the forced end has run out by now: there is nothing left to claim. */
function forgetOldRevocations(shard: ShardState, nowMs: number): void {
  shard.revocations = shard.revocations.filter((revocation) => nowMs - revocation.recordedAtMs <= shard.graceMs);
}

/** Puts a lock aside until the record is written or the grace is over. */
export function stall(state: EngineState, lock: LockState): void {
  if (!lock.stalled) {
    lock.stalled = true;
    state.count('parkedForRecord');
  }
  state.shard.stalledLocks.add(lock);
}

/** What the lock waits for now is no record. */
export function unstall(state: EngineState, lock: LockState): void {
  lock.stalled = false;
  state.shard.stalledLocks.delete(lock);
}

function wantSession(shard: ShardState, session: Session): boolean {
  if (shard.wantedSessions.has(session) || shard.inFlight?.sessions.has(session) === true) return false;
  shard.wantedSessions.add(session);
  if (session.slot < 0) shard.wantedOverflow = true;
  return true;
}

/** Writes the record as it should be, now or as soon as the write in flight is settled. */
export function requestShardWrite(state: EngineState): void {
  const { shard } = state;
  if (shard.inFlight !== undefined || shard.recordRetry.heapIndex !== -1 || state.frozen) {
    shard.dirty = true;
    return;
  }
  shard.dirty = false;
  if (shard.wantedGraceMs < shard.graceMs) {
    // Promises made since the review asked for a lower grace count too. It binds from the moment its write is sent.
    shard.wantedGraceMs = Math.min(shard.graceMs, Math.max(shard.wantedGraceMs, shard.promisedMs));
    shard.graceMs = shard.wantedGraceMs;
  }
  const sessions = new Set<Session>();
  for (const session of shard.wantedSessions) if (isStillThere(session)) sessions.add(session);
  const attempt = shard.nextAttempt();
  shard.inFlight = {
    attempt,
    counter: counterToWrite(shard),
    graceMs: shard.wantedGraceMs,
    sessions,
    slotsOverflow: shard.slotsOverflow || shard.wantedOverflow,
    revocations: shard.wantedRevocations,
    extensions: shard.wantedExtensions,
  };
  shard.wantedSessions = new Set();
  shard.wantedRevocations = [];
  shard.wantedExtensions = [];
  const slots = slotsToWrite(shard, sessions, shard.inFlight.revocations);
  shard.droppedSlots.clear();
  state.effect({
    kind: 'persistShard',
    attempt,
    record: {
      epoch: shard.epoch,
      counter: shard.inFlight.counter,
      graceMs: shard.inFlight.graceMs,
      slots,
      slotsOverflow: shard.inFlight.slotsOverflow,
      revocations: [...shard.revocations, ...shard.inFlight.revocations].flatMap(({ key, floor }) =>
        key === undefined ? [] : [{ key, floor }],
      ),
      attempt,
    },
  });
}

function isStillThere(session: Session): boolean {
  return session.connected || session.holdCount > 0 || session.waiters.size > 0 || session.pending.size > 0;
}

/** A new block is reserved once half of the last one is spent. */
function counterToWrite(shard: ShardState): number {
  if (shard.tokenLimit - shard.nextToken >= shard.tokenBlock / 2) return shard.tokenLimit;
  return Math.max(shard.tokenLimit, shard.nextToken) + shard.tokenBlock;
}

function slotsToWrite(
  shard: ShardState,
  sessions: Iterable<Session>,
  revocations: readonly PendingRevocation[],
): number[] {
  const slots = new Set(shard.slots.keys());
  for (const session of sessions) if (session.slot >= 0) slots.add(session.slot);
  for (const { session } of revocations)
    if (session !== undefined && ownsSlot(shard, session)) slots.delete(session.slot);
  return [...slots].sort((left, right) => left - right);
}

function ownsSlot(shard: ShardState, session: Session): boolean {
  return shard.slots.get(session.slot) === session;
}

/** Takes over what a landed write of the record says. Whoever waited for it is served by the caller. */
export function shardRecordLanded(state: EngineState, nowMs: number): void {
  const { shard } = state;
  const landed = shard.inFlight;
  if (landed === undefined) return;
  shard.inFlight = undefined;
  shard.refusals = 0;
  shard.tokenLimit = landed.counter;
  if (landed.graceMs <= shard.wantedGraceMs) shard.graceMs = landed.graceMs;
  if (shard.graceMs > 0 && shard.graceReview.heapIndex === -1)
    state.deadlines.set(shard.graceReview, nowMs + shard.graceMs);
  shard.slotsOverflow = landed.slotsOverflow;
  for (const session of landed.sessions) sessionRecorded(state, session);
  for (const { key, floor, session } of landed.revocations) {
    if (key !== undefined) shard.revocations.push({ key, floor, recordedAtMs: nowMs });
    if (session !== undefined && ownsSlot(shard, session)) shard.slots.delete(session.slot);
  }
  forgetOldRevocations(shard, nowMs);
}

function sessionRecorded({ shard, sessions }: EngineState, session: Session): void {
  if (session.revoked) return;
  session.recorded = true;
  if (session.slot < 0) return;
  if (sessions.get(session.id) === session) shard.claimSlot(session);
  else if (!shard.slots.has(session.slot)) shard.droppedSlots.add(session.slot);
}

/** The write did not surely land: everything it carried is wanted again, except what the caller has answered. */
export function shardRecordFailed(state: EngineState): void {
  const { shard } = state;
  const failed = shard.inFlight;
  if (failed === undefined) return;
  shard.inFlight = undefined;
  shard.wantedSessions = new Set([...failed.sessions, ...shard.wantedSessions]);
  shard.wantedRevocations = [...failed.revocations, ...shard.wantedRevocations];
  shard.wantedExtensions = [...failed.extensions, ...shard.wantedExtensions];
}

/** Tries again after a pause that grows with every refusal. */
export function retryShardWrite(state: EngineState, nowMs: number): void {
  const { shard } = state;
  shard.refusals++;
  shard.dirty = true;
  state.deadlines.set(
    shard.recordRetry,
    nowMs + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(shard.refusals, 10)),
  );
}

/**
 * Once every recorded grace: if neither this period nor the one before promised more than half of what is recorded, the record
 * is lowered, since every longer promise has run out by now. Slots of sessions that are gone leave it too.
 */
export function reviewGrace(state: EngineState, nowMs: number): void {
  const { shard } = state;
  const { promisedMs } = shard;
  const isHalf = Math.max(shard.longestTtlMs, shard.longestTtlBeforeMs) <= shard.graceMs / 2;
  shard.longestTtlBeforeMs = shard.longestTtlMs;
  shard.longestTtlMs = 0;
  const isLower =
    !shard.inGrace &&
    isHalf &&
    shard.wantedGraceMs === shard.graceMs &&
    promisedMs < shard.graceMs &&
    shard.graceMs > GRACE_KEPT_MS;
  if (isLower) shard.wantedGraceMs = Math.max(promisedMs, GRACE_KEPT_MS);
  if (isLower || shard.droppedSlots.size > 0) requestShardWrite(state);
  if (shard.graceMs > 0) state.deadlines.set(shard.graceReview, nowMs + shard.graceMs);
}
