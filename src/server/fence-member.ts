import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { Timers } from '../system/timers.ts';
import { memberLeaseName } from './member.ts';

const LEASE_DURATION_MS_DEFAULT = 6_000;

export interface FenceOptions {
  readonly store: LeaseStore;
  readonly namespace: string;
  readonly timers: Timers;
  /**
   * Whether this incarnation is known to be dead without observing it: an earlier life of this very process, or one that a
   * lock on its own data directory excludes.
   */
  readonly isKnownDead: (incarnation: string) => boolean;
  /** False once the taker is no owner any more itself: it then fences nobody. */
  readonly isWanted: () => boolean;
}

/**
 * Makes sure that an incarnation can never again renew its member Lease: sees the Lease unchanged for its whole duration, as
 * measured here, and empties it by a compare-and-swap on that very version. Any other version seen restarts the observation,
 * so a live member is never fenced. Resolves when it is done or was done before, or is not wanted any more; retries what the
 * store does not answer.
 */
export async function fenceMember(options: FenceOptions, incarnation: string): Promise<void> {
  const { store, namespace, timers } = options;
  const name = memberLeaseName(incarnation);
  const pause = (delayMs: number) => new Promise<void>((resolve) => timers.after(delayMs, resolve));
  while (options.isWanted()) {
    try {
      const seen = await store.get(namespace, name);
      if (seen === undefined || seen.spec.holderIdentity !== incarnation) return;
      if (!options.isKnownDead(incarnation)) {
        await pause((seen.spec.leaseDurationSeconds ?? LEASE_DURATION_MS_DEFAULT / 1000) * 1000);
        const after = await store.get(namespace, name);
        if (after?.metadata.resourceVersion !== seen.metadata.resourceVersion) continue;
      }
      if (!options.isWanted()) return;
      await store.update({ metadata: seen.metadata, spec: { ...seen.spec, holderIdentity: undefined } });
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || (error.outcome === 'rejected' && !error.retryable)) throw error;
      await pause(250);
    }
  }
}
