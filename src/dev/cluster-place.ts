import { hostname } from 'node:os';
import { openCluster } from '../kube/cluster/cluster.ts';
import { checkCluster } from '../operator/cluster-checks.ts';
import { dnsLabelOf } from '../operator/config.ts';
import { OPERATOR_NAMESPACE } from '../operator/operator.ts';
import { DEV_RULES } from '../operator/permissions.ts';
import type { Place, Tools } from './place.ts';

export interface ClusterPlaceOptions extends Tools {
  readonly kubeconfigPath: string;
  readonly context: string | undefined;
  readonly version: string;
  /** Ends the checks. */
  readonly signal: AbortSignal;
}

/** A Kubernetes cluster that has the custom resources. Rejects with a `LockkeeperError` that says what it lacks. */
export async function openClusterPlace(options: ClusterPlaceOptions): Promise<Place> {
  const { kubeconfigPath, version } = options;
  const cluster = await openCluster({ ...options, userAgent: `lockkeeper-dev/${version}` });
  try {
    await checkCluster({ ...options, cluster, namespace: OPERATOR_NAMESPACE, rules: DEV_RULES });
  } catch (error) {
    await cluster[Symbol.asyncDispose]();
    throw error;
  }
  return {
    leases: cluster.leases,
    authorityLeases: cluster.authorityLeases,
    objects: cluster.objects,
    podName: `dev-${dnsLabelOf(hostname())}`,
    initial: [],
    // What is on the Leases of locks is all that outlives this process.
    takeSavedSession: () => Promise.resolve(undefined),
    saveSession: () => Promise.resolve(),
    publish: () => Promise.resolve({ [Symbol.asyncDispose]: () => Promise.resolve() }),
    description: `Locks are kept in the cluster at ${cluster.server}.`,
    kubeconfigPath,
    [Symbol.asyncDispose]: () => cluster[Symbol.asyncDispose](),
  };
}
