import type { LeaseStore } from '../kube/lease-store.ts';
import { decodeLockLease } from '../server/lease-codec.ts';
import { LOCK_LABEL } from '../server/lease-fields.ts';
import type { SavedHold } from '../sidecar/session/saved-holds.ts';

/**
 * The holds of DistributedLocks that the Leases name for this principal: what a process that crashed is known to have held for its
 * callers. How often an owner had entered is not on record; it counts as once.
 */
export async function recordedHolds(leases: LeaseStore, principal: string): Promise<SavedHold[]> {
  const { items } = await leases.list({ labelSelector: LOCK_LABEL });
  return items.flatMap((lease) => {
    const decoded = decodeLockLease(lease);
    if (decoded.kind !== 'lock') return [];
    const { key, holders } = decoded.record;
    return holders
      .filter((holder) => holder.principal === principal)
      .map(({ token, ownerId, mode, ttlMs }) => ({ key, token, ownerId, mode, depth: 1, ttlMs }));
  });
}
