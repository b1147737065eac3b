import { z } from 'zod';
import { DEFAULT_TTL_MS, LIMITS } from './limits.ts';
import {
  DEADLOCK_POLICIES,
  type DeadlockPolicy,
  EXPIRY_POLICIES,
  type ExpiryPolicy,
  FAIRNESS,
  type Fairness,
} from './vocabulary.ts';

const KEY_PATTERN_LENGTH_MAX = 256;

const seconds = (minimum: number, maximumMs: number, description: string) =>
  z
    .int()
    .min(minimum)
    .max(maximumMs / 1000)
    .meta({ description });

const shared = {
  leaseDurationSeconds: seconds(1, LIMITS.ttlMsMax, 'Time to live of a hold that names none, in seconds.').default(
    DEFAULT_TTL_MS / 1000,
  ),
  permits: z
    .int()
    .min(1)
    .max(LIMITS.permitsMax)
    .default(1)
    .meta({ description: 'How many exclusive holders there may be at once (a semaphore above 1).' }),
  reentrant: z
    .boolean()
    .default(true)
    .meta({ description: 'Whether an acquire with the same ownerId joins the hold it has.' }),
  fairness: z
    .enum(FAIRNESS)
    .default('Fifo')
    .meta({ description: 'Order of the waiters: Fifo, or Priority that grows with the wait.' }),
  maxHoldSeconds: seconds(
    1,
    LIMITS.maxHoldMsMax,
    'Longest life of one hold over all its renewals, in seconds; none if absent.',
  ).optional(),
  lockDelaySeconds: seconds(
    0,
    LIMITS.lockDelayMsMax,
    'Pause before a lock that was lost abnormally is granted again, in seconds.',
  ).default(0),
  maxWaiters: z
    .int()
    .min(0)
    .max(LIMITS.waitersPerLockMax)
    .default(10_000)
    .meta({ description: 'Longest queue; an acquire beyond it gets QUEUE_FULL.' }),
  expiryPolicy: z
    .enum(EXPIRY_POLICIES)
    .default('Expire')
    .meta({ description: 'Expire frees the lock at the end of its time to live; Alert keeps it and raises an alert.' }),
  deadlockPolicy: z
    .enum(DEADLOCK_POLICIES)
    .default('Report')
    .meta({ description: 'Report names a deadlock; Break also refuses the youngest waiter in it.' }),
};

/** `spec` of a DistributedLock: one custom resource, one lock. Durations are whole seconds, as on every Kubernetes object. */
export const distributedLockSpecSchema = z.strictObject({
  ...shared,
  fencing: z
    .boolean()
    .default(false)
    .meta({ description: 'Whether the controller binds an admission policy to this lock.' }),
});
export type DistributedLockSpec = z.output<typeof distributedLockSpecSchema>;

/** `spec` of a LockPool: one custom resource, a keyspace of locks. */
export const lockPoolSpecSchema = z.strictObject({
  ...shared,
  maxLeaseDurationSeconds: seconds(
    1,
    LIMITS.ttlMsMax,
    'Longest time to live a hold may ask for, in seconds; it bounds the grace after a crash.',
  ).default(60),
  keyPattern: z.string().min(1).max(KEY_PATTERN_LENGTH_MAX).optional().meta({
    description:
      'Regular expression (RE2) that the whole key of a lock must match, for example order-[0-9]+; any key if absent.',
  }),
});
export type LockPoolSpec = z.output<typeof lockPoolSpecSchema>;

/**
 * The rules of a lock as the engine reads them: milliseconds, every field present. Edits apply to grants after them; holds and
 * waiters that are there already keep what they were promised, and over-full permits drain.
 */
export interface LockPolicy {
  /** Time to live of a hold whose request names none. */
  readonly leaseDurationMs: number;
  /** Longest time to live that a request may name. */
  readonly maxLeaseDurationMs: number;
  readonly permits: number;
  readonly reentrant: boolean;
  readonly fairness: Fairness;
  /** Longest life of one hold over all renewals; `undefined` for none. */
  readonly maxHoldMs: number | undefined;
  readonly lockDelayMs: number;
  readonly maxWaiters: number;
  readonly expiryPolicy: ExpiryPolicy;
  readonly deadlockPolicy: DeadlockPolicy;
  /** What the whole key of a pool lock must match (see `custom-resources/key-pattern.ts`); `undefined` for any, and for a DistributedLock. */
  readonly keyPattern?: string | undefined;
}

/** The policy of a DistributedLock. */
export function policyOfLock(spec: DistributedLockSpec): LockPolicy {
  return policyOf(spec, LIMITS.ttlMsMax);
}

/** The policy of every key of a LockPool. A default lease longer than the pool's maximum is cut to it. */
export function policyOfPool(spec: LockPoolSpec): LockPolicy {
  return { ...policyOf(spec, spec.maxLeaseDurationSeconds * 1000), keyPattern: spec.keyPattern };
}

function policyOf(spec: Omit<DistributedLockSpec, 'fencing'>, maxLeaseDurationMs: number): LockPolicy {
  return {
    leaseDurationMs: Math.min(spec.leaseDurationSeconds * 1000, maxLeaseDurationMs),
    maxLeaseDurationMs,
    permits: spec.permits,
    reentrant: spec.reentrant,
    fairness: spec.fairness,
    maxHoldMs: spec.maxHoldSeconds === undefined ? undefined : spec.maxHoldSeconds * 1000,
    lockDelayMs: spec.lockDelaySeconds * 1000,
    maxWaiters: spec.maxWaiters,
    expiryPolicy: spec.expiryPolicy,
    deadlockPolicy: spec.deadlockPolicy,
  };
}

/** The policies that an empty spec gives. */
export const DEFAULT_LOCK_POLICY: LockPolicy = policyOfLock(distributedLockSpecSchema.parse({}));
export const DEFAULT_POOL_POLICY: LockPolicy = policyOfPool(lockPoolSpecSchema.parse({}));
