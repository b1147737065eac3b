import { collectDefaultMetrics, Registry } from 'prom-client';
import { customResourceDefinitions } from '../api/custom-resources/definitions.ts';
import { startControllers } from '../controller/controllers.ts';
import { EmbeddedStore } from '../kube/embedded/embedded-store.ts';
import { type KubeObject, LOCK_POOLS } from '../kube/kube-object.ts';
import { LockServer } from '../server/lock-server.ts';
import { ServerMetrics } from '../server/server-metrics.ts';
import { type Endpoint, openEndpoint } from '../sidecar/endpoint/endpoint.ts';
import { openLocalLocks } from '../sidecar/session/local-locks.ts';
import type { Clock } from '../system/clock.ts';
import { Disposables } from '../system/disposables.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { objectJournal, objectsOf, openDataDirectory } from './data-directory.ts';
import { type KubeApi, openKubeApi } from './kube-api.ts';
import { writeKubeconfig } from './kubeconfig.ts';
import { ServerLockAuthority } from './lock-authority.ts';
import { configureDeclared, createOnDemand, declare, objectOf } from './resources.ts';
import { saveHolds, takeSavedHolds } from './saved-holds.ts';

/** Namespace of every lock that names none, and of the operator's own Leases. */
export const DEV_NAMESPACE = 'default';
const OPERATOR_NAMESPACE = 'lockkeeper-system';
/** Everybody on this machine is one principal: there is no authentication on localhost. */
const PRINCIPAL = 'local';
/** Name of this process as a replica. */
const INSTANCE = 'dev';

export interface DevServerOptions {
  /** 0 takes any free port. */
  readonly port: number;
  readonly socketPath: string | undefined;
  readonly dataDirectory: string | undefined;
  /** Port of the embedded Kubernetes API; 0 takes any free one. */
  readonly kubePort: number;
  /** Where to write the kubeconfig for it. */
  readonly kubeconfigPath: string;
  /** Locks and pools to declare at the start. */
  readonly declared: readonly KubeObject[];
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
  readonly kubeApi: KubeApi;
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
    const saved = data === undefined ? undefined : await takeSavedHolds(data.directory, data.content);
    const store = resources.add(
      new EmbeddedStore({
        clock,
        random,
        customResourceDefinitions: customResourceDefinitions(),
        ...(data === undefined
          ? {}
          : {
              journal: objectJournal(data.directory),
              initial: { objects: objectsOf(data.content), resourceVersion: data.content.resourceVersion },
            }),
      }),
    );
    const registry = new Registry();
    collectDefaultMetrics({ register: registry });
    const metrics = new ServerMetrics(registry, () => server.gauges());
    const server: LockServer = await LockServer.start({
      store: store.leases,
      namespace: OPERATOR_NAMESPACE,
      podName: INSTANCE,
      clock,
      timers,
      random,
      log,
      metrics,
      // The data directory lets one process in at a time, and a store in memory begins empty: no predecessor can be alive.
      isKnownDead: () => true,
      onUnknown: createOnDemand(store, log),
      onFatal: options.onFatal,
    });
    resources.add(server);
    if ((await store.get(LOCK_POOLS, DEV_NAMESPACE, 'default')) === undefined) {
      await declare(store, [objectOf('LockPool', `${DEV_NAMESPACE}/default`)]);
    }
    await declare(store, options.declared);
    await configureDeclared(store, server);
    const authority = resources.add(new ServerLockAuthority(server));
    resources.add(
      startControllers({
        store,
        leases: store.leases,
        authority,
        instance: INSTANCE,
        registry,
        clock,
        timers,
        random,
        log,
      }),
    );
    let slot = -1;
    const locks = openLocalLocks({
      openTransport: (listener) => {
        const connection = server.connect(PRINCIPAL, listener, saved?.slot);
        slot = connection.slot;
        return connection;
      },
      clock,
      timers,
      random,
      log,
      namespace: DEV_NAMESPACE,
      principal: PRINCIPAL,
      awaitsSaved: saved !== undefined,
      unreachableReason: () => server.notReadyReason(),
    });
    resources.defer(() => locks.close('lost'));
    if (saved !== undefined) await locks.restore(saved.holds);
    if (data !== undefined) resources.defer(() => saveHolds(data.directory, { slot, holds: locks.save() }));
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
    const kubeApi = resources.add(await openKubeApi({ store, port: options.kubePort, clock, timers, log }));
    await writeKubeconfig(options.kubeconfigPath, kubeApi.port);
    return { endpoint, kubeApi, dataFile: data?.directory.file, [Symbol.asyncDispose]: () => resources.dispose() };
  } catch (error) {
    await resources.dispose();
    throw error;
  }
}
