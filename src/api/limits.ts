/**
 * Every bound of the product, in one place: nothing in Lockkeeper grows without one of these.
 * A request beyond a bound is refused with a coded error that names the field and the bound.
 * Durations are integers in milliseconds unless the name says otherwise; sizes are UTF-8 bytes.
 */
export const LIMITS = {
  /** Length of a DistributedLock's or LockPool's name: a DNS-1123 label, so that it fits a Kubernetes label value. */
  nameLengthMax: 63,
  /** Length of the key part of a pool lock id (`pool/key`). */
  poolKeyLengthMax: 200,
  /** Length of a namespace: a DNS-1123 label. */
  namespaceLengthMax: 63,
  ownerIdLengthMax: 128,
  requestIdLengthMax: 128,
  /** Metadata of a hold: entries, and bytes of the whole map as JSON. */
  metadataEntriesMax: 32,
  metadataBytesMax: 4_096,
  /** Text given with a force release. */
  reasonLengthMax: 512,

  /** Time to live of a hold. The floor keeps renewals from becoming a storm; the ceiling bounds the grace of a new owner. */
  ttlMsMin: 1_000,
  ttlMsMax: 3_600_000,
  /** Longest wait for a grant; -1 asks for a wait without end. */
  timeoutMsMax: 86_400_000,
  /** Longest life of one hold over all its renewals (30 days; beyond what a single platform timer can count). */
  maxHoldMsMax: 2_592_000_000,
  lockDelayMsMax: 3_600_000,

  priorityMax: 9,
  permitsMax: 256,
  waitersPerLockMax: 100_000,
  /** Holders of one DistributedLock: each is recorded on its Lease, whose annotations end at 256 KiB. */
  durableHoldersMax: 256,
  /** Re-entrant acquires of one hold. */
  depthMax: 10_000,
  /** Locks of one acquireAll or releaseAll. */
  acquireAllMax: 32,
  /** Locks of one page of a list, and its default. */
  listLimitMax: 500,
  listLimitDefault: 100,
  /** Waiters named by one inspection; the count beside them is exact. */
  waitersShownMax: 100,
  holdersShownMax: 100,

  /** Live holds of one session; a guard against an application that leaks them. */
  holdsPerSessionMax: 2_000_000,
  /** Queued requests of one session. */
  waitersPerSessionMax: 200_000,
  /** Requests that may share one queued acquire through the same request id. */
  retriesPerWaiterMax: 8,
  /** Sessions that one shard can record for an early end of grace. */
  sessionSlotsMax: 16_384,
  sessionsMax: 65_536,
  /** Edges of the wait-for graph that one deadlock search may follow; a larger graph is not searched. */
  deadlockSearchMax: 2_000,
  /** Forced ends of pool locks that one shard remembers for its successor. */
  revocationsPerShardMax: 1_024,

  /** Bytes of one HTTP request body: 32 ids of 264 bytes, 4 KiB of metadata and room for JSON escapes. */
  bodyBytesMax: 32_768,
} as const;

/** Default time to live where neither request nor policy says otherwise. */
export const DEFAULT_TTL_MS = 15_000;

/**
 * Under `Priority` fairness a waiter gains one step of priority for each of these waited, so a waiter of priority 0 is
 * overtaken only by waiters of priority 9 that come less than nine steps later: nobody starves.
 */
export const PRIORITY_AGING_MS = 5_000;

/** Fencing tokens are integers in `1 .. 2^53 - 1`: exact in every JSON parser, written as decimal strings all the same. */
export const TOKEN_MAX = Number.MAX_SAFE_INTEGER;

/**
 * What a holder gives up before the owner frees: it pays for the drift in rate between two clocks, nothing else
 * (delays are already paid by counting from the send). 50 ms + 2 % of the time granted.
 */
export function holderMarginMs(grantedMs: number): number {
  return 50 + grantedMs * 0.02;
}

/** When a holder should renew: a third of the time granted, as client-go's ratios and Redisson's watchdog do. */
export function renewAfterMs(grantedMs: number): number {
  return Math.floor(grantedMs / 3);
}
