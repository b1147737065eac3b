/** A client process: one pod's sidecar, as far as the owner can tell. */
import { type Mark, ProgressMeter } from '../../src/system/clock.ts';
import type { VirtualProcess } from '../../src/system/virtual-process.ts';
import type { Chance } from './chance.ts';
import type { ClientHold } from './client-hold.ts';
import { ClientSession } from './client-session.ts';
import type { PlannedClient } from './plan.ts';
import type { Simulation } from './simulation.ts';

export class SimClient {
  readonly simulation: Simulation;
  readonly planned: PlannedClient;
  readonly name: string;
  readonly chance: Chance;
  process: VirtualProcess;
  meter: ProgressMeter;
  session: ClientSession | undefined;
  /** Its process has died and not come back. */
  isGone = false;
  #lives = 0;

  constructor(simulation: Simulation, planned: PlannedClient) {
    this.simulation = simulation;
    this.planned = planned;
    this.name = `c${planned.index}`;
    this.chance = simulation.chance(`client${planned.index}`);
    this.process = simulation.world.process({ rate: planned.rate, monotonicMs: 1_000 * planned.index });
    this.meter = new ProgressMeter(this.process);
  }

  get principal(): string {
    return this.planned.principal;
  }

  mark(): Mark {
    return this.meter.mark();
  }

  /** A session that no owner has heard of. */
  openSession(): ClientSession {
    const { simulation } = this;
    this.#lives++;
    const session = new ClientSession(this, simulation.nextSessionId(), simulation.nextSlot(this.planned.hasSlot));
    this.session = session;
    simulation.history.note(this.name, `opens session ${session.id}, life ${this.#lives}`);
    session.connect();
    return session;
  }

  /** The process dies. Its holds stay where they are. Returns those that it believed in. */
  crash(): ClientHold[] {
    const { simulation } = this;
    simulation.history.note(this.name, 'crashed');
    const believed = [...(this.session?.holds.values() ?? [])].filter((hold) => hold.isBelieved);
    this.isGone = true;
    this.session?.processGone();
    this.session = undefined;
    simulation.world.end(this.process);
    return believed;
  }

  /** A new process of the same pod: new clocks, new session. */
  comeBack(): void {
    const { simulation, planned } = this;
    this.process = simulation.world.process({ rate: planned.rate, monotonicMs: this.chance.between(0, 100_000) });
    this.meter = new ProgressMeter(this.process);
    this.isGone = false;
    this.openSession();
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.process.after(delayMs, resolve));
  }
}
