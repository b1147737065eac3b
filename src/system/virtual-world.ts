/**
 * One true time with several processes on it, each with its own idea of it: time for the simulator.
 *
 * Callbacks run in the order of their due moment, then in the order they were asked for; at one moment first the timers,
 * then what was asked for `soon`, then, as the next turn of an event loop, what those asked for. None runs inside another,
 * and time cannot be moved from inside one.
 */
import { DueHeap } from './due-heap.ts';
import { type CallbackKind, type TrueTime, VirtualProcess, type VirtualProcessOptions } from './virtual-process.ts';

/** More callbacks than this without time moving on mean that they ask for each other in a circle. */
const callbacksPerMomentMax = 100_000;

interface Phase {
  readonly kind: CallbackKind;
  readonly end: number;
}

export interface VirtualWorldOptions {
  /** What a wall clock that is right shows when the world begins, in ms since 1970. Default: the first moment of 2026. */
  readonly wallMs?: number;
}

export class VirtualWorld implements TrueTime {
  readonly #wallStartMs: number;
  readonly #processes = new DueHeap<VirtualProcess>();
  #nowMs = 0;
  #sequence = 0;
  /** A turn of the event loop has two phases; a callback numbered above `end` waits for the next one of its kind. */
  #phase: Phase = { kind: 'timer', end: 0 };
  #callbacksAtMoment = 0;
  #busy = false;

  constructor(options: VirtualWorldOptions = {}) {
    this.#wallStartMs = options.wallMs ?? Date.UTC(2026, 0, 1);
  }

  /** True time in ms since the world began. No process can see it. */
  get nowMs(): number {
    return this.#nowMs;
  }

  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** Starts a process whose clocks begin now. */
  process(options: VirtualProcessOptions = {}): VirtualProcess {
    const { rate = 1, monotonicMs = 0, wallMs = this.#wallStartMs + this.#nowMs } = options;
    const process = new VirtualProcess(this, { rate, monotonicMs, wallMs });
    this.#processes.set(process, process.dueAtMs);
    return process;
  }

  /** Kills the process and forgets it. */
  end(process: VirtualProcess): void {
    process.end();
    this.#processes.remove(process);
  }

  /** For a process of this world: its next moment is another one now. */
  rescheduled(process: VirtualProcess, dueAtMs: number): void {
    // One that has ended is not here any more.
    if (process.heapIndex >= 0) this.#processes.set(process, dueAtMs);
  }

  /** The true moment at which the next callback can run as things stand; Infinity if none is pending. */
  nextDueMs(): number {
    return Math.max(this.#nowMs, this.#processes.nextDueAtMs);
  }

  /**
   * Runs the next callback, moving time to it if need be. False, with nothing changed, if none is due by the true moment
   * `untilMs`. A callback's exception is thrown from here; the world stays usable.
   */
  step(untilMs = Infinity): boolean {
    return this.#exclusively(() => this.#step(untilMs));
  }

  /** Runs what was asked for `soon` before this call, in processes that are running, and no timer. Time stands still. */
  runSoon(): void {
    this.#exclusively(() => {
      const turn: Phase = { kind: 'soon', end: this.#sequence };
      while (this.#runFirst(turn));
    });
  }

  /** Moves time on by `byMs`, running everything that falls due. */
  advanceBy(byMs: number): void {
    this.advanceTo(this.#nowMs + byMs);
  }

  /** Moves time to the true moment `toMs`, running everything that falls due. Throws RangeError if that lies in the past. */
  advanceTo(toMs: number): void {
    this.#exclusively(() => {
      this.#checkNotPast(toMs);
      while (this.#step(toMs));
      this.#moveTo(toMs);
    });
  }

  /** As `advanceBy`, for code with promises: see `runTo`. */
  runBy(byMs: number): Promise<void> {
    return this.runTo(this.#nowMs + byMs);
  }

  /**
   * As `advanceTo`, but lets all settled promises run their continuations before each callback and before the end.
   * Not promised: waiting for real I/O or for work in other threads, which has no place in a simulation.
   */
  async runTo(toMs: number): Promise<void> {
    this.#checkIdle();
    this.#checkNotPast(toMs);
    this.#busy = true;
    try {
      do await continuations();
      while (this.#step(toMs));
      this.#moveTo(toMs);
    } finally {
      this.#busy = false;
    }
  }

  #step(untilMs: number): boolean {
    const dueMs = this.nextDueMs();
    if (dueMs > untilMs || dueMs === Infinity) return false;
    if (dueMs > this.#nowMs) this.#moveTo(dueMs);
    while (!this.#runFirst(this.#phase)) {
      this.#phase = { kind: this.#phase.kind === 'timer' ? 'soon' : 'timer', end: this.#sequence };
    }
    return true;
  }

  /** Runs the callback of the phase that was asked for first; false if none is due. */
  #runFirst({ kind, end }: Phase): boolean {
    let first: VirtualProcess | undefined;
    let firstSequence = end;
    for (const process of this.#processes.dueBy(this.#nowMs)) {
      const sequence = process.firstSequence(kind);
      if (sequence > firstSequence || process.dueMs(kind) > this.#nowMs) continue;
      first = process;
      firstSequence = sequence;
    }
    if (!first) return false;

    this.#callbacksAtMoment += 1;
    if (this.#callbacksAtMoment > callbacksPerMomentMax) {
      throw new Error(`More than ${callbacksPerMomentMax} callbacks at ${this.#nowMs} ms: they ask for each other.`);
    }
    first.runFirst(kind);
    return true;
  }

  #moveTo(toMs: number): void {
    if (toMs > this.#nowMs) this.#callbacksAtMoment = 0;
    this.#nowMs = toMs;
    this.#phase = { kind: 'timer', end: this.#sequence };
  }

  #exclusively<Result>(work: () => Result): Result {
    this.#checkIdle();
    this.#busy = true;
    try {
      return work();
    } finally {
      this.#busy = false;
    }
  }

  #checkIdle(): void {
    if (this.#busy) throw new Error('Time is already moving: it cannot be moved from inside a callback.');
  }

  #checkNotPast(toMs: number): void {
    if (!(toMs >= this.#nowMs)) throw new RangeError(`Time cannot move from ${this.#nowMs} ms to ${toMs} ms.`);
  }
}

/** Resolves after every continuation that can run now has run: the platform empties its queue of those first. */
function continuations(): Promise<void> {
  return new Promise((resolve) => process.nextTick(resolve));
}
