import type { PersistedCommand } from './commands.ts';
import { endHold } from './ending.ts';
import { serveStalled } from './grace.ts';
import { settle } from './grant.ts';
import type { Hold } from './hold.ts';
import { leave } from './leave.ts';
import { answerExtension, refuseExtension } from './promise.ts';
import { refuseUnrecorded } from './refusals.ts';
import { requestShardWrite, retryShardWrite, shardRecordFailed, shardRecordLanded } from './shard-record.ts';
import type { PendingRevocation } from './shard.ts';
import { holdsOf } from './sessions.ts';
import type { EngineState } from './state.ts';

/** The outcome of a write of the shard's record: serves what waited for it. */
export function persistedShard(state: EngineState, command: PersistedCommand, nowMs: number): void {
  const { shard } = state;
  const write = shard.inFlight;
  if (write === undefined || write.attempt !== command.attempt) return;
  if (command.outcome === 'ok') {
    shardRecordLanded(state, nowMs);
    for (const extension of write.extensions) answerExtension(state, extension, nowMs);
    for (const revocation of write.revocations) revoke(state, revocation, nowMs);
    serveStalled(state, nowMs);
    if (shard.dirty) requestShardWrite(state);
    return;
  }
  shardRecordFailed(state);
  if (command.outcome === 'conflict') {
    // The driver knows the new version; that the Lease still names us is its affair too.
    state.count('writeConflict');
    requestShardWrite(state);
    return;
  }
  state.count(command.outcome === 'unknown' ? 'writeUnknown' : 'writeRejected');
  refuseWhoCannotWait(state, nowMs);
  if (command.outcome === 'unknown' && shard.refusals === 0) {
    shard.refusals = 1;
    requestShardWrite(state);
    return;
  }
  if (command.outcome === 'rejected') state.audit({ type: 'recordRefused', key: undefined, text: command.message });
  retryShardWrite(state, nowMs);
}

/** Ends the holds that the record now forbids to reclaim, and tells whoever asked. */
function revoke(state: EngineState, revocation: PendingRevocation, nowMs: number): void {
  const { session, acknowledgement, by, text } = revocation;
  const ended = revokedHolds(state, revocation);
  for (const hold of ended)
    endHold(state, hold, session === undefined ? 'forceReleased' : 'orphaned', nowMs, { by, text });
  if (acknowledgement !== undefined) {
    const { sessionId, ref } = acknowledgement;
    state.reply(sessionId, { kind: 'done', ref, ended: ended.length });
  }
  for (const lock of new Set(ended.map((hold) => hold.lock))) settle(state, lock, nowMs);
  if (session !== undefined) {
    session.revoking = false;
    state.forgetIfGone(session);
  }
}

/** Also those that were reclaimed while the revocation was being written. */
function revokedHolds(state: EngineState, { key, session, floor }: PendingRevocation): Hold[] {
  const holds = session === undefined ? [...(state.locks.get(key as string)?.holds ?? [])] : holdsOf(session);
  return holds.filter((hold) => hold.lock.durable === undefined && hold.token <= floor);
}

/** Try-locks and promises that wait for the record are refused; queued waiters wait for the next write. */
function refuseWhoCannotWait(state: EngineState, nowMs: number): void {
  const { shard } = state;
  const extensions = shard.wantedExtensions;
  shard.wantedExtensions = [];
  for (const extension of extensions)
    refuseExtension(extension, (ref) => refuseUnrecorded(state, extension.session.id, ref));
  for (const lock of [...shard.stalledLocks]) {
    if (lock.tryLockCount === 0) continue;
    for (const waiter of lock.waiters()) {
      if (waiter.timeoutMs !== 0) continue;
      for (const ref of waiter.refs) refuseUnrecorded(state, waiter.session.id, ref);
      leave(state, waiter, 'refused', nowMs);
    }
    settle(state, lock, nowMs);
  }
}
