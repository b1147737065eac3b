/** A pod: an application and its sidecar, two processes of one machine, which talk over a local connection. */
import { LockkeeperError } from '../../../src/api/codes.ts';
import { ProgressMeter } from '../../../src/system/clock.ts';
import type { VirtualProcess } from '../../../src/system/virtual-process.ts';
import type { CallContext } from '../../../src/sidecar/calls.ts';
import type { LocalLocks } from '../../../src/sidecar/session/local-locks.ts';
import type { SavedHold } from '../../../src/sidecar/session/saved-holds.ts';
import type { Chance } from '../chance.ts';
import type { PlannedPod } from '../plan.ts';
import type { Simulation } from '../simulation.ts';
import { whenDone } from '../when-done.ts';
import type { AppHold, Sent } from './app-hold.ts';
import { cutOff, SidecarLife } from './sidecar-life.ts';

export interface Answered<Answer> {
  readonly sent: Sent;
  readonly answer: Answer;
}

export interface OpenConnection {
  readonly sidecar: SidecarLife;
  readonly hungUp: AbortController;
  /** The request is over. False if the connection was closed before. */
  readonly close: () => boolean;
}

export class Pod {
  readonly simulation: Simulation;
  readonly planned: PlannedPod;
  readonly name: string;
  readonly chance: Chance;
  app: VirtualProcess;
  meter: ProgressMeter;
  /** By key and token. */
  readonly holds = new Map<string, AppHold>();
  sidecar: SidecarLife | undefined;
  /** How far the machine's wall clock was set. */
  wallOffMs = 0;
  /** Grows when the application starts anew: what belongs to an earlier one is over. */
  generation = 0;
  #suspendedAtMs = -Infinity;
  #setBackAtMs = -Infinity;
  #lives = 0;
  #toAppDueMs = -Infinity;

  constructor(simulation: Simulation, planned: PlannedPod) {
    this.simulation = simulation;
    this.planned = planned;
    this.name = `p${planned.index}`;
    this.chance = simulation.chance(this.name);
    this.app = simulation.world.process({ rate: planned.rate });
    this.meter = new ProgressMeter(this.app);
  }

  get principal(): string {
    return `pod-${this.name}`;
  }

  get believed(): AppHold[] {
    return [...this.holds.values()].filter((hold) => hold.isBelieved);
  }

  startSidecar(): void {
    this.#start(this.simulation.nextSlot(this.planned.hasSlot), undefined);
  }

  /** SIGTERM: connections end, holds that are bound to one with them; what is left is declared by the next process. */
  restartSidecar(downMs: number): void {
    const before = this.sidecar;
    if (before === undefined) return;
    const { coverage, history, apiServer } = this.simulation;
    coverage.hit('sidecarRestarted');
    before.process.soon(() => {
      if (before.isOver) return;
      before.closeConnections();
      before.process.after(1, () => {
        const saved = before.locks.save();
        history.note(this.name, `saves ${saved.map(({ key, token }) => `${key}#${token}`).join(' ')}`);
        before.locks.close('lost');
        before.process.after(1, () => {
          if (before.isOver) return;
          before.end(this);
          apiServer.after(downMs, () => {
            if (this.sidecar === before) this.#start(before.slot, saved);
          });
        });
      });
    });
  }

  /** Killed alone: nothing was saved, and the application lives on with what it believes. */
  killSidecar(downMs: number): void {
    const before = this.sidecar;
    if (before === undefined || before.isOver) return;
    this.simulation.coverage.hit('sidecarKilled');
    before.end(this);
    this.simulation.apiServer.after(downMs, () => {
      if (this.sidecar === before) this.startSidecar();
    });
  }

  /** Both processes die, and come back after a while. */
  crash(downMs: number): void {
    const { simulation, planned, chance } = this;
    simulation.coverage.hit('podCrashed');
    this.forgetAll();
    this.sidecar?.end(this);
    this.sidecar = undefined;
    simulation.world.end(this.app);
    simulation.apiServer.after(downMs, () => {
      if (this.sidecar !== undefined) return;
      this.app = simulation.world.process({ rate: planned.rate, monotonicMs: chance.between(0, 100_000) });
      this.meter = new ProgressMeter(this.app);
      this.#toAppDueMs = -Infinity;
      this.startSidecar();
    });
  }

  /** The application stops using locks; the session gives back whatever it has. */
  goodbye(): void {
    this.forgetAll();
    const { sidecar } = this;
    if (sidecar === undefined || sidecar.isOver) return;
    sidecar.process.soon(() => sidecar.locks.close('goodbye'));
  }

  /** Ends every belief and every section of the application. */
  forgetAll(): void {
    for (const hold of this.holds.values()) hold.ended = true;
    this.holds.clear();
    this.generation++;
  }

  /** For both processes of the machine. */
  machine(run: (process: VirtualProcess) => void): void {
    run(this.app);
    if (this.sidecar !== undefined && !this.sidecar.isOver) run(this.sidecar.process);
  }

  suspend(forMs: number): void {
    this.#suspendedAtMs = this.simulation.world.nowMs + forMs;
    this.machine((process) => process.suspend(forMs));
  }

  /** Whether both clocks may have stood still together since this true moment: one does in a sleep, the other is set back. */
  stoodStillSince(trueMs: number): boolean {
    return this.#suspendedAtMs >= trueMs && this.#setBackAtMs >= trueMs;
  }

  stepWall(byMs: number): void {
    if (byMs < 0) this.#setBackAtMs = this.simulation.world.nowMs;
    this.wallOffMs += byMs;
    this.machine((process) => process.stepWall(byMs));
  }

  now(): Sent {
    return { mark: this.meter.mark(), trueMs: this.simulation.world.nowMs };
  }

  sleep(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.app.after(delayMs, resolve));
  }

