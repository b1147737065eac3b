import type { CancelOperation } from '../api/operations.ts';
import { endHold } from './ending.ts';
import { settle } from './grant.ts';
import { leave } from './leave.ts';
import { withdraw } from './pending.ts';
import type { Session } from './session.ts';
import type { EngineState } from './state.ts';

/**
 * Withdraws one request. A waiter leaves once none of its requests is left; a grant whose write is in flight ends likewise, and
 * is counted as late if the write lands. A grant that was answered is not touched: it is released, or disowned, or runs out.
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
  const hold = withdraw(session, operation.target);
  if (hold === undefined || hold.depth > 0) return;
  endHold(state, hold, 'disowned', nowMs);
  settle(state, hold.lock, nowMs);
}
