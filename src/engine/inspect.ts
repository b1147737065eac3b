import { LIMITS } from '../api/limits.ts';
import type { HolderInspection, InspectOperation, Inspection, WaiterInspection } from '../api/operations.ts';
import type { Hold } from './hold.ts';
import type { LockState } from './lock.ts';
import { lockDelayRemainingMs } from './refusals.ts';
import type { Session } from './session.ts';
import type { EngineState } from './state.ts';
import type { Waiter } from './waiter.ts';

/** A lock as it stands. A pool key that nobody uses is known and free. */
export function inspect(state: EngineState, session: Session, operation: InspectOperation, nowMs: number): void {
  if (!state.isKnown(operation.key)) {
    state.refuseFor(session.id, operation.ref, 'LOCK_NOT_FOUND', operation.key);
    return;
  }
  state.reply(session.id, {
    kind: 'inspection',
    ref: operation.ref,
    inspection: inspectionOf(state, operation.key, nowMs),
  });
}

/** What can be seen of a key; empty for one that is not in use. */
export function inspectionOf(state: EngineState, key: string, nowMs: number): Inspection {
  const lock = state.locks.get(key);
  if (lock === undefined)
    return { key, holders: [], holderCount: 0, waiters: [], waiterCount: 0, lockDelayRemainingMs: 0 };
  const holders: HolderInspection[] = [];
  let told = 0;
  for (const hold of lock.holds) {
    if (hold.state === 'granting') continue;
    told++;
    if (holders.length < LIMITS.holdersShownMax) holders.push(holderOf(hold, nowMs));
  }
  return {
    key,
    holders,
    holderCount: told,
    waiters: waitersOf(lock)
      .slice(0, LIMITS.waitersShownMax)
      .map((waiter) => waiterOf(waiter, nowMs)),
    waiterCount: lock.waiterCount,
    lockDelayRemainingMs: lockDelayRemainingMs(lock, nowMs),
  };
}

function waitersOf(lock: LockState): Waiter[] {
  const writers = lock.writers?.list(LIMITS.waitersShownMax) ?? [];
  const readers = lock.readers?.list(LIMITS.waitersShownMax) ?? [];
  if (lock.writers?.fairness === 'Priority') return [...writers, ...readers];
  return [...writers, ...readers].sort((left, right) => left.sequence - right.sequence);
}

function holderOf(hold: Hold, nowMs: number): HolderInspection {
  return {
    principal: hold.principal,
    ownerId: hold.ownerId,
    mode: hold.mode,
    token: hold.token,
    depth: hold.depth,
    ttlMs: hold.ttlMs,
    remainingMs: hold.overdue ? 0 : Math.max(0, hold.dueAtMs - nowMs),
    heldForMs: Math.max(0, nowMs - hold.grantedAtMs),
    metadata: hold.metadata,
    overdue: hold.overdue,
    unclaimed: hold.state === 'adopted',
  };
}

function waiterOf(waiter: Waiter, nowMs: number): WaiterInspection {
  return {
    principal: waiter.session.principal,
    ownerId: waiter.ownerId,
    mode: waiter.mode,
    priority: waiter.priority,
    waitedMs: Math.max(0, nowMs - waiter.queuedAtMs),
  };
}

/**
 * Up to `limit` keys that begin with `prefix` and come after `after`, in order. O(keys of the shard) for a page: callers go
 * shard by shard and let other work run between.
 */
export function listKeys(state: EngineState, prefix: string, after: string, limit: number): string[] {
  const found: string[] = [];
  for (const [key, lock] of state.locks) {
    if (!key.startsWith(prefix) || key <= after || (lock.policy === undefined && lock.isIdle)) continue;
    found.push(key);
    // Only the smallest `limit` matter: cut back now and then, so that memory and sorting stay small.
    if (found.length >= limit * 4) found.sort(byCodePoint).splice(limit);
  }
  return found.sort(byCodePoint).slice(0, limit);
}

function byCodePoint(left: string, right: string): number {
  return left < right ? -1 : left > right ? 1 : 0;
}
