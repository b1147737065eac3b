import {
  Counter,
  type CounterConfiguration,
  Gauge,
  type GaugeConfiguration,
  Histogram,
  type Registry,
} from 'prom-client';
import { lockKindOf } from '../api/lock-id.ts';
import type { ErrorCode } from '../api/codes.ts';
import type { PersistedCommand } from '../engine/commands.ts';
import { type AuditEvent, RARE_PATHS, type RarePath } from '../engine/effects.ts';

/** What is read from the engines at every scrape. */
export interface GaugeSource {
  readonly holdCount: number;
  readonly waiterCount: number;
  readonly ownedShards: number;
}

type Tally = {
  grants: number;
  waits: number;
  expired: number;
  released: number;
  forced: number;
  renewed: number;
  reentered: number;
};

const WAIT_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300];
const WRITE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

const LEASE_CHANGES = {
  recordEdited: 'edited',
  recordDeleted: 'deleted',
  recordRestored: 'restored',
  recordUnusable: 'unusable',
} as const;

/**
 * The lock server's metrics, derived from the engine's audit events, so that they cannot disagree with it. Routine counters are
 * plain numbers on the hot path and become metrics when somebody scrapes.
 */
export class ServerMetrics {
  readonly #tallies: Record<'lock' | 'pool', Tally> = { lock: newTally(), pool: newTally() };
  readonly #rare = new Map<RarePath, number>(RARE_PATHS.map((path) => [path, 0]));
  readonly #refusals = new Map<ErrorCode, number>();
  readonly #waitSeconds: Histogram<'kind'>;
  readonly #writeSeconds: Histogram<'outcome'>;
  readonly #leaseChanges = new Map<string, number>(Object.values(LEASE_CHANGES).map((change) => [change, 0]));
  #deadlocks = 0;
  #overdue = 0;

