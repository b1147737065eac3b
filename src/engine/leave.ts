import type { WaiterLeftEvent } from './effects.ts';
import type { EngineState } from './state.ts';
import type { Waiter } from './waiter.ts';

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
  state.forgetIfGone(waiter.session);
}
