/** One operator process: the production lock server on simulated clocks and a faulty store. */
import { Registry } from 'prom-client';
import type { AuditEvent, RarePath } from '../../src/engine/effects.ts';
import { LockServer } from '../../src/server/lock-server.ts';
import { ServerMetrics } from '../../src/server/server-metrics.ts';
import { silentLog } from '../../src/system/logger.ts';
import type { VirtualProcess } from '../../src/system/virtual-process.ts';
import type { Coverage } from './coverage.ts';
import { FaultyStore } from './faulty-store.ts';
import { OPERATOR_NAMESPACE } from './lease-world.ts';
import type { Simulation } from './simulation.ts';
import { whenDone } from './when-done.ts';

export class Owner {
  readonly number: number;
  readonly name: string;
  readonly process: VirtualProcess;
  readonly registry = new Registry();
  readonly #simulation: Simulation;
  server: LockServer | undefined;
  metrics: ServerMetrics | undefined;
  isDead = false;
  /** As last seen while it ran: nobody can look into a process that stands still. */
  wasReady = false;

  constructor(simulation: Simulation, number: number, rate: number) {
    this.#simulation = simulation;
    this.number = number;
    this.name = `owner${number}`;
    this.process = simulation.world.process({ rate });
  }

  start(): void {
    const { history, checks, coverage, plan, leases } = this.#simulation;
    const chance = (name: string) => this.#simulation.chance(name);
    const metrics = new CountedMetrics(this.registry, () => this.server?.gauges() ?? NOTHING);
    metrics.coverage = coverage;
    this.metrics = metrics;
    const store = new FaultyStore({
      leases,
      owner: this.process,
      ownerName: this.name,
      server: this.#simulation.apiServer,
      chance: chance(`${this.name}.store`),
      weather: () => this.#simulation.weatherNow(),
      pauseOwner: (forMs) => {
        this.#simulation.odd(undefined, forMs + 8_000);
        this.process.pause(forMs);
      },
      coverage,
      history,
      onAttempt: (lease) => checks.leaseAttempted(lease),
      onLanded: (lease) => checks.leaseLanded(lease, this),
    });
    const nowMs = () => this.process.monotonicMs();
    const starting = LockServer.start({
      store,
      namespace: OPERATOR_NAMESPACE,
      podName: this.name,
      clock: this.process,
      timers: this.process,
      random: chance(`${this.name}.random`).random,
      log: { ...silentLog, error: (_fields: unknown, text?: string) => this.#complained(text ?? '') },
      shardCount: plan.shardCount,
      metrics,
      onAudit: (shard, event) => this.#audited(shard, event, nowMs()),
      onFatal: (error) => this.#fatal(error),
    });
    whenDone(
      starting,
      (server) => {
        if (this.isDead) return;
        this.server = server;
        for (const [name, { resource, policy }] of this.#simulation.policies.current) {
          if (resource === 'lock') server.configureLock(name, policy);
          else server.configurePool(name, policy);
        }
        this.#simulation.history.note(this.name, 'serves');
        this.wasReady = true;
      },
      (error: unknown) => this.#fatal(error),
    );
  }

  /** Looks into the process, if it runs. */
  get isReady(): boolean {
    if (this.isDead || this.server === undefined) return false;
    if (this.process.running) this.wasReady = this.server.notReadyReason() === undefined;
    return this.wasReady;
  }

  crash(): void {
    if (this.isDead) return;
    this.isDead = true;
    this.#simulation.world.end(this.process);
    this.#simulation.history.note(this.name, 'crashed');
    this.#simulation.ownerEnded(this);
  }

  /** Asked to stop, as by SIGTERM; it has half a minute. */
  stop(): void {
    const { server } = this;
    if (server === undefined || this.isDead) return;
    this.wasReady = false;
    this.#simulation.history.note(this.name, 'stops');
    const limit = this.process.after(30_000, () => this.crash());
    whenDone(server[Symbol.asyncDispose](), () => {
      limit[Symbol.dispose]();
      this.crash();
    });
  }

  checkInvariants(): void {
    if (this.isDead || !this.process.running) return;
    for (const engine of this.server?.engines() ?? []) engine.checkInvariants();
  }

  #audited(shard: number, event: AuditEvent, ownerMs: number): void {
    const { checks, coverage } = this.#simulation;
    if (event.type === 'recordEdited' || event.type === 'recordDeleted') coverage.hit('leaseRepaired');
    if (event.type === 'recordRestored') coverage.hit('leaseRestored');
    checks.audited(this, shard, event, ownerMs);
  }

  /** What the product logs tells of paths that nothing else shows. */
  #complained(text: string): void {
    if (text.startsWith('lost the authority')) this.#simulation.coverage.hit('memberLost');
  }

  #fatal(error: unknown): void {
    if (this.isDead) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    if (text.includes('invariant') || !/StoreError|LockkeeperError/.test(text)) {
      this.#simulation.fail('engine-invariant', text);
      return;
    }
    this.#simulation.coverage.hit('ownerFatal');
    this.#simulation.history.note(this.name, `fatal ${text.split('\n')[0]}`);
    this.crash();
  }
}

/** The product's metrics, which also count for the run. */
class CountedMetrics extends ServerMetrics {
  coverage: Coverage | undefined;

  override count(path: RarePath, value: number): void {
    super.count(path, value);
    this.coverage?.hit(path, value);
  }
}

const NOTHING = { holdCount: 0, waiterCount: 0, ownedShards: 0 };
