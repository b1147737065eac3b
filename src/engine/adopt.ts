import type { AdoptCommand } from './commands.ts';
import { settle } from './grant.ts';
import { Hold } from './hold.ts';
import { DurableState, LockDelay, LockState } from './lock.ts';
import type { HolderRecord } from './records.ts';
import type { EngineState } from './state.ts';

/**
 * Takes a lock over as its Lease says: every recorded holder gets its full recorded time from now, the counter goes on above
 * everything recorded and the floor, a pending lock delay starts anew. The lock has no rules until it is configured.
 */
export function adopt(state: EngineState, command: AdoptCommand, nowMs: number): void {
  const { record, version } = command.stored;
  let lock = state.locks.get(record.key);
  if (lock === undefined) {
    lock = new LockState(record.key, 'lock', { policy: undefined });
    state.locks.set(record.key, lock);
  }
  lock.durable ??= new DurableState(lock, 0, version);
  const { durable } = lock;
  durable.version = version;
  durable.landedAttempt = record.attempt;
  durable.landedCounter = record.counter;
  durable.counter = Math.max(durable.counter, record.counter, command.counterFloor - 1);
  adoptHolders(state, lock, record.holders, nowMs);
  if (record.lockDelayMs > 0) {
    const delay = new LockDelay(lock, 'exclusive', record.lockDelayMs);
    lock.lockDelays = [...(lock.lockDelays ?? []), delay];
    lock.occupy('exclusive');
    state.deadlines.set(delay, nowMs + record.lockDelayMs);
  }
  settle(state, lock, nowMs);
}

/** Adds the recorded holders that are not known yet, each with its full time. Whose end is only not written yet stays ended. */
export function adoptHolders(
  state: EngineState,
  lock: LockState,
  holders: readonly HolderRecord[],
  nowMs: number,
): void {
  for (const holder of holders) {
    if (lock.durable !== undefined) lock.durable.counter = Math.max(lock.durable.counter, holder.token);
    if (lock.holds.byToken(holder.token) !== undefined) continue;
    if (lock.durable?.unwrittenEnds.includes(holder.token) === true) continue;
    const hold = new Hold(
      lock,
      undefined,
      holder.principal,
      holder.ownerId,
      holder.mode,
      holder.token,
      'adopted',
      holder.ttlMs,
      nowMs,
    );
    hold.restartLife(lock.policy?.maxHoldMs, nowMs);
    lock.holds.add(hold);
    lock.occupy(holder.mode);
    lock.lastPhase = holder.mode;
    state.holdCount++;
    state.deadlines.set(hold, nowMs + holder.ttlMs);
  }
}
