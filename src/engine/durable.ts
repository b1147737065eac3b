import { TOKEN_MAX } from '../api/limits.ts';
import type { Hold } from './hold.ts';
import type { DurableState, LockState } from './lock.ts';
import type { HolderRecord, LockRecord } from './records.ts';
import type { EngineState } from './state.ts';

const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 15_000;

/** Next token of a DistributedLock. The number is spent even if the write that carries it fails. */
export function takeDurableToken(durable: DurableState): number {
  const token = durable.counter + 1;
  if (token > TOKEN_MAX) throw new Error('token space exhausted');
  durable.counter = token;
  return token;
}

/** The lock changed: write it, now or as soon as the write in flight is settled. */
export function markDirty(state: EngineState, lock: LockState): void {
  const { durable } = lock;
  if (durable === undefined) return;
  if (durable.inFlight !== undefined && !durable.dirty) state.count('coalescedWrite');
  durable.dirty = true;
}

/** Emits the next write if the lock changed and none is in flight. Called once at the end of whatever touched the lock. */
export function flush(state: EngineState, lock: LockState): void {
  const { durable } = lock;
  if (
    durable === undefined ||
    !durable.dirty ||
    state.frozen ||
    durable.inFlight !== undefined ||
    durable.heapIndex !== -1
  )
    return;
  const attempt = state.shard.nextAttempt();
  const grants: Hold[] = [];
  for (const hold of lock.holds) if (hold.state === 'granting') grants.push(hold);
  const { counter, acknowledgements, unwrittenEnds } = durable;
  durable.inFlight = { attempt, counter, grants, acknowledgements, ends: unwrittenEnds };
  durable.acknowledgements = [];
  durable.unwrittenEnds = [];
  durable.dirty = false;
  state.effect({ kind: 'persistLock', attempt, record: recordOf(lock, durable, attempt), version: durable.version });
}

/** Tries again after a pause that grows with every refusal. */
export function retryLockWrite(state: EngineState, durable: DurableState, nowMs: number): void {
  durable.refusals++;
  durable.dirty = true;
  state.deadlines.set(durable, nowMs + Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(durable.refusals, 10)));
}

/** Whether the Lease may still say something else than the engine does. */
export function isUnsettled(durable: DurableState): boolean {
  return durable.dirty || durable.inFlight !== undefined;
}

/** Whether the store refuses this lock's writes at present, so that a new grant would only wait for the next attempt. */
export function isRefusing(lock: LockState): boolean {
  return lock.durable !== undefined && lock.durable.heapIndex !== -1;
}

function recordOf(lock: LockState, durable: DurableState, attempt: string): LockRecord {
  const holders: HolderRecord[] = [];
  let lowest = durable.counter + 1;
  for (const hold of lock.holds) {
    hold.writtenTtlMs = Math.max(hold.writtenTtlMs, hold.recordedTtlMs, longestExtension(durable, hold));
    holders.push({
      principal: hold.principal,
      ownerId: hold.ownerId,
      mode: hold.mode,
      token: hold.token,
      ttlMs: hold.writtenTtlMs,
    });
    if (hold.token < lowest) lowest = hold.token;
  }
  return {
    key: lock.key,
    counter: durable.counter,
    fenceFloor: lowest,
    holders,
    lockDelayMs: lockDelayOf(lock),
    attempt,
  };
}

/** What this write promises beyond the record, if its hold is still there. */
function longestExtension(durable: DurableState, hold: Hold): number {
  let longestMs = 0;
  for (const acknowledgement of durable.inFlight?.acknowledgements ?? []) {
    if (acknowledgement.kind === 'extension' && acknowledgement.hold === hold && acknowledgement.ttlMs > longestMs)
      longestMs = acknowledgement.ttlMs;
  }
  return longestMs;
}

function lockDelayOf(lock: LockState): number {
  if (lock.lockDelays === undefined) return 0;
  return Math.max(lock.policy?.lockDelayMs ?? 0, ...lock.lockDelays.map((delay) => delay.lengthMs));
}
