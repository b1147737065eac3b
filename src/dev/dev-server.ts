import { collectDefaultMetrics, Registry } from 'prom-client';
import { lockKindOf, policyNameOf } from '../api/lock-id.ts';
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY } from '../api/policies.ts';
import { MemoryLeaseStore } from '../kube/memory-lease-store.ts';
import { LockServer } from '../server/lock-server.ts';
import { ServerMetrics } from '../server/server-metrics.ts';
import { type Endpoint, openEndpoint } from '../sidecar/endpoint/endpoint.ts';
import { openLocalLocks } from '../sidecar/session/local-locks.ts';
import type { Clock } from '../system/clock.ts';
import { Disposables } from '../system/disposables.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { leaseJournal, leasesOf, openDataDirectory } from './data-directory.ts';
import type { DeclaredRules } from './manifests.ts';
import { saveHolds, takeSavedHolds } from './saved-holds.ts';

/** Namespace of every lock that names none, and of the operator's own Leases. */
export const DEV_NAMESPACE = 'default';
const OPERATOR_NAMESPACE = 'lockkeeper-system';
/** Everybody on this machine is one principal: there is no authentication on localhost. */
const PRINCIPAL = 'local';

export interface DevServerOptions {
  /** 0 takes any free port. */
  readonly port: number;
  readonly socketPath: string | undefined;
  readonly dataDirectory: string | undefined;
  readonly rules: readonly DeclaredRules[];
  readonly version: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** The process must end: an invariant broke. */
  readonly onFatal: (error: unknown) => void;
}

export interface DevServer extends AsyncDisposable {
  readonly endpoint: Endpoint;
  /** The file that keeps the locks; `undefined` if nothing does. */
  readonly dataFile: string | undefined;
}

/**
 * The operator's lock server and the sidecar's session and endpoint in one process, on an embedded store. Disposing it stops in
 * order: no new requests, what callers hold is saved, writes land, the data directory is let go.
 */
export async function startDevServer(options: DevServerOptions): Promise<DevServer> {
  const { clock, timers, random, log } = options;
  const resources = new Disposables();
  try {
    const data =
      options.dataDirectory === undefined
        ? undefined
        : await openDataDirectory({ path: options.dataDirectory, timers });
    if (data !== undefined) resources.add(data.directory);
    const saved = data === undefined ? [] : await takeSavedHolds(data.directory, data.content);
    const store = resources.add(
      new MemoryLeaseStore({
        clock,
        random,
        ...(data === undefined
          ? {}
          : {
              journal: leaseJournal(data.directory),
              initial: { leases: leasesOf(data.content), resourceVersion: data.content.resourceVersion },
            }),
      }),
    );
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const metrics = new ServerMetrics(registry, () => server.gauges());
    const server: LockServer = await LockServer.start({
      store,
      namespace: OPERATOR_NAMESPACE,
      podName: 'dev',
      clock,
      timers,
      random,
      log,
      metrics,
      // The data directory lets one process in at a time, and a store in memory begins empty: no predecessor can be alive.
      isKnownDead: () => true,
      onUnknown: createOnDemand,
      onFatal: options.onFatal,
    });
    resources.add(server);
    server.configurePool(`${DEV_NAMESPACE}/default`, DEFAULT_POOL_POLICY);
    for (const { resource, name, policy } of options.rules) {
      if (resource === 'lock') server.configureLock(name, policy);
      else server.configurePool(name, policy);
    }
    const locks = openLocalLocks({
      openTransport: (listener) => server.connect(PRINCIPAL, listener),
      clock,
      timers,
      random,
      log,
      namespace: DEV_NAMESPACE,
      principal: PRINCIPAL,
      awaitsSaved: saved.length > 0,
      unreachableReason: () => server.notReadyReason(),
    });
    resources.defer(() => locks.close('lost'));
    if (saved.length > 0) await locks.restore(saved);
    if (data !== undefined) resources.defer(() => saveHolds(data.directory, locks.save()));
    const endpoint = await openEndpoint({
      calls: locks,
      clock,
      timers,
      log,
      metrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
      version: options.version,
      port: options.port,
      ...(options.socketPath === undefined ? {} : { socketPath: options.socketPath }),
    });
    resources.add(endpoint);
    return { endpoint, dataFile: data?.directory.file, [Symbol.asyncDispose]: () => resources.dispose() };
  } catch (error) {
    await resources.dispose();
    throw error;
  }
}

/** In `dev` mode a lock or pool begins to exist with its first acquire; on a cluster it would be LOCK_NOT_FOUND. */
function createOnDemand(server: LockServer, key: string): void {
  const name = policyNameOf(key);
  if (lockKindOf(key) === 'lock') server.configureLock(name, DEFAULT_LOCK_POLICY);
  else server.configurePool(name, DEFAULT_POOL_POLICY);
}
