import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

/** What is read at every scrape. */
export interface ControllerGauges {
  /** Keys that wait to be reconciled, over all kinds. */
  readonly queueDepth: number;
  /** Objects whose status waits for its turn. */
  readonly statusesWaiting: number;
  /** States of objects that were over before their status had its turn. */
  readonly statusesFolded: number;
  readonly eventsWritten: number;
  readonly eventsDropped: number;
}

const DURATION_BUCKETS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** The controllers' metrics. */
export class ControllerMetrics {
  readonly #seconds: Histogram<'kind'>;
  readonly #errors: Counter<'kind'>;
  readonly #statusWrites: Counter<'kind'>;

  constructor(registry: Registry, gauges: () => ControllerGauges) {
    const registers = [registry];
    this.#seconds = new Histogram({
      name: 'lockkeeper_reconcile_seconds',
      help: 'Time of one reconcile of one object; the count is the number of reconciles.',
      labelNames: ['kind'],
      buckets: DURATION_BUCKETS,
      registers,
    });
    this.#errors = new Counter({
      name: 'lockkeeper_reconcile_errors_total',
      help: 'Reconciles that failed and are tried again.',
      labelNames: ['kind'],
      registers,
    });
    this.#statusWrites = new Counter({
      name: 'lockkeeper_status_writes_total',
      help: 'Statuses written.',
      labelNames: ['kind'],
      registers,
    });
    const read: readonly [name: string, help: string, field: keyof ControllerGauges, isTotal: boolean][] = [
      ['lockkeeper_reconcile_queue_depth', 'Objects that wait to be reconciled.', 'queueDepth', false],
      ['lockkeeper_status_queue_depth', 'Objects whose status waits for its turn.', 'statusesWaiting', false],
      ['lockkeeper_status_sheds_total', 'Changes folded into a later status write.', 'statusesFolded', true],
      ['lockkeeper_events_written_total', 'Writes of Kubernetes Events.', 'eventsWritten', true],
      ['lockkeeper_events_dropped_total', 'Kubernetes Events beyond the budget or refused.', 'eventsDropped', true],
    ];
    for (const [name, help, field, isTotal] of read)
      this.#onScrape(registers, name, help, () => gauges()[field], isTotal);
  }

  reconciled(kind: string, seconds: number, failed: boolean): void {
    this.#seconds.observe({ kind }, seconds);
    if (failed) this.#errors.inc({ kind });
  }

  statusWritten(kind: string): void {
    this.#statusWrites.inc({ kind });
  }

  /** Metrics register themselves where they are told to. */
  #onScrape(registers: Registry[], name: string, help: string, read: () => number, isTotal: boolean): unknown {
    if (!isTotal) {
      return new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    }
    return new Counter({
      name,
      help,
      registers,
      collect() {
        this.reset();
        this.inc(read());
      },
    });
  }
}
