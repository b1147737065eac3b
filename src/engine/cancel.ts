import type { CancelOperation } from '../api/operations.ts';
import { markDirty } from './durable.ts';
import type { WaiterLeftEvent } from './effects.ts';
import { endHold } from './ending.ts';
import { settle } from './grant.ts';
import type { Session } from './session.ts';
import type { EngineState } from './state.ts';
import type { Waiter } from './waiter.ts';

/**
 * Withdraws one request. A waiter leaves once none of its requests is left; a grant whose write is in flight ends, and is
 * counted as late if the write lands. A grant that was answered is not touched: it is released, or disowned, or runs out.
 */
export function cancel(state: EngineState, session: Session, operation: CancelOperation, nowMs: number): void {
  const waiter = session.waiters.get(operation.target);
  if (waiter !== undefined) {
    session.waiters.delete(operation.target);
    waiter.refs = waiter.refs.filter((ref) => ref !== operation.target);
    if (waiter.refs.length > 0) return;
    leave(state, waiter, 'cancelled', nowMs);
    settle(state, waiter.lock, nowMs);
    return;
  }
  const lock = state.locks.get(operation.key);
  if (lock?.durable === undefined) return;
  for (const hold of lock.holds) {
    if (hold.state !== 'granting' || hold.session !== session) continue;
    const left = hold.pending?.filter(({ ref }) => ref !== operation.target) ?? [];
    if (left.length === hold.pending?.length) continue;
    hold.pending = left;
    hold.depth = Math.max(1, hold.depth - 1);
    if (left.length > 0) return;
    endHold(state, hold, 'disowned', nowMs);
    markDirty(state, lock);
    settle(state, lock, nowMs);
    return;
  }
}

/** Takes a waiter out for good. Its requests are answered by the caller, who also settles the lock. */
export function leave(state: EngineState, waiter: Waiter, why: WaiterLeftEvent['why'], nowMs: number): void {
  state.removeWaiter(waiter);
  if (waiter.requestId !== undefined) waiter.session.requests.forget(waiter.requestId);
  state.audit({
    type: 'waiterLeft',
    key: waiter.lock.key,
    ownerId: waiter.ownerId,
    why,
    waitedMs: nowMs - waiter.queuedAtMs,
  });
}
