import type { Clock } from '../../system/clock.ts';
import { Disposables } from '../../system/disposables.ts';
import type { Log } from '../../system/logger.ts';
import type { Random } from '../../system/random.ts';
import type { Timers } from '../../system/timers.ts';
import type { LeaseStore } from '../lease-store.ts';
import type { ObjectStore } from '../object-store.ts';
import { type AccessRequest, reviewOwnAccess } from './access-review.ts';
import { ClusterLeaseStore } from './cluster-lease-store.ts';
import { ClusterObjectStore, type ClusterStoreOptions } from './cluster-object-store.ts';
import { Connections } from './connections.ts';
import { kubeconfigCredentials } from './kubeconfig.ts';
import { RateLimit } from './rate-limit.ts';
import { Requester } from './requester.ts';

export interface ClusterOptions {
  /**
   * A kubeconfig, or several separated like `PATH` (as in `KUBECONFIG`). Default: `~/.kube/config` if there is one, else the
   * service account of the pod this process runs in.
   */
  readonly kubeconfigPath?: string | undefined;
  /** Which context of it. Default: its current one. */
  readonly context?: string | undefined;
  /** Says in the audit log who this is, for example `lockkeeper-operator/0.1.0`. */
  readonly userAgent: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /**
   * Requests per second in the long run, and at once after a pause: a bound on what a fault in this process can do to the API
   * server, not a throttle of ordinary work. Authority is not counted. Defaults 1,000 and 2,000.
   */
  readonly requestsPerSecondMax?: number | undefined;
  readonly requestsBurst?: number | undefined;
  /** Connections for ordinary requests. Default 16. Watches take one more each. */
  readonly connectionsMax?: number | undefined;
  /** Default 5,000. */
  readonly writeTimeoutMs?: number | undefined;
  /** Of a `get`, with all its attempts. Default 10,000. A page of a list is given 30,000. */
  readonly readTimeoutMs?: number | undefined;
  /**
   * Of a call of `authorityLeases`. Default 2,500: a member Lease lives for 6 s and is renewed every 2 s, so that after one call
   * without an answer there is time for another one over a new connection.
   */
  readonly authorityTimeoutMs?: number | undefined;
  /** A watch on which nothing came for this long is ended. Default 90,000: an API server sends a bookmark each minute. */
  readonly watchIdleMs?: number | undefined;
}

/** A real Kubernetes API server. */
export interface Cluster extends AsyncDisposable {
  readonly leases: LeaseStore;
  /** The same Leases over connections of their own, with shorter timeouts and no rate limit: for member and shard Leases. */
  readonly authorityLeases: LeaseStore;
  readonly objects: ObjectStore;
  /** URL of the API server. */
  readonly server: string;
  /** What the server says it is, for example `v1.36.3`. Rejects with a `StoreError`. */
  version(): Promise<string>;
  /** Whether the account of the kubeconfig may do this, by the API server's word. Rejects with a `StoreError`. */
  isAllowed(access: AccessRequest): Promise<boolean>;
}

/**
 * Reads a kubeconfig and prepares the way to its API server; nothing is sent yet. Rejects with a `LockkeeperError`
 * (INVALID_ARGUMENT) if the kubeconfig cannot be used. Disposal ends every call and every watch.
 */
export async function openCluster(options: ClusterOptions): Promise<Cluster> {
  const { clock, timers, random, userAgent } = options;
  const credentials = await kubeconfigCredentials(options);
  const disposables = new Disposables();
  const connections = (connectionsMax: number | undefined, agent: string) =>
    disposables.add(new Connections({ credentials, connectionsMax, userAgent: agent }));

  const watchConnections = connections(undefined, userAgent);
  const requester = new Requester({
    connections: connections(options.connectionsMax ?? 16, userAgent),
    clock,
    timers,
    random,
    rateLimit: new RateLimit({
      requestsPerSecondMax: options.requestsPerSecondMax ?? 1_000,
      burst: options.requestsBurst ?? 2_000,
      clock,
      timers,
    }),
    writeTimeoutMs: options.writeTimeoutMs ?? 5_000,
    readTimeoutMs: options.readTimeoutMs ?? 10_000,
  });
  const authorityTimeoutMs = options.authorityTimeoutMs ?? 2_500;
  const authority = new Requester({
    // More than the writes of shard Leases that are in flight at once, so that a renewal never waits for one.
    connections: connections(24, `${userAgent} (authority)`),
    clock,
    timers,
    random,
    rateLimit: undefined,
    writeTimeoutMs: authorityTimeoutMs,
    readTimeoutMs: authorityTimeoutMs,
  });
  const store: ClusterStoreOptions = {
    requester,
    watchConnections,
    clock,
    timers,
    random,
    watchIdleMs: options.watchIdleMs ?? 90_000,
  };
  return {
    leases: new ClusterLeaseStore(store),
    authorityLeases: new ClusterLeaseStore({ ...store, requester: authority }),
    objects: new ClusterObjectStore(store),
    server: credentials.server,
    version: async () => {
      const call = { write: false, what: 'read the version of the API server' };
      const { value } = await requester.read({ ...call, request: { method: 'GET', path: '/version' } });
      return (value as { readonly gitVersion: string }).gitVersion;
    },
    isAllowed: (access) => reviewOwnAccess(requester, access),
    [Symbol.asyncDispose]: () => disposables.dispose(),
  };
}
