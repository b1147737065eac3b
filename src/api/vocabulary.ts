import { z } from 'zod';

/**
 * The words of the product, as types. The same word is used in code, HTTP, custom resources, metrics, CLI and docs:
 *
 * - **lock**: what is held; named by `namespace` and `lockId`.
 * - **owner**: who asks, named by `ownerId` below an authenticated principal (a pod, or the local user in `dev` mode).
 * - **hold**: one ownership of a lock: owner, mode, depth, fencing token, expiry, metadata.
 * - **waiter**: a queued acquire. **session**: one client connection context, which carries holds and waiters.
 * - **shard**: a part of the lock space with one owner; **epoch**: the number of that owner's takeover.
 * - **grant, renew, release, expire, force release, reclaim, hand-over**: what can happen to a hold.
 * - **guard**: the check on the resource's side that refuses an old fencing token.
 * - **lock delay**: the pause before a lock that was lost abnormally is granted again.
 */
export const MODES = ['exclusive', 'shared'] as const;
export const modeSchema = z
  .enum(MODES)
  .meta({ description: 'exclusive: one holder per permit. shared: readers together, no writer.' });
/** `exclusive`: one holder per permit. `shared`: any number of readers and no writer. */
export type Mode = (typeof MODES)[number];

export const FAIRNESS = ['Fifo', 'Priority'] as const;
/** Order of the waiters: `Fifo` by arrival, `Priority` by priority that grows with the wait. */
export type Fairness = (typeof FAIRNESS)[number];

export const EXPIRY_POLICIES = ['Expire', 'Alert'] as const;
/** What the end of a time to live does: `Expire` frees the lock, `Alert` keeps it held and raises an alert for a person. */
export type ExpiryPolicy = (typeof EXPIRY_POLICIES)[number];

export const DEADLOCK_POLICIES = ['Report', 'Break'] as const;
/** What a found deadlock does: `Report` names the cycle, `Break` also refuses the youngest waiter in it. */
export type DeadlockPolicy = (typeof DEADLOCK_POLICIES)[number];

export const END_REASONS = [
  'released',
  'expired',
  'maxHold',
  'forceReleased',
  'goodbye',
  'orphaned',
  'disowned',
  'conflict',
  'storeRefused',
] as const;
/**
 * Why a hold ended. `released`: by its holder. `expired`: its time to live ran out. `maxHold`: its longest allowed life ran
 * out. `forceReleased`: by an administrator. `goodbye`: its session said goodbye. `orphaned`: its pod's containers were
 * reported terminated. `disowned`: the grant reached nobody and was given back. `conflict`: another writer won the Lease.
 * `storeRefused`: the grant could not be written.
 */
export type EndReason = (typeof END_REASONS)[number];

/** Ends after which the lock delay applies: the holder may still be working. */
export function isAbnormalEnd(reason: EndReason): boolean {
  return reason === 'expired' || reason === 'maxHold' || reason === 'forceReleased' || reason === 'orphaned';
}
