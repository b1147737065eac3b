/**
 * Reasons of the Events that the product writes on DistributedLocks, LockPools and Leases, with the type of each. The list is
 * closed, and a reason is never reused for another meaning.
 */
export const EVENT_REASONS = {
  /** A DistributedLock was granted. */
  Granted: 'Normal',
  /** A hold was given back by its holder. */
  Released: 'Normal',
  /** A new owner took up the recorded holders after the loss of the last one. */
  TakenOver: 'Normal',
  /** The holder's pod is known to be over (containers reported terminated): its hold was released at once. */
  Orphaned: 'Normal',
  /** An edit of the spec is in force for grants after it. */
  SpecApplied: 'Normal',

  /** A hold reached the end of its time to live: its holder stopped renewing. */
  Expired: 'Warning',
  /** A hold is past its time to live and stays, since `expiryPolicy` is Alert: a person has to decide. */
  Overdue: 'Warning',
  /** A hold reached `maxHoldSeconds`, whatever it renewed. */
  MaxHoldReached: 'Warning',
  /** An administrator took the hold away; the message says who and why. */
  ForceReleased: 'Warning',
  /** A force release was asked for by annotation and could not be done; the message says why. */
  ForceReleaseRefused: 'Warning',
  /** Owners wait for each other in a circle; the message names it. */
  DeadlockFound: 'Warning',
  /** A waiter was refused to end a deadlock, since `deadlockPolicy` is Break. */
  DeadlockBroken: 'Warning',
  /** The queue is at `maxWaiters`; acquires get QUEUE_FULL. */
  QueueFull: 'Warning',
  /** Somebody claimed a hold after a takeover without a right to it. */
  ReclaimRefused: 'Warning',
  /** Two claims for one hold after a takeover: neither was extended. */
  ReclaimConflict: 'Warning',
  /** The object was deleted while held: its holds live to their end, the Lease stays. */
  DeletedWhileHeld: 'Warning',
  /** The stored spec breaks a rule; the last good spec stays in force. */
  InvalidSpec: 'Warning',
  /** The API server refused to write the lock's Lease. */
  StoreRefused: 'Warning',
  /** The lock's Lease belongs to somebody else, was edited by hand, or is damaged. */
  LeaseUnusable: 'Warning',
  /** The lock's Lease went backwards (a restored backup): the lock was taken over anew, above every token seen. */
  LeaseRestored: 'Warning',
} as const;

export type EventReason = keyof typeof EVENT_REASONS;
export type EventType = (typeof EVENT_REASONS)[EventReason];
