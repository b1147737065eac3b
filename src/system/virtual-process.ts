/** What one simulated process sees of a simulated world: its own two clocks and its own timers. */
import type { Clock } from './clock.ts';
import { disposable } from './disposables.ts';
import type { Due } from './due-heap.ts';
import type { Timers } from './timers.ts';

export interface VirtualProcessOptions {
  /** How fast both clocks run against true time; above 0, default 1. Real ones stay within 0.9995 and 1.0005. */
  readonly rate?: number;
  /** What the monotonic clock shows at the start. Default 0. */
  readonly monotonicMs?: number;
  /** What the wall clock shows at the start. Default: the world's. */
  readonly wallMs?: number;
}

/** What a process knows of the world it lives in. */
export interface TrueTime {
  /** True time in ms since the world began. */
  readonly nowMs: number;
  /** Numbers everything in the order it was asked for, across all processes of the world. */
  nextSequence(): number;
  /** The moment of the process's next callback has changed. */
  rescheduled(process: VirtualProcess, dueAtMs: number): void;
}

/** What was asked for with `after`, and what was asked for with `soon`. */
export type CallbackKind = 'timer' | 'soon';

interface Scheduled {
  /** A reading of the process's monotonic clock. */
  readonly dueMs: number;
  readonly sequence: number;
  readonly run: () => void;
}

/**
 * A process's clocks and timers. It can drift (`setRate`), have its wall clock stepped (`stepWall`), stop with its machine
 * (`suspend`), stop alone (`pause`) and die (`end`). While it stands still none of its callbacks run; those that fell due
 * meanwhile run, in order, when it wakes. Delivering nothing to it meanwhile is up to the simulated network: ask `running`.
 */
