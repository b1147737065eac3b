import { z } from 'zod';

/**
 * The conditions of the custom resources, and every reason that each can have. A reason is for programs: it is never reused
 * for another meaning. Conditions are set on the first visit, `Unknown` with reason `Pending` while nothing is known.
 */
export const LOCK_CONDITIONS = {
  /** Whether the lock takes acquires. */
  Ready: {
    /** True: its shard has an owner, which grants by this spec. */
    Serving: 'True',
    /** Unknown: no owner of its shard has read this object yet. */
    Pending: 'Unknown',
    /** False: a new owner of its shard is reading the recorded holders. */
    Recovering: 'False',
    /** False: the spec breaks a rule that is newer than the object; the last good spec stays in force. */
    InvalidSpec: 'False',
    /** False: the API server refuses the lock's Lease (permissions, quota, an admission policy); nothing can be granted. */
    StoreRefused: 'False',
    /** False: the lock's Lease belongs to somebody else or was edited; a person has to look. */
    LeaseUnusable: 'False',
    /** False: the object is being deleted; no new acquire, holds live to their end. */
    Deleting: 'False',
  },
  /** Whether somebody holds the lock. */
  Held: {
    /** True: at least one hold within its time to live. */
    Granted: 'True',
    /** True: a hold is past its time to live and stays, since `expiryPolicy` is Alert. */
    Overdue: 'True',
    /** True: every holder was read from the record by a new owner and has not spoken yet. */
    Unclaimed: 'True',
    /** Unknown: no owner of the shard has read the record yet. */
    Pending: 'Unknown',
    /** False: nobody holds it. */
    Free: 'False',
    /** False: nobody holds it, and the pause after an abnormal end is not over. */
    LockDelay: 'False',
  },
  /** Whether acquires wait. */
  Contended: {
    /** True: at least one waiter. */
    WaitersQueued: 'True',
    /** True: the queue has reached `maxWaiters`; further acquires get QUEUE_FULL. */
    QueueFull: 'True',
    /** Unknown: no owner of the shard has taken up its queue yet. */
    Pending: 'Unknown',
    /** False: nobody waits. */
    NoWaiters: 'False',
  },
  /** Whether owners wait for each other in a circle. */
  Deadlocked: {
    /** True: the message names the circle. */
    CycleFound: 'True',
    /** Unknown: no search has been made yet. */
    Pending: 'Unknown',
    /** False: `deadlockPolicy` is Break, and a waiter was refused to end the circle. */
    CycleBroken: 'False',
    /** False: the last search found none. */
    NoCycle: 'False',
  },
} as const satisfies ConditionTable;

/** The keys of a pool are too many and too quick for `Held` and `Contended`: their numbers are in the status. */
export const POOL_CONDITIONS = {
  /** Whether the keys of the pool take acquires. */
  Ready: {
    /** True: every shard has an owner, which grants by this spec. */
    Serving: 'True',
    /** Unknown: no owner has read this object yet. */
    Pending: 'Unknown',
    /** False: a new owner of a shard waits for holders to reclaim; acquires there are queued. */
    Recovering: 'False',
    /** False: some shards have no owner; acquires of their keys get UNAVAILABLE. */
    ShardsUnowned: 'False',
    /** False: the spec breaks a rule that is newer than the object; the last good spec stays in force. */
    InvalidSpec: 'False',
    /** False: the object is being deleted; no new acquire, holds live to their end. */
    Deleting: 'False',
  },
  /** Whether owners wait for each other in a circle through a key of this pool. */
  Deadlocked: {
    /** True: the message names the circle. */
    CycleFound: 'True',
    /** Unknown: no search has been made yet. */
    Pending: 'Unknown',
    /** False: `deadlockPolicy` is Break, and a waiter was refused to end the circle. */
    CycleBroken: 'False',
    /** False: the last search found none. */
    NoCycle: 'False',
  },
} as const satisfies ConditionTable;

export type ConditionStatus = 'True' | 'False' | 'Unknown';
/** Type of condition → reason → the one status that goes with it. */
type ConditionTable = Readonly<Record<string, Readonly<Record<string, ConditionStatus>>>>;

export type LockConditionType = keyof typeof LOCK_CONDITIONS;
export type LockConditionReason<Type extends LockConditionType> = keyof (typeof LOCK_CONDITIONS)[Type];
export type PoolConditionType = keyof typeof POOL_CONDITIONS;
export type PoolConditionReason<Type extends PoolConditionType> = keyof (typeof POOL_CONDITIONS)[Type];

/** Other controllers may add conditions of their own, so types and reasons are open in the schema. */
export const CONDITIONS_MAX = 16;
export const CONDITION_MESSAGE_LENGTH_MAX = 4_096;

/** `metav1.Condition`. */
export const conditionSchema = z
  .object({
    type: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[A-Za-z0-9]([A-Za-z0-9_./-]*[A-Za-z0-9])?$/)
      .meta({ description: 'Type of the condition in CamelCase.' }),
    status: z.enum(['True', 'False', 'Unknown']).meta({ description: 'Status of the condition.' }),
    observedGeneration: z
      .int()
      .min(0)
      .optional()
      .meta({ description: 'metadata.generation of the spec that the condition was set by.' }),
    lastTransitionTime: z.iso
      .datetime({ offset: true })
      .max(64)
      .meta({ description: 'When the status of the condition last changed.' }),
    reason: z
      .string()
      .min(1)
      .max(128)
      .regex(/^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$/)
      .meta({ description: 'Why the status is what it is: one word in CamelCase, for programs.' }),
    message: z.string().max(CONDITION_MESSAGE_LENGTH_MAX).meta({ description: 'The same in a sentence, for people.' }),
  })
  .meta({ description: 'One aspect of the state of the object.' });
export type Condition = z.output<typeof conditionSchema>;

export const conditionsSchema = z
  .array(conditionSchema)
  .max(CONDITIONS_MAX)
  .optional()
  .meta({
    description: 'The state of the object, one entry for each aspect.',
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  });
