import { Registry } from 'prom-client';
import type { KubeObject } from '../kube/kube-object.ts';
import { type Operator, OPERATOR_NAMESPACE, startOperator } from '../operator/operator.ts';
import { type Endpoint, openEndpoint } from '../sidecar/endpoint/endpoint.ts';
import { openLocalLocks } from '../sidecar/session/local-locks.ts';
import type { Disposables } from '../system/disposables.ts';
import { OnDemandLocks } from './on-demand-locks.ts';
import { DEV_NAMESPACE, type Place, PRINCIPAL, type Tools } from './place.ts';
import { recordedHolds } from './recorded-holds.ts';
import { declare, declareMissing } from './resources.ts';

export interface DevServerOptions extends Tools {
  readonly place: Place;
  /** 0 takes any free port. */
  readonly port: number;
  readonly socketPath: string | undefined;
  /** Locks and pools to declare at the start. */
  readonly declared: readonly KubeObject[];
  readonly version: string;
  /** The process must end: an invariant broke. */
  readonly onFatal: (error: unknown) => void;
  /** Told when the start has to wait for another owner of the locks, an incarnation. */
  readonly onStandby: (owner: string) => void;
  /** Whatever is opened is added here. Disposed in order: no new requests, what callers hold is saved, writes land. */
  readonly resources: Disposables;
}

/** After this, in ms, people hear what the start waits for. */
const TELL_AFTER_MS = 1_500;

/**
 * The operator's lock server and controllers and the sidecar's session and endpoint in one process. Resolves once it serves; while
 * another operator owns the locks of the cluster it waits for that one to go.
 */
export async function startDevServer(options: DevServerOptions): Promise<Endpoint> {
  const { place, clock, timers, random, log, resources, onFatal } = options;
  const tools = { clock, timers, random, log };
  const saved = await place.takeSavedSession();
  await declareMissing(place.objects, place.initial);
  await declare(place.objects, options.declared);
  const { leases, authorityLeases, objects, podName, isKnownDead } = place;
  const registry = new Registry();
  const namespace = OPERATOR_NAMESPACE;
  const operator = resources.add(
    await startOperator({
      ...{ ...tools, leases, authorityLeases, objects, namespace, podName, registry, isKnownDead, onFatal },
    }),
  );
  await untilServing(operator, options);
  let slot = -1;
  const locks = openLocalLocks({
    ...tools,
    openTransport: (listener) => {
      const connection = operator.server.connect(PRINCIPAL, listener, saved?.slot);
      slot = connection.slot;
      return connection;
    },
    namespace: DEV_NAMESPACE,
    principal: PRINCIPAL,
    awaitsSaved: true,
    unreachableReason: () => operator.notReadyReason(),
  });
  resources.defer(() => locks.close('lost'));
  // After a crash pool keys are not among them: their owners keep waiting for the earlier session, whose slot is another one.
  await locks.restore(saved?.holds ?? (await recordedHolds(leases, PRINCIPAL)));
  resources.defer(() => place.saveSession({ slot, holds: locks.save() }));
  const endpoint = await openEndpoint({
    ...tools,
    calls: new OnDemandLocks({ calls: locks, objects, server: operator.server, namespace: DEV_NAMESPACE }),
    metrics: async () => ({ contentType: registry.contentType, body: await registry.metrics() }),
    version: options.version,
    port: options.port,
    ...(options.socketPath === undefined ? {} : { socketPath: options.socketPath }),
  });
  resources.add(endpoint);
  resources.add(await place.publish());
  return endpoint;
}

async function untilServing({ server, serving }: Operator, { timers, onStandby }: DevServerOptions): Promise<void> {
  using _teller = timers.after(TELL_AFTER_MS, () => {
    if (server.awaitedOwner !== undefined) onStandby(server.awaitedOwner);
  });
  await serving;
}