export class VirtualProcess implements Clock, Timers, Due {
  readonly #world: TrueTime;
  /** In the order in which they run. */
  readonly #callbacks: Readonly<Record<CallbackKind, Scheduled[]>> = { timer: [], soon: [] };
  #rate: number;
  /** The true moment from which the monotonic clock runs on from `#monotonicBaseMs`; in the future during a suspend. */
  #monotonicFromMs: number;
  #monotonicBaseMs: number;
  #wallFromMs: number;
  #wallBaseMs: number;
  /** Hides rounding: a timer that fires sees its own due moment or a later one. */
  #monotonicFloorMs = -Infinity;
  #wakesAtMs = -Infinity;
  #ended = false;
  /** Kept up to date by `#refresh`, since the world asks every process at every step. */
  readonly #next: Readonly<Record<CallbackKind, { dueMs: number; sequence: number }>> = {
    timer: { dueMs: Infinity, sequence: Infinity },
    soon: { dueMs: Infinity, sequence: Infinity },
  };
  /** For the world's heap: its place in the order of next moments, and that moment. */
  heapIndex = -1;
  dueAtMs = Infinity;

  constructor(world: TrueTime, options: Required<VirtualProcessOptions>) {
    this.#world = world;
    this.#rate = checkedRate(options.rate);
    this.#monotonicFromMs = world.nowMs;
    this.#monotonicBaseMs = options.monotonicMs;
    this.#wallFromMs = world.nowMs;
    this.#wallBaseMs = options.wallMs;
  }

  monotonicMs(): number {
    const progressMs = Math.max(0, this.#world.nowMs - this.#monotonicFromMs) * this.#rate;
    return Math.max(this.#monotonicFloorMs, this.#monotonicBaseMs + progressMs);
  }

  /** Whole milliseconds, as the real one. */
  wallMs(): number {
    return Math.floor(this.#exactWallMs());
  }

  /** Bounds as in `Timers.after`. A delay is measured by this process's own clock, so drift and suspends move its end. */
  after(delayMs: number, run: () => void): Disposable {
    if (delayMs === Infinity) return disposable(() => {});
    return this.#schedule('timer', delayMs > 0 ? delayMs : 0, run);
  }

  soon(run: () => void): Disposable {
    return this.#schedule('soon', 0, run);
  }

  /** From now on both clocks run `rate` times as fast as true time; above 0. */
  setRate(rate: number): void {
    this.#monotonicBaseMs = this.monotonicMs();
    this.#monotonicFromMs = Math.max(this.#monotonicFromMs, this.#world.nowMs);
    this.#wallBaseMs = this.#exactWallMs();
    this.#wallFromMs = this.#world.nowMs;
    this.#rate = checkedRate(rate);
    this.#refresh('timer');
  }

  /** Sets the wall clock forward, or back for a negative `byMs`. Timers do not care. */
  stepWall(byMs: number): void {
    this.#wallBaseMs += byMs;
  }

  /** The machine sleeps for `forMs` of true time: no callback runs and the monotonic clock stands; the wall clock goes on. */
  suspend(forMs: number): void {
    this.#monotonicBaseMs = this.monotonicMs();
    this.#monotonicFromMs = Math.max(this.#monotonicFromMs, this.#world.nowMs + forMs);
    this.pause(forMs);
  }

  /** The process is not scheduled for `forMs` of true time: no callback runs, yet both clocks go on. */
  pause(forMs: number): void {
    this.#wakesAtMs = Math.max(this.#wakesAtMs, this.#world.nowMs + forMs);
    this.#refresh('timer');
    this.#refresh('soon');
  }

  /** Kills the process: what was pending never runs, and neither does anything asked for later. */
  end(): void {
    this.#ended = true;
    this.#callbacks.timer.length = 0;
    this.#callbacks.soon.length = 0;
    this.#refresh('timer');
    this.#refresh('soon');
  }

  /** False while it stands still, and for ever after `end`. */
  get running(): boolean {
    return !this.#ended && this.#wakesAtMs <= this.#world.nowMs;
  }

  /**
   * For the world: the true moment at which the first callback of `kind` can run as things stand; Infinity without one. A
   * moment that is past means now.
   */
  dueMs(kind: CallbackKind): number {
    return this.#next[kind].dueMs;
  }

  /** For the world: the number of the first callback of `kind`; Infinity without one. */
  firstSequence(kind: CallbackKind): number {
    return this.#next[kind].sequence;
  }

  /** For the world: removes the first callback of `kind` and runs it. */
  runFirst(kind: CallbackKind): void {
    const first = this.#callbacks[kind].shift();
    if (!first) return;
    this.#refresh(kind);
    this.#monotonicFloorMs = Math.max(this.#monotonicFloorMs, first.dueMs);
    first.run();
  }

  #exactWallMs(): number {
    return this.#wallBaseMs + (this.#world.nowMs - this.#wallFromMs) * this.#rate;
  }

  #schedule(kind: CallbackKind, delayMs: number, run: () => void): Disposable {
    const scheduled = { dueMs: this.monotonicMs() + delayMs, sequence: this.#world.nextSequence(), run };
    if (this.#ended) return disposable(() => {});
    const queue = this.#callbacks[kind];
    queue.splice(positionOf(queue, scheduled), 0, scheduled);
    this.#refresh(kind);
    return disposable(() => {
      const position = positionOf(queue, scheduled);
      if (queue[position] !== scheduled) return;
      queue.splice(position, 1);
      this.#refresh(kind);
    });
  }

  #refresh(kind: CallbackKind): void {
    const first = this.#callbacks[kind][0];
    const next = this.#next[kind];
    next.sequence = first?.sequence ?? Infinity;
    if (first === undefined) next.dueMs = Infinity;
    else if (kind === 'soon') next.dueMs = this.#wakesAtMs;
    else {
      const timerMs = this.#monotonicFromMs + (first.dueMs - this.#monotonicBaseMs) / this.#rate;
      next.dueMs = Math.max(this.#wakesAtMs, timerMs);
    }
    const { timer, soon } = this.#next;
    const dueAtMs = timer.dueMs < soon.dueMs ? timer.dueMs : soon.dueMs;
    if (dueAtMs !== this.dueAtMs) this.#world.rescheduled(this, dueAtMs);
  }
}

/** The index of `wanted` in the sorted `queue`, or where it belongs. */
function positionOf(queue: readonly Scheduled[], wanted: Scheduled): number {
  let [low, high] = [0, queue.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    const candidate = queue[middle];
    if (candidate && runsBefore(candidate, wanted)) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The order in which two callbacks of one kind run. */
function runsBefore(one: Scheduled, other: Scheduled): boolean {
  return one.dueMs < other.dueMs || (one.dueMs === other.dueMs && one.sequence < other.sequence);
}

function checkedRate(rate: number): number {
  if (rate > 0 && rate < Infinity) return rate;
  throw new RangeError(`The rate of a clock must be a finite number above 0, not ${rate}.`);
}
