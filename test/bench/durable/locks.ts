/** What a DistributedLock costs its callers. */
import { closedLoop, type Round } from './figures.ts';
import type { LockClient } from './lock-client.ts';
import type { Contest } from './naive-cas.ts';

/**
 * Each client takes and gives back locks of its own, `locksEach` of them in turn, so that with more than one an acquire meets
 * a lock whose last release has been written. Times are those of the acquires.
 */
export function acquires(locks: LockClient, clients: number, locksEach: number, durationMs: number): Promise<Round> {
  return closedLoop(clients, durationMs, async (client, round) => {
    const lock = lockName(client * locksEach + (round % locksEach));
    const sentMs = performance.now();
    const token = await locks.acquire(lock, 60_000);
    const timeMs = performance.now() - sentMs;
    await locks.release(lock, token);
    return timeMs;
  });
}

export function lockName(index: number): string {
  return `bench-${index}`;
}

/** N clients wait for one lock; whoever has it gives it back at once and waits again. */
export async function hotLock(locks: LockClient, lock: string, clients: number, durationMs: number): Promise<Contest> {
  const gapsMs: number[] = [];
  let releasedMs = Number.NaN;
  const { perSecond } = await closedLoop(clients, durationMs, async () => {
    const token = await locks.acquire(lock, 60_000);
    if (!Number.isNaN(releasedMs)) gapsMs.push(performance.now() - releasedMs);
    releasedMs = performance.now();
    await locks.release(lock, token);
    return 0;
  });
  return { winsPerSecond: perSecond, gapsMs, conflictShare: 0 };
}
