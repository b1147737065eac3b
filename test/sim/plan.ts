/** Everything that a run will do, as data: made from the seed alone, so that a failure can be shrunk by leaving parts out. */
import type { LockPolicy } from '../../src/api/policies.ts';
import type { Mode } from '../../src/api/vocabulary.ts';

export interface Plan {
  readonly seed: number;
  readonly shardCount: number;
  /** How long faults and new work go on, in ms of true time. */
  readonly safetyMs: number;
  readonly resources: readonly PlannedResource[];
  /** Full keys that are locked. */
  readonly keys: readonly string[];
  readonly clients: readonly PlannedClient[];
  /** Pods with the production session client. */
  readonly pods: readonly PlannedPod[];
  readonly activities: readonly Activity[];
  readonly podUses: readonly PodUse[];
  readonly events: readonly PlannedEvent[];
  /** Weather of the store, by time; calm where nothing is said. */
  readonly weather: readonly WeatherSpell[];
}

export interface PlannedResource {
  readonly resource: 'lock' | 'pool';
  /** `namespace/name`. */
  readonly name: string;
  readonly policy: LockPolicy;
}

export interface PlannedClient {
  readonly index: number;
  /** Two clients of one principal are twins: either may renew what the other holds. */
  readonly principal: string;
  /** Speed of its clocks. */
  readonly rate: number;
  readonly hasSlot: boolean;
}

/** One use of a lock by one client. */
export interface Activity {
  readonly id: number;
  readonly atMs: number;
  readonly client: number;
  readonly key: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly ttlMs: number;
  readonly timeoutMs: number;
  readonly priority: number;
  readonly named: boolean;
  /** Sends the same request again after this long; 0 for never. */
  readonly repeatAfterMs: number;
  /** Withdraws the acquire after this long; 0 for never. */
  readonly cancelAfterMs: number;
  readonly maxHoldMs: number;
  readonly holdForMs: number;
  readonly renewEveryMs: number;
  readonly renewTtlMs: number;
  /** Further acquires of the same owner while it holds. */
  readonly reentries: number;
  readonly end: 'release' | 'abandon' | 'releaseTwice' | 'upgrade';
  /** A second lock to take while holding the first. */
  readonly nestedKey: string | undefined;
}

export interface PlannedPod {
  readonly index: number;
  /** Speed of the clocks of its machine. */
  readonly rate: number;
  readonly hasSlot: boolean;
}

/** One use of locks by the application of a pod, over the calls of its sidecar. */
export interface PodUse {
  readonly id: number;
  readonly atMs: number;
  readonly pod: number;
  /**
   * - `plain`: the application renews by itself.
   * - `auto`: the sidecar renews; the application looks now and then.
   * - `stream`: held as long as a connection is open.
   * - `all`: several locks or none.
   */
  readonly kind: 'plain' | 'auto' | 'stream' | 'all';
  readonly keys: readonly string[];
  /** Absent: a fresh one for each acquire. */
  readonly ownerId: string | undefined;
  readonly mode: Mode;
  /** Absent: the policy's. */
  readonly ttlMs: number | undefined;
  readonly timeoutMs: number;
  readonly priority: number;
  readonly named: boolean;
  /** Hangs up after this long while it waits; 0 for never. */
  readonly hangUpAfterMs: number;
  readonly maxHoldMs: number;
  readonly holdForMs: number;
  readonly lookEveryMs: number;
  readonly renewTtlMs: number | undefined;
  readonly reentries: number;
  readonly end: 'release' | 'abandon' | 'releaseTwice';
}

export interface WeatherSpell {
  readonly fromMs: number;
  readonly toMs: number;
  /** Chances per call, 0 to 1. */
  readonly conflict: number;
  readonly rejected: number;
  readonly unknownLost: number;
  readonly unknownLanded: number;
  readonly slow: number;
  readonly pauseOwner: number;
}

/** What happens to the world at a moment. `forMs` is how long, where it lasts. */
export interface PlannedEvent {
  readonly id: number;
  readonly atMs: number;
  readonly kind: EventKind;
  /** A client, a key or a resource, by index; taken modulo their number. */
  readonly target: number;
  readonly forMs: number;
}

export type EventKind = ClientEventKind | PodEventKind | OwnerEventKind | RecordEventKind;

export type ClientEventKind =
  | 'clientPause'
  | 'clientSuspend'
  | 'clientFreeze'
  | 'clientCrash'
  | 'clientReturn'
  | 'clientGoodbye'
  | 'clientWallStep'
  | 'clientCut'
  | 'clientResume'
  | 'clientStall'
  | 'twinRenew';

export type PodEventKind =
  | 'appPause'
  | 'sidecarPause'
  | 'podSuspend'
  | 'podFreeze'
  | 'podWallStep'
  | 'podCrash'
  | 'podGoodbye'
  | 'sidecarRestart'
  | 'sidecarKill'
  | 'podCut'
  | 'podResume'
  | 'podStall';

export type OwnerEventKind =
  | 'ownerPause'
  | 'ownerSuspend'
  | 'ownerCrash'
  | 'ownerStop'
  | 'ownerWallStep'
  | 'secondOwner';

export type RecordEventKind =
  | 'restoreRunning'
  | 'restoreDown'
  | 'editLease'
  | 'deleteLease'
  | 'forceRelease'
  | 'forceReleaseThenCrash'
  | 'policyEdit'
  | 'policyDelete';
