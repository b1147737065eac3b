import type { KubeObject } from '../kube/kube-object.ts';
import type { LeaseStore } from '../kube/lease-store.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import type { SavedSession } from './saved-holds.ts';

/** Namespace of every lock that names none. */
export const DEV_NAMESPACE = 'default';
/** Everybody on this machine is one principal: there is no authentication on localhost. */
export const PRINCIPAL = 'local';

/** The doors to the world that everything in this process shares. */
export interface Tools {
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
}

/** Where the locks of `npm start` are kept: an embedded Kubernetes API, or a cluster. */
export interface Place extends AsyncDisposable {
  readonly leases: LeaseStore;
  readonly authorityLeases?: LeaseStore;
  readonly objects: ObjectStore;
  /** Name of this process as a replica. */
  readonly podName: string;
  /** As in `OperatorOptions`. */
  readonly isKnownDead?: (incarnation: string) => boolean;
  /** Objects that are there from the start, unless something of their name is there already. */
  readonly initial: readonly KubeObject[];
  /**
   * What an orderly stop of the earlier process wrote down of its callers' holds; `undefined` if it wrote nothing. It is
   * forgotten here, so that a crash of this process is not mistaken for an orderly stop.
   */
  takeSavedSession(): Promise<SavedSession | undefined>;
  /** Writes down what callers hold, at an orderly stop. Does nothing where there is no room for it. */
  saveSession(session: SavedSession): Promise<void>;
  /** Lets kubectl in, where there is no API server that already does. Called once everything else serves. */
  publish(): Promise<AsyncDisposable>;
  /** For people: where locks are kept. */
  readonly description: string;
  /** For people: the kubeconfig that shows these locks. */
  readonly kubeconfigPath: string;
}
