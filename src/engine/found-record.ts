import { adoptHolders } from './adopt.ts';
import { endHold } from './ending.ts';
import type { DurableState, LockState } from './lock.ts';
import type { StoredLockRecord } from './records.ts';
import type { EngineState } from './state.ts';

/**
 * Another record stands on a lock's Lease than this owner last wrote for sure, under a version that the caller has noted. A late
 * write of this owner's own: nothing is new. One that is older than what stood there: a restored backup, and the end of this
 * reign. Anybody else's: adopted, never overwritten unseen; the next write says what is true of both.
 */
export function meetRecord(
  state: EngineState,
  lock: LockState,
  durable: DurableState,
  { record }: StoredLockRecord,
  nowMs: number,
): void {
  if (durable.unknownAttempts.includes(record.attempt)) {
    state.count('writeUnknownLanded');
    return;
  }
  // Lower than what stood there, or one of our own records that a later one of ours had replaced.
  if (record.counter < durable.landedCounter || state.shard.isOwnAttempt(record.attempt)) {
    state.frozen = true;
    const text =
      record.counter < durable.landedCounter
        ? `its counter says ${record.counter}, and ${durable.landedCounter} stood there before`
        : `it says what attempt ${record.attempt} wrote, which a later one had replaced`;
    state.audit({ type: 'recordRestored', key: lock.key, text });
    state.effect({
      kind: 'regressed',
      key: lock.key,
      recordedCounter: record.counter,
      seenCounter: durable.counter,
    });
    return;
  }
  state.audit({ type: 'recordEdited', key: lock.key, text: `attempt ${record.attempt} is not ours` });
  durable.counter = Math.max(durable.counter, record.counter);
  adoptHolders(state, lock, record.holders, nowMs);
  yieldToRecorded(state, lock, record.counter, nowMs);
}

/** Whether a record is the one that this owner last wrote for sure: somebody touched the Lease around it. */
export function isLastLanded(durable: DurableState, { record }: StoredLockRecord): boolean {
  return record.attempt === durable.landedAttempt && record.counter === durable.landedCounter;
}

/**
 * What we had decided but told nobody gives way to what is recorded: whose number somebody else may have given out, and, the
 * latest first, whoever has no room beside the recorded holders.
 */
function yieldToRecorded(state: EngineState, lock: LockState, recordedCounter: number, nowMs: number): void {
  for (const hold of [...lock.holds].reverse()) {
    if (hold.state === 'granting' && (hold.token <= recordedCounter || overfull(lock)))
      endHold(state, hold, 'conflict', nowMs);
  }
  // Two claims of one lock, both told: nobody's time is extended, both run out.
  if (overfull(lock)) for (const hold of lock.holds) hold.contested = true;
}

/** How many permits a closed lock had is not known: its holders are left alone. */
function overfull(lock: LockState): boolean {
  if (lock.exclusiveCount > 0 && lock.sharedCount > 0) return true;
  return lock.exclusiveCount > (lock.policy?.permits ?? Number.POSITIVE_INFINITY);
}
