import { adoptHolders } from './adopt.ts';
import type { RememberCommand } from './commands.ts';
import { markDirty } from './durable.ts';
import { settle } from './grant.ts';
import { DurableState, LockState } from './lock.ts';
import type { EngineState } from './state.ts';

/**
 * Holds what is on a lock's Lease against what this process knew to stand there, after the Lease was adopted. One that is behind
 * it (or gone) was set back under the last reign: the holders of that reign live on with their full time, and are written again.
 * A holder that only the older record names had ended since; its time is not extended.
 */
export function remember(state: EngineState, command: RememberCommand, nowMs: number): void {
  const { key, holders } = command;
  let lock = state.locks.get(key);
  if (lock === undefined) {
    if (holders.length === 0) return;
    lock = new LockState(key, 'lock', { policy: undefined });
    lock.durable = new DurableState(lock, 0, undefined);
    state.locks.set(key, lock);
  }
  const { durable } = lock;
  if (durable === undefined) return;
  const recorded = durable.landedCounter;
  durable.counter = Math.max(durable.counter, command.counter);
  if (recorded >= command.landedCounter) return;
  const text = `its counter says ${recorded}, and ${command.landedCounter} stood there before`;
  state.audit({ type: 'recordRestored', key, text });
  for (const hold of lock.holds) if (!holders.some(({ token }) => token === hold.token)) hold.contested = true;
  adoptHolders(
    state,
    lock,
    holders.filter(({ token }) => token > recorded),
    nowMs,
  );
  markDirty(state, lock);
  settle(state, lock, nowMs);
}
