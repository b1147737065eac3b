import type { LeaseSeenCommand, ShardLeaseSeenCommand } from './commands.ts';
import { isUnsettled, markDirty } from './durable.ts';
import { isLastLanded, meetRecord } from './found-record.ts';
import { settle } from './grant.ts';
import type { DurableState, LockState } from './lock.ts';
import { refuseWrites } from './persisted.ts';
import { requestShardWrite } from './shard-record.ts';
import type { EngineState } from './state.ts';

/**
 * Somebody else changed a lock's Lease while nothing of ours was under way there. What this owner knows is the truth: it is
 * written again, above every number seen, except that a record from before it ends the reign. With a write of our own under way
 * nothing is done: that one meets the change by itself.
 */
export function leaseSeen(state: EngineState, command: LeaseSeenCommand, nowMs: number): void {
  const lock = state.locks.get(command.key);
  if (lock?.durable === undefined || state.frozen || isUnsettled(lock.durable)) return;
  meet(state, lock, lock.durable, command, nowMs);
  // A tombstone that was collected may be forgotten by now.
  if (state.locks.get(command.key) === lock) settle(state, lock, nowMs);
}

function meet(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  { found, counterFloor }: LeaseSeenCommand,
  nowMs: number,
): void {
  const { key } = lock;
  switch (found.kind) {
    case 'gone':
      durable.version = undefined;
      // Nobody holds a closed lock, and a new beginning is above its counter: what was deleted is a tombstone.
      if (isForgotten(lock) && durable.counter < counterFloor) {
        state.locks.delete(key);
        return;
      }
      // Of a lock that was never written nothing is missing.
      if (!durable.hasLanded) return;
      state.audit({ type: 'recordDeleted', key, text: undefined });
      markDirty(state, lock);
      return;
    case 'unusable':
      refuseWrites(state, lock, durable, { text: found.text, unusable: true }, nowMs);
      return;
    case 'damaged':
      if (!durable.hasLanded) {
        refuseWrites(state, lock, durable, { text: found.text, unusable: true }, nowMs);
        return;
      }
      durable.version = found.version;
      state.audit({ type: 'recordEdited', key, text: found.text });
      markDirty(state, lock);
      return;
    case 'record':
      durable.version = found.stored.version;
      if (!isLastLanded(durable, found.stored)) {
        markDirty(state, lock);
        meetRecord(state, lock, durable, found.stored, nowMs);
      } else if (found.astray !== undefined) {
        state.audit({ type: 'recordEdited', key, text: found.astray });
        markDirty(state, lock);
      }
  }
}

function isForgotten(lock: LockState): boolean {
  return lock.policy === undefined && lock.isIdle;
}

/** The shard's Lease was changed by somebody else and is still this owner's to write. */
export function shardLeaseSeen(state: EngineState, { change, text }: ShardLeaseSeenCommand): void {
  if (state.frozen) return;
  state.audit({ type: change, key: undefined, text });
  requestShardWrite(state);
}