  constructor(registry: Registry, gauges: () => GaugeSource) {
    const registers = [registry];
    this.#waitSeconds = new Histogram({
      name: 'lockkeeper_lock_wait_seconds',
      help: 'Time from acquire to grant of the acquires that stood in a queue.',
      labelNames: ['kind'],
      buckets: WAIT_BUCKETS,
      registers,
    });
    this.#writeSeconds = new Histogram({
      name: 'lockkeeper_lease_write_seconds',
      help: 'Time of one compare-and-swap write of a Lease, by its outcome.',
      labelNames: ['outcome'],
      buckets: WRITE_BUCKETS,
      registers,
    });
    this.#tallyCounter(registers, 'lockkeeper_grants_total', 'Grants acknowledged.', 'grants');
    this.#tallyCounter(
      registers,
      'lockkeeper_lock_waits_total',
      'Acquires that found the lock taken and stood in its queue (contention).',
      'waits',
    );
    this.#tallyCounter(
      registers,
      'lockkeeper_expired_leases_total',
      'Holds whose time to live or longest allowed life ran out.',
      'expired',
    );
    this.#tallyCounter(registers, 'lockkeeper_releases_total', 'Holds given back by their holders.', 'released');
    this.#tallyCounter(
      registers,
      'lockkeeper_forced_releases_total',
      'Holds ended by force or because their pod was gone.',
      'forced',
    );
    this.#tallyCounter(registers, 'lockkeeper_renewals_total', 'Renewals acknowledged.', 'renewed');
    this.#tallyCounter(registers, 'lockkeeper_reentries_total', 'Re-entrant acquires acknowledged.', 'reentered');
    totalCounter(
      registers,
      'lockkeeper_late_grants_total',
      'Grants that reached nobody.',
      () => this.#rare.get('lateGrant') ?? 0,
    );
    totalCounter(registers, 'lockkeeper_deadlocks_total', 'Deadlocks found.', () => this.#deadlocks);
    totalCounter(
      registers,
      'lockkeeper_overdue_holds_total',
      'Holds past their time to live under expiryPolicy Alert.',
      () => this.#overdue,
    );
    labelledCounter(
      registers,
      'lockkeeper_rare_paths_total',
      'How often each rare path was taken.',
      'path',
      this.#rare,
    );
    labelledCounter(
      registers,
      'lockkeeper_lease_changes_total',
      'Leases found changed by somebody else, by what was found.',
      'change',
      this.#leaseChanges,
    );
    labelledCounter(registers, 'lockkeeper_refusals_total', 'Requests refused, by error code.', 'code', this.#refusals);
    gauge(registers, 'lockkeeper_holds', 'Holds now.', () => gauges().holdCount);
    gauge(registers, 'lockkeeper_queue_length', 'Queued acquires now, over all locks.', () => gauges().waiterCount);
    gauge(registers, 'lockkeeper_owned_shards', 'Shards that this replica owns now.', () => gauges().ownedShards);
  }

  audit(event: AuditEvent): void {
    switch (event.type) {
      case 'granted':
        this.#tally(event.key).grants++;
        if (event.contended) this.#waitSeconds.observe({ kind: lockKindOf(event.key) }, event.waitedMs / 1000);
        return;
      case 'queued':
        this.#tally(event.key).waits++;
        return;
      case 'renewed':
        this.#tally(event.key).renewed++;
        return;
      case 'reentered':
        this.#tally(event.key).reentered++;
        return;
      case 'ended':
        if (!event.acknowledged) return;
        if (event.reason === 'expired' || event.reason === 'maxHold') this.#tally(event.key).expired++;
        else if (event.reason === 'forceReleased' || event.reason === 'orphaned') this.#tally(event.key).forced++;
        else this.#tally(event.key).released++;
        return;
      case 'deadlock':
        this.#deadlocks++;
        return;
      case 'overdue':
        this.#overdue++;
        return;
      case 'recordAccepted':
      case 'waiterLeft':
      case 'reclaimed':
      case 'reclaimRefused':
        return;
      case 'recordEdited':
      case 'recordDeleted':
      case 'recordRestored':
      case 'recordUnusable':
        this.#leaseChanged(LEASE_CHANGES[event.type]);
        return;
      case 'recordRefused':
    }
  }

  count(path: RarePath, value: number): void {
    this.#rare.set(path, (this.#rare.get(path) ?? 0) + value);
  }

  refused(code: ErrorCode): void {
    this.#refusals.set(code, (this.#refusals.get(code) ?? 0) + 1);
  }

  wrote(outcome: PersistedCommand['outcome'], seconds: number): void {
    this.#writeSeconds.observe({ outcome }, seconds);
  }

  #leaseChanged(change: string): void {
    this.#leaseChanges.set(change, (this.#leaseChanges.get(change) ?? 0) + 1);
  }

  #tally(key: string): Tally {
    return this.#tallies[lockKindOf(key)];
  }

  #tallyCounter(registers: Registry[], name: string, help: string, field: keyof Tally): void {
    const tallies = this.#tallies;
    registerCounter({
      name,
      help,
      labelNames: ['kind'],
      registers,
      collect() {
        this.reset();
        for (const kind of ['lock', 'pool'] as const) this.inc({ kind }, tallies[kind][field]);
      },
    });
  }
}

function newTally(): Tally {
  return { grants: 0, waits: 0, expired: 0, released: 0, forced: 0, renewed: 0, reentered: 0 };
}

function totalCounter(registers: Registry[], name: string, help: string, total: () => number): void {
  registerCounter({
    name,
    help,
    registers,
    collect() {
      this.reset();
      this.inc(total());
    },
  });
}

function labelledCounter(
  registers: Registry[],
  name: string,
  help: string,
  label: string,
  totals: ReadonlyMap<string, number>,
): void {
  registerCounter({
    name,
    help,
    labelNames: [label],
    registers,
    collect() {
      this.reset();
      for (const [value, total] of totals) this.inc({ [label]: value }, total);
    },
  });
}

function gauge(registers: Registry[], name: string, help: string, read: () => number): void {
  registerGauge({
    name,
    help,
    registers,
    collect() {
      this.set(read());
    },
  });
}

/** Prometheus metrics register themselves where they are told to; nothing else needs the object. */
function registerCounter<Label extends string>(configuration: CounterConfiguration<Label>): Counter<Label> {
  return new Counter(configuration);
}

function registerGauge<Label extends string>(configuration: GaugeConfiguration<Label>): Gauge<Label> {
  return new Gauge(configuration);
}
