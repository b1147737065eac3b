import type { ResourceType } from '../kube/kube-object.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { Clock } from '../system/clock.ts';
import type { Log } from '../system/logger.ts';
import type { Random } from '../system/random.ts';
import type { Timers } from '../system/timers.ts';
import type { ControllerMetrics } from './controller-metrics.ts';
import type { EventToTell } from './events.ts';
import type { LockAuthority } from './lock-authority.ts';
import type { StatusBudget } from './status-budget.ts';

/** What all controllers of one process share. */
export interface ControllerContext {
  readonly store: ObjectStore;
  readonly authority: LockAuthority;
  readonly budget: StatusBudget;
  readonly metrics: ControllerMetrics | undefined;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Tells an Event about the object `key`, `namespace/name`. */
  readonly tell: (type: ResourceType, key: string, uid: string, event: EventToTell) => void;
}
