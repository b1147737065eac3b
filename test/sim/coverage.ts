/** How often rare paths were reached. */
import { RARE_PATHS, type RarePath } from '../../src/engine/effects.ts';

/** Paths the simulator sees itself, beside the engine's own. */
export const SIMULATED_PATHS = [
  'storeConflictByEditor',
  'storeRejected',
  'storeUnknownLost',
  'storeUnknownLanded',
  'storeLandedLate',
  'watchEvent',
  'watchSilent',
  'watchEnded',
  'leaseRepaired',
  'leaseRestored',
  'leaseEditedByHand',
  'leaseDeletedByHand',
  'restoreUnderRunningOwner',
  'restoreWhileDown',
  'shardRetaken',
  'memberLost',
  'ownerPaused',
  'ownerPausedInStoreCall',
  'ownerSuspended',
  'ownerCrashed',
  'ownerStopped',
  'secondOwner',
  'twoOwnersAlive',
  'ownerWallStepped',
  'ownerFatal',
  'clientPaused',
  'clientSuspended',
  'clientFrozen',
  'clientCrashed',
  'clientSaidGoodbye',
  'clientWallStepped',
  'connectionCut',
  'connectionResumed',
  'frameDelayedLong',
  'staleEpochDiscarded',
  'strayGrantDisowned',
  'deadOnArrival',
  'reclaimSent',
  'reclaimConfirmed',
  'reentered',
  'sharedTogether',
  'permitsTogether',
  'requestRepeated',
  'renewedLate',
  'renewedShorter',
  'renewedLonger',
  'notHeldAnswer',
  'acquireTimeout',
  'lockHeld',
  'queueFull',
  'lockNotFound',
  'deadlockUpgrade',
  'deadlockBroken',
  'outcomeUnknownAnswer',
  'unavailableAnswer',
  'cancelled',
  'forceReleased',
  'expired',
  'maxHold',
  'overdue',
  'lostPush',
  'policyEdited',
  'policyDeleted',
  'policyRecreated',
  'twinRenewed',
  'podCrashed',
  'sidecarRestarted',
  'sidecarKilled',
  'savedRestored',
  'savedRefused',
  'callGranted',
  'callCutOff',
  'callHungUp',
  'callRenewed',
  'autoRenewed',
  'reenteredByCall',
  'heldNoMore',
  'streamGranted',
  'streamLost',
  'allTaken',
  'allRefused',
  'inspectedByCall',
  'listedByCall',
] as const;
/** Cannot happen while one connection carries everything in order; a later transport may reach it. */
const UNREACHABLE: readonly string[] = ['staleEpochDiscarded'];
export type SimulatedPath = (typeof SIMULATED_PATHS)[number];

export class Coverage {
  readonly counts = new Map<string, number>();

  hit(path: SimulatedPath | RarePath, times = 1): void {
    this.#add(path, times);
  }

  #add(path: string, times: number): void {
    this.counts.set(path, (this.counts.get(path) ?? 0) + times);
  }

  add(other: Readonly<Record<string, number>>): void {
    for (const [path, times] of Object.entries(other)) this.#add(path, times);
  }

  toRecord(): Record<string, number> {
    return Object.fromEntries(this.counts);
  }

  /** Every known path with its count, and those that were never reached. */
  table(): { readonly rows: readonly (readonly [string, number])[]; readonly missing: readonly string[] } {
    const paths: string[] = [...RARE_PATHS, ...SIMULATED_PATHS];
    const rows = paths.map((path) => [path, this.counts.get(path) ?? 0] as const);
    const missing = rows.filter(([path, count]) => count === 0 && !UNREACHABLE.includes(path)).map(([path]) => path);
    return { rows, missing };
  }
}
