import { LockkeeperError } from '../api/codes.ts';
import { TOKEN_MAX } from '../api/limits.ts';

/** No release of this software is older: a wall clock before it is wrong. 2026-01-01 in UTC. */
const EARLIEST_WALL_MS = 1_767_225_600_000;
/** Nor is it run twenty years later. One wrong clock must not use up a counter for ever. */
const LATEST_WALL_MS = EARLIEST_WALL_MS + 20 * 366 * 86_400_000;

/**
 * The wall clock as a floor for counters: it covers a deleted Lease, a recreated namespace and a restored backup, since every
 * token ever given out was below the wall clock of its time or grew by single steps from it. Throws UNAVAILABLE for an
 * implausible clock: serving with it could make a counter useless.
 */
export function plausibleWallMs(wallMs: number): number {
  if (wallMs >= EARLIEST_WALL_MS && wallMs <= LATEST_WALL_MS) return Math.floor(wallMs);
  throw new LockkeeperError(
    'UNAVAILABLE',
    `The clock of this machine says ${new Date(wallMs).toISOString()}, which cannot be. Set it right, then start again: fencing tokens must never begin from a wrong time.`,
    { reason: 'implausibleClock', wallMs },
  );
}

/** Lowest counter of a DistributedLock that has no better record: milliseconds. */
export function lockCounterFloor(wallMs: number): number {
  return plausibleWallMs(wallMs);
}

/**
 * First token of a new owner's block for memory grants: above what is recorded as reserved, above every token this process has
 * seen, and at least the wall clock in microseconds.
 */
export function firstMemoryToken(recordedCounter: number, seenCounter: number, wallMs: number): number {
  const first = Math.max(recordedCounter + 1, seenCounter + 1, plausibleWallMs(wallMs) * 1_000);
  if (first > TOKEN_MAX) throw new LockkeeperError('INTERNAL', 'The token counter of a shard is used up.', { first });
  return first;
}

/**
 * Epoch of a new reign over a shard: above the recorded one, above those this process remembers, and at least the wall clock in
 * seconds since 2026. A restored backup would otherwise bring back epochs that sessions have left behind, and they would
 * discard every answer of the new owner. It stays below 2^31 as `leaseTransitions` must.
 */
export function nextEpoch(recordedEpoch: number, seenEpoch: number, wallMs: number): number {
  return Math.max(recordedEpoch + 1, seenEpoch + 1, Math.floor((plausibleWallMs(wallMs) - EARLIEST_WALL_MS) / 1_000));
}
