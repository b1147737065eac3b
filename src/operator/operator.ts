import { collectDefaultMetrics, type Registry } from 'prom-client';
import { startControllers } from '../controller/controllers.ts';
import { type LeaseStore, StoreError } from '../kube/lease-store.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import { LockServer } from '../server/lock-server.ts';
import { ServerMetrics } from '../server/server-metrics.ts';
import type { Clock } from '../system/clock.ts';
import { Disposables } from '../system/disposables.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import { namespaceMissing } from './cluster-checks.ts';
import { configureDeclared } from './declared.ts';
import { ServerLockAuthority } from './lock-authority.ts';

/** Where the operator's own Leases are if nobody says otherwise. */
export const OPERATOR_NAMESPACE = 'lockkeeper-system';

export interface OperatorOptions {
  readonly leases: LeaseStore;
  /** Another way to the same Leases, for those of members and shards. Default: `leases`. */
  readonly authorityLeases?: LeaseStore | undefined;
  readonly objects: ObjectStore;
  /** Where the Leases of members and shards are. It must exist. */
  readonly namespace: string;
  /** Name of this replica: a DNS label. */
  readonly podName: string;
  /** Where metrics go, those of the process among them. */
  readonly registry: Registry;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** As in `LockServerOptions`. Default: none, so that an owner that does not answer is waited for. */
  readonly isKnownDead?: ((incarnation: string) => boolean) | undefined;
  /** Told once when the process must end: an invariant broke, or no shard can be taken. */
  readonly onFatal: (error: unknown) => void;
}

/**
 * A lock server with its controllers. Disposing it leaves in order: what the controllers began ends, writes land, and the member
 * Lease is given up, so that a successor need not wait for its silence.
 */
export interface Operator extends AsyncDisposable {
  readonly server: LockServer;
  /** Resolves when this process owns the shards for the first time; rejects if that is refused for sure. */
  readonly serving: Promise<void>;
  /** Why it does not serve now, in words; `undefined` if it does. */
  notReadyReason(): string | undefined;
}

/**
 * Starts an operator on a cluster that has the custom resources. Resolves before it serves: while another operator owns the
 * shards it stands by, with its caches filled, and takes over as soon as that one has gone.
 */
export async function startOperator(options: OperatorOptions): Promise<Operator> {
  const { leases, authorityLeases, objects, namespace, podName, registry } = options;
  const { clock, timers, random, log } = options;
  const resources = new Disposables();
  try {
    collectDefaultMetrics({ register: registry });
    const metrics = new ServerMetrics(registry, () => server.gauges());
    const server: LockServer = resources.add(
      LockServer.create({
        store: leases,
        authorityStore: authorityLeases,
        namespace,
        podName,
        clock,
        timers,
        random,
        log,
        metrics,
        isKnownDead: options.isKnownDead,
        onFatal: options.onFatal,
      }),
    );
    await configureDeclared(objects, server);
    const authority = resources.add(new ServerLockAuthority(server));
    const controllers = resources.add(
      startControllers({ store: objects, leases, authority, instance: podName, registry, clock, timers, random, log }),
    );
    const serving = server.serve().catch((error: unknown) => {
      throw error instanceof StoreError && error.outcome === 'notFound' ? namespaceMissing(namespace, error) : error;
    });
    // Whoever waits for it hears of a failure; nobody has to.
    serving.catch(() => {});
    return {
      server,
      serving,
      notReadyReason: () =>
        server.notReadyReason() ?? (controllers.synced ? undefined : 'the declared locks and pools are being read'),
      [Symbol.asyncDispose]: () => resources.dispose(),
    };
  } catch (error) {
    await resources.dispose();
    throw error;
  }
}
