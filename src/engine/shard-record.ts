import { LIMITS, TOKEN_MAX } from '../api/limits.ts';
import type { LockState, PendingExtension } from './lock.ts';
import type { Session } from './session.ts';
import type { PendingRevocation } from './shard.ts';
import type { EngineState } from './state.ts';

/** Grace above one of these is recorded in whole steps of it, so that slightly longer promises do not each cost a write. */
const GRACE_STEP_MS = 5_000;
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
    wanted = wantSession(state, session) || wanted;
  }
  if (ttlMs > shard.graceMs) {
    allowed = false;
    wanted = wantGrace(state, ttlMs) || wanted;
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

/** Remembers a promise for the review that lowers the recorded grace. */
export function notePromise(state: EngineState, ttlMs: number): void {
  if (ttlMs > state.shard.longestTtlMs) state.shard.longestTtlMs = ttlMs;
}

/** Asks for a longer grace on the record; false if it is asked for already. */
export function wantGrace(state: EngineState, ttlMs: number): boolean {
  const { shard } = state;
  if (ttlMs <= shard.wantedGraceMs) return false;
  shard.wantedGraceMs = graceFor(ttlMs);
  return true;
}

/** An extension of a memory hold above the recorded grace: told once the record says so. */
export function extendAfterRecord(state: EngineState, extension: PendingExtension): void {
  wantGrace(state, extension.ttlMs);
  state.shard.wantedExtensions.push(extension);
  requestShardWrite(state);
}

/** A forced end of memory holds: done once the record forbids their reclaim. False if the record has no room. */
export function revokeAfterRecord(state: EngineState, revocation: PendingRevocation): boolean {
  const { shard } = state;
  const kept = shard.revocations.length + shard.wantedRevocations.length + (shard.inFlight?.revocations.length ?? 0);
  if (kept >= LIMITS.revocationsPerShardMax) return false;
  shard.wantedRevocations.push(revocation);
  requestShardWrite(state);
  return true;
}

/** Puts a lock aside until the record is written or the grace is over. */
export function stall(state: EngineState, lock: LockState): void {
  if (!lock.stalled) {
    lock.stalled = true;
    state.count('parkedForRecord');
  }
  state.shard.stalledLocks.add(lock);
}

function wantSession(state: EngineState, session: Session): boolean {
  const { shard } = state;
  if (shard.wantedSessions.includes(session) || shard.inFlight?.sessions.includes(session) === true) return false;
  shard.wantedSessions.push(session);
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
  // A lower grace binds from the moment its write is sent: it may land at any time from then on.
  if (shard.wantedGraceMs < shard.graceMs) shard.graceMs = shard.wantedGraceMs;
  const counter =
    shard.tokenLimit - shard.nextToken < shard.tokenBlock / 2
      ? Math.max(shard.tokenLimit, shard.nextToken) + shard.tokenBlock
      : shard.tokenLimit;
  const sessions = shard.wantedSessions.filter(
    (session) => session.connected || session.holdCount > 0 || session.waiters.size > 0,
  );
  const slots = new Set(shard.slots);
  for (const session of sessions) if (session.slot >= 0) slots.add(session.slot);
  const revocations = shard.wantedRevocations;
  for (const revocation of revocations) if (revocation.session !== undefined) slots.delete(revocation.session.slot);
  const attempt = shard.nextAttempt();
  shard.inFlight = {
    attempt,
    counter,
    graceMs: shard.wantedGraceMs,
    sessions,
    slotsOverflow: shard.slotsOverflow || shard.wantedOverflow,
    revocations,
    extensions: shard.wantedExtensions,
  };
  shard.wantedSessions = [];
  shard.wantedRevocations = [];
  shard.wantedExtensions = [];
  state.effect({
    kind: 'persistShard',
    attempt,
    record: {
      epoch: shard.epoch,
      counter,
      graceMs: shard.inFlight.graceMs,
      slots: [...slots].sort((left, right) => left - right),
      slotsOverflow: shard.inFlight.slotsOverflow,
      revocations: [
        ...shard.revocations.map(({ key, floor }) => ({ key, floor })),
        ...revocations
          .filter((revocation) => revocation.key !== undefined)
          .map((revocation) => ({ key: revocation.key as string, floor: revocation.floor })),
      ],
      attempt,
    },
  });
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
  for (const session of landed.sessions) {
    session.recorded = true;
    if (session.slot >= 0) shard.slots.add(session.slot);
  }
  shard.revocations = shard.revocations.filter((revocation) => nowMs - revocation.recordedAtMs <= shard.graceMs);
  for (const revocation of landed.revocations) {
    if (revocation.key !== undefined)
      shard.revocations.push({ key: revocation.key, floor: revocation.floor, recordedAtMs: nowMs });
    if (revocation.session !== undefined) shard.slots.delete(revocation.session.slot);
  }
}

/** The write did not surely land: everything it carried is wanted again, except what the caller has answered. */
export function shardRecordFailed(state: EngineState): void {
  const { shard } = state;
  const failed = shard.inFlight;
  if (failed === undefined) return;
  shard.inFlight = undefined;
  shard.wantedSessions = [...failed.sessions, ...shard.wantedSessions];
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
 * is lowered, since every longer promise has run out by now.
 */
export function reviewGrace(state: EngineState, nowMs: number): void {
  const { shard } = state;
  const longestMs = Math.max(shard.longestTtlMs, shard.longestTtlBeforeMs);
  shard.longestTtlBeforeMs = shard.longestTtlMs;
  shard.longestTtlMs = 0;
  if (!shard.inGrace && shard.wantedGraceMs === shard.graceMs && longestMs <= shard.graceMs / 2) {
    shard.wantedGraceMs = graceFor(longestMs);
    if (shard.wantedGraceMs < shard.graceMs) requestShardWrite(state);
  }
  if (shard.graceMs > 0) state.deadlines.set(shard.graceReview, nowMs + shard.graceMs);
}

/** The grace to record for a promise: whole seconds, in whole steps above the first. */
function graceFor(ttlMs: number): number {
  const stepMs = ttlMs > GRACE_STEP_MS ? GRACE_STEP_MS : 1_000;
  return Math.ceil(ttlMs / stepMs) * stepMs;
}
