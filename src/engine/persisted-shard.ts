import type { PersistedCommand } from './commands.ts';
import { leave } from './cancel.ts';
import { endHold } from './ending.ts';
import { serveStalled } from './grace.ts';
import { settle } from './grant.ts';
import type { LockState } from './lock.ts';
import { answerExtension } from './persisted.ts';
import { requestShardWrite, retryShardWrite, shardRecordFailed, shardRecordLanded } from './shard-record.ts';
import type { PendingRevocation, ShardWriteInFlight } from './shard.ts';
import { holdsOf } from './sessions.ts';
import type { EngineState } from './state.ts';

/** The outcome of a write of the shard's record: serves what waited for it. */
export function persistedShard(state: EngineState, command: PersistedCommand, nowMs: number): void {
  const { shard } = state;
  const write = shard.inFlight;
  if (write === undefined || write.attempt !== command.attempt) return;
  if (command.outcome === 'ok') {
    shardRecordLanded(state, nowMs);
    for (const extension of write.extensions) answerExtension(state, extension.hold.lock, extension, nowMs);
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
  refuseWhoCannotWait(state, write, nowMs);
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
  const { session, key, acknowledgement, by, text } = revocation;
  const holds = session === undefined ? [...(state.locks.get(key as string)?.holds ?? [])] : holdsOf(session);
  const touched = new Set<LockState>();
  for (const hold of holds) {
    if (!hold.ending || hold.token > revocation.floor) continue;
    touched.add(hold.lock);
    endHold(state, hold, session === undefined ? 'forceReleased' : 'orphaned', nowMs, { by, text });
  }
  if (acknowledgement !== undefined)
    state.reply(acknowledgement.sessionId, { kind: 'done', ref: acknowledgement.ref, ended: acknowledgement.ended });
  for (const lock of touched) settle(state, lock, nowMs);
  if (session !== undefined) {
    session.revoking = false;
    state.forgetIfGone(session);
  }
}

/** Try-locks and promises that waited for this write are refused; queued waiters wait for the next one. */
function refuseWhoCannotWait(state: EngineState, write: ShardWriteInFlight, nowMs: number): void {
  const { shard } = state;
  shard.wantedExtensions = [];
  for (const { sessionId, ref } of write.extensions)
    state.refuse(sessionId, ref, 'UNAVAILABLE', { reason: 'storeRefused', retryAfterMs: 1_000 });
  for (const lock of [...shard.stalledLocks]) {
    for (const queue of [lock.writers, lock.readers]) {
      for (const waiter of queue?.list(queue.size) ?? []) {
        if (waiter.timeoutMs !== 0) continue;
        for (const ref of waiter.refs)
          state.refuse(waiter.session.id, ref, 'UNAVAILABLE', { reason: 'storeRefused', retryAfterMs: 1_000 });
        leave(state, waiter, 'refused', nowMs);
      }
    }
    if (lock.waiterCount === 0) state.forgetIfIdle(lock);
  }
}
