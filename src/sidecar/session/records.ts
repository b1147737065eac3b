import { splitLockKey } from '../../api/lock-id.ts';
import type { HolderInspection, Inspection, WaiterInspection } from '../../api/operations.ts';
import type { Holder, LockRecord } from '../../api/responses.ts';

/** The last moment that a date can show. */
const DATE_MS_MAX = 8.64e15;

/** The newest second written out; answers of one moment mostly share it, and writing it is slow. */
let newestSecond = -1;
let newestText = '';

/** A time for people, from a wall clock that may show anything. */
export function rfc3339(wallMs: number): string {
  const shownMs = Math.floor(Math.min(DATE_MS_MAX, Math.max(0, wallMs)));
  const second = Math.floor(shownMs / 1_000);
  if (second !== newestSecond) {
    newestSecond = second;
    newestText = new Date(second * 1_000).toISOString().slice(0, -'000Z'.length);
  }
  return `${newestText}${String(shownMs - second * 1_000).padStart(3, '0')}Z`;
}

/** A lock as its owner described it, with times for people by the wall clock here. */
export function lockRecordOf(inspection: Inspection, wallMs: number): LockRecord {
  const holders = inspection.holders.map((holder) => holderOf(holder, wallMs));
  const first = holders[0];
  return {
    ...splitLockKey(inspection.key),
    held: inspection.holderCount > 0,
    ownerId: first?.ownerId ?? null,
    fencingToken: first?.fencingToken ?? null,
    expiresAt: first?.expiresAt ?? null,
    metadata: first?.metadata ?? {},
    holders,
    holderCount: inspection.holderCount,
    waiters: inspection.waiters.map((waiter) => waiterOf(waiter, wallMs)),
    waiterCount: inspection.waiterCount,
    lockDelayRemainingMs: Math.ceil(inspection.lockDelayRemainingMs),
  };
}

function holderOf(holder: HolderInspection, wallMs: number): Holder {
  return {
    ownerId: holder.ownerId,
    principal: holder.principal,
    mode: holder.mode,
    fencingToken: String(holder.token),
    depth: holder.depth,
    heldSince: rfc3339(wallMs - holder.heldForMs),
    expiresAt: rfc3339(wallMs + holder.remainingMs),
    overdue: holder.overdue,
    unclaimed: holder.unclaimed,
    metadata: { ...holder.metadata },
  };
}

function waiterOf(waiter: WaiterInspection, wallMs: number): LockRecord['waiters'][number] {
  const { ownerId, principal, mode, priority, waitedMs } = waiter;
  return { ownerId, principal, mode, priority, waitingSince: rfc3339(wallMs - waitedMs) };
}
