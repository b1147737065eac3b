/** Time that moves only when a unit test says so. */
import type { Clock } from './clock.ts';
import type { Timers } from './timers.ts';
import type { VirtualProcess, VirtualProcessOptions } from './virtual-process.ts';
import { VirtualWorld, type VirtualWorldOptions } from './virtual-world.ts';

/**
 * One clock and its timers: a `VirtualWorld` with a single process on it. For a clock that is wrong, skew `process`; the
 * moments and delays here are those of true time, which is what the clock shows as long as nobody did.
 */
export class VirtualTime implements Clock, Timers {
  readonly world: VirtualWorld;
  readonly process: VirtualProcess;

  constructor(options: VirtualWorldOptions & Pick<VirtualProcessOptions, 'rate'> = {}) {
    this.world = new VirtualWorld(options);
    this.process = this.world.process(options);
  }

  monotonicMs(): number {
    return this.process.monotonicMs();
  }

  wallMs(): number {
    return this.process.wallMs();
  }

  after(delayMs: number, run: () => void): Disposable {
    return this.process.after(delayMs, run);
  }

  soon(run: () => void): Disposable {
    return this.process.soon(run);
  }

  /** The moment at which the next callback can run; Infinity if none is pending. */
  nextDueMs(): number {
    return this.world.nextDueMs();
  }

  /** Runs what was asked for `soon` before this call, and no timer. Time stands still. */
  runSoon(): void {
    this.world.runSoon();
  }

  /** Moves time on by `byMs`, running everything that falls due. */
  advanceBy(byMs: number): void {
    this.world.advanceBy(byMs);
  }

  /** Moves time to `toMs` since the start, running everything that falls due. */
  advanceTo(toMs: number): void {
    this.world.advanceTo(toMs);
  }

  /** As `advanceBy`, letting settled promises run their continuations before each callback and before the end. */
  runBy(byMs: number): Promise<void> {
    return this.world.runBy(byMs);
  }

  /** As `advanceTo`, with promises: see `runBy`. */
  runTo(toMs: number): Promise<void> {
    return this.world.runTo(toMs);
  }
}
