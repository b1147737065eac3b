import type { Registry } from 'prom-client';
import { splitLockKey } from '../api/lock-id.ts';
import { DISTRIBUTED_LOCKS, LOCK_POOLS } from '../kube/kube-object.ts';
import type { LeaseStore } from '../kube/lease-store.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { Clock } from '../system/clock.ts';
import { Disposables } from '../system/disposables.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import type { ControllerContext } from './controller-context.ts';
import { ControllerMetrics } from './controller-metrics.ts';
import { LockController } from './distributed-lock/lock-controller.ts';
import { EventRecorder } from './events.ts';
import type { LockAuthority } from './lock-authority.ts';
import { PoolController } from './lock-pool/pool-controller.ts';
import { StatusBudget } from './status-budget.ts';
import { statusId } from './status-writer.ts';
import { Tombstones } from './tombstones.ts';

/** Selects the Leases of locks. */
const LOCK_LEASES = 'lockkeeper.dev/lock';

export interface ControllersOptions {
  readonly store: ObjectStore;
  /** The same cluster's Leases. */
  readonly leases: LeaseStore;
  readonly authority: LockAuthority;
  /** Name of this replica, for Events. */
  readonly instance: string;
  /** Where metrics go; none are kept without it. */
  readonly registry?: Registry | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
}

/** Disposing stops looking, lets what was begun end, and writes Events that nobody has seen yet. */
export interface Controllers extends AsyncDisposable {
  /** Whether every object has been listed once. */
  readonly synced: boolean;
  /** One round of collecting tombstones, now. */
  collectTombstones(): Promise<void>;
}

/** Starts the controllers of DistributedLocks and LockPools, and the collection of tombstones. They fail by trying again. */
export function startControllers(options: ControllersOptions): Controllers {
  const { store, authority, clock, timers, random, log, registry } = options;
  const resources = new Disposables();
  const events = resources.add(new EventRecorder(options));
  const budget = resources.add(
    new StatusBudget({
      clock,
      timers,
      onTurn: (id) => {
        const key = id.slice(id.indexOf(' ') + 1);
        if (id === statusId(DISTRIBUTED_LOCKS, key)) locks.kind.queue.add(key);
        else if (id === statusId(LOCK_POOLS, key)) pools.kind.queue.add(key);
      },
    }),
  );
  const metrics =
    registry &&
    new ControllerMetrics(registry, () => ({
      queueDepth: locks.kind.queue.depth + pools.kind.queue.depth,
      statusesWaiting: budget.waitingCount,
      statusesFolded: budget.folded,
      eventsWritten: events.written,
      eventsDropped: events.dropped,
    }));
  const context: ControllerContext = {
    store,
    authority,
    budget,
    metrics,
    clock,
    timers,
    random,
    log,
    tell: (type, key, uid, event) => {
      const { namespace, lockId: name } = splitLockKey(key);
      events.tell({ type, namespace, name, uid }, event);
    },
  };
  const locks: LockController = resources.add(new LockController(context));
  const pools: PoolController = resources.add(new PoolController(context));
  const tombstones = resources.add(
    new Tombstones({
      ...options,
      labelSelector: LOCK_LEASES,
      hasObject: (key) => (locks.kind.objects.synced ? locks.kind.objects.get(key) !== undefined : undefined),
    }),
  );
  resources.add(
    authority.subscribe({
      onAudit: (event) => {
        locks.onAudit(event);
        pools.onAudit(event);
      },
      onOwned: (shard) => {
        locks.onOwned(shard);
        pools.onOwned();
      },
    }),
  );
  locks.start();
  pools.start();
  tombstones.start();
  return {
    get synced() {
      return locks.kind.objects.synced && pools.kind.objects.synced;
    },
    collectTombstones: () => tombstones.collect(),
    [Symbol.asyncDispose]: () => resources.dispose(),
  };
}
