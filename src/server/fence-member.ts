import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Timers } from '../system/timers.ts';
import { MEMBER_LABEL, memberLeaseName } from './member.ts';
import { MemberObservation } from './member-observation.ts';

const RETRY_MS = 250;
/** How often to look whether a record is there again whose absence made it necessary to fence everybody. */
const LOOK_EVERY_MS = 1_000;

export interface FenceOptions {
  readonly store: LeaseStore;
  readonly namespace: string;
  readonly clock: Clock;
  readonly timers: Timers;
  /**
   * Whether this incarnation is known to be dead without observing it: an earlier life of this very process, or one that a
   * lock on its own data directory excludes.
   */
  readonly isKnownDead: (incarnation: string) => boolean;
  /** False once the taker is no owner any more itself: it then fences nobody. */
  readonly isWanted: () => boolean;
  /** Told that this incarnation has to be waited for. */
  readonly onWaiting?: ((incarnation: string) => void) | undefined;
}

/**
 * Makes sure that an incarnation can never again renew its member Lease: sees the Lease unchanged for its whole duration, as
 * measured here, and empties it by a compare-and-swap on that very version. Any other version seen restarts the observation,
 * so a live member is never fenced. A Lease that is missing says nothing of its member's life, only that no renewal can land any
 * more: it too is waited for. Resolves when it is done or was done before, or is not wanted any more; retries what the store does
 * not answer.
 */
export async function fenceMember(options: FenceOptions, incarnation: string): Promise<void> {
  const { store, namespace, clock, timers } = options;
  const name = memberLeaseName(incarnation);
  using observation = new MemberObservation(options, name);
  while (options.isWanted()) {
    try {
      const found = await store.get(namespace, name);
      if (found !== undefined && found.spec.holderIdentity !== incarnation) return;
      if (!options.isKnownDead(incarnation) && observation.note(found) > clock.monotonicMs()) {
        options.onWaiting?.(incarnation);
        await observation.nextLook();
        continue;
      }
      if (found === undefined || !options.isWanted()) return;
      await store.update({ metadata: found.metadata, spec: { ...found.spec, holderIdentity: undefined } });
      return;
    } catch (error) {
      if (!(error instanceof StoreError) || (error.outcome === 'rejected' && !error.retryable)) throw error;
      await new Promise<void>((resolve) => timers.after(RETRY_MS, resolve));
    }
  }
}

/**
 * Fences every member but `self`: the record of who owned something is gone, so it may be anybody. Resolves early once the Lease
 * `record` is there again, written by whoever owns it.
 */
export async function fenceEveryMember(options: FenceOptions, self: string, record: string): Promise<void> {
  const { store, namespace, timers } = options;
  let done = false;
  const isWanted = () => !done && options.isWanted();
  // Ends by itself, at its next look.
  const look = async (): Promise<void> => {
    while (isWanted()) {
      await new Promise<void>((resolve) => timers.after(LOOK_EVERY_MS, resolve));
      if (!isWanted()) return;
      const found = await store.get(namespace, record).catch(() => undefined);
      if (found !== undefined) done = true;
    }
  };
  void look();
  try {
    const { items } = await store.list({ namespace, labelSelector: MEMBER_LABEL });
    const others = items.flatMap(({ spec }) => spec.holderIdentity ?? []).filter((holder) => holder !== self);
    await Promise.all(others.map((other) => fenceMember({ ...options, isWanted }, other)));
  } finally {
    done = true;
  }
}

/** Deletes the Leases of members that have left or were fenced. To be called when no record names any of them any more. */
export async function collectMembers(options: Pick<FenceOptions, 'store' | 'namespace'>): Promise<void> {
  const { store, namespace } = options;
  const { items } = await store.list({ namespace, labelSelector: MEMBER_LABEL });
  for (const { metadata, spec } of items) {
    if ((spec.holderIdentity ?? '') === '') await store.delete(namespace, metadata.name, metadata.resourceVersion);
  }
}