  /**
   * One request of the application. Rejects with the product's error, or with one of its kind if the local connection breaks.
   * `signal`: the application hangs up.
   */
  call<Answer>(
    run: (locks: LocalLocks, context: CallContext) => Promise<Answer>,
    signal?: AbortSignal,
  ): Promise<Answered<Answer>> {
    const sent = this.now();
    return new Promise((resolve, reject) => {
      const fail = (error: LockkeeperError) => this.toApp(() => reject(error));
      const connection = this.connect(() => fail(cutOff()), signal);
      if (connection === undefined) return;
      const { sidecar, hungUp, close } = connection;
      this.toSidecar(sidecar, () => {
        const context = { signal: hungUp.signal, receivedAtMs: sidecar.process.monotonicMs() };
        whenDone(
          run(sidecar.locks, context),
          (answer) => close() && this.toApp(() => resolve({ sent, answer })),
          (error: unknown) => close() && fail(LockkeeperError.from(error)),
        );
      });
    });
  }

  /** A local connection, closed by the application on `signal`. `onCut` is called at once if there is nobody to connect to. */
  connect(onCut: () => void, signal?: AbortSignal, onClosed: () => void = () => {}): OpenConnection | undefined {
    const { sidecar } = this;
    if (sidecar === undefined || sidecar.isOver) {
      onCut();
      return undefined;
    }
    const hungUp = new AbortController();
    let isOpen = true;
    const closed = () => {
      const wasOpen = isOpen;
      isOpen = false;
      return wasOpen;
    };
    const open = sidecar.opened({ hungUp, onCut: () => closed() && onCut(), onClosed });
    const close = () => {
      open[Symbol.dispose]();
      return closed() && !sidecar.isOver;
    };
    signal?.addEventListener('abort', () => {
      if (!closed()) return;
      this.toSidecar(sidecar, () => {
        open[Symbol.dispose]();
        hungUp.abort();
      });
      onCut();
    });
    return { sidecar, hungUp, close };
  }

  toSidecar(sidecar: SidecarLife, run: () => void): void {
    sidecar.process.after(this.chance.between(0.05, 1), run);
  }

  /** Keeps order. */
  toApp(run: () => void): void {
    const { app } = this;
    this.#toAppDueMs = Math.max(this.#toAppDueMs, app.monotonicMs() + this.chance.between(0.05, 1));
    app.after(this.#toAppDueMs - app.monotonicMs(), run);
  }

  #start(slot: number, saved: readonly SavedHold[] | undefined): void {
    const { coverage, history } = this.simulation;
    this.simulation.odd(this.name, 3_000);
    const sidecar = new SidecarLife(this, ++this.#lives, { slot, awaitsSaved: saved !== undefined });
    this.sidecar = sidecar;
    if (saved === undefined) return;
    whenDone(sidecar.locks.restore(saved), ({ restored, refused }) => {
      history.note(this.name, `restored ${restored}, refused ${refused}`);
      coverage.hit('savedRestored', restored);
      coverage.hit('savedRefused', refused);
    });
  }
}
