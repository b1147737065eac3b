/** Running something later. */
import { type Clock, systemClock } from './clock.ts';
import { disposable, onAbort } from './disposables.ts';

export interface Timers {
  /**
   * Runs `run` once, when at least `delayMs` have passed on the monotonic clock: late under load, never early, never
   * inside the call. NaN and negative delays count as 0, there is no upper bound, Infinity never fires.
   * Disposing the answer before that cancels it; afterwards it does nothing.
   */
  after(delayMs: number, run: () => void): Disposable;
  /**
   * Runs `run` once after the sockets have been polled, so after everything that has already arrived was read. Used to
   * put all that one turn of the event loop produced into one frame. Disposing the answer before that cancels it.
   */
  soon(run: () => void): Disposable;
}

/** The longest delay that the platform's timer takes; it runs a longer one at once. */
const platformDelayMaxMs = 2 ** 31 - 1;

interface PlatformTimer {
  unref(): unknown;
}

/** The platform calls behind `systemTimers`; tests pass their own. */
export interface TimerPlatform {
  setTimeout(run: () => void, delayMs: number): PlatformTimer;
  clearTimeout(timer: PlatformTimer): void;
  setImmediate(run: () => void): unknown;
  clearImmediate(immediate: unknown): void;
}

const nodePlatform: TimerPlatform = {
  setTimeout: (run, delayMs) => setTimeout(run, delayMs),
  clearTimeout: (timer) => clearTimeout(timer as NodeJS.Timeout),
  setImmediate: (run) => setImmediate(run),
  clearImmediate: (immediate) => clearImmediate(immediate as NodeJS.Immediate),
};

export interface SystemTimersOptions {
  /**
   * Whether a pending `after` keeps the process alive. Default false: a server lives by its listeners, and a forgotten
   * timer must not keep it from ending. A command that only waits needs true. A pending `soon` always runs.
   */
  readonly keepAlive?: boolean;
  /** Measures the delays. Default: the clock of the machine. */
  readonly clock?: Clock;
  readonly platform?: TimerPlatform;
}

/** The timers of the machine. */
export function systemTimers(options: SystemTimersOptions = {}): Timers {
  const { keepAlive = false, clock = systemClock(), platform = nodePlatform } = options;

  function after(delayMs: number, run: () => void): Disposable {
    if (delayMs === Infinity) return disposable(() => {});
    const dueMs = clock.monotonicMs() + (delayMs > 0 ? delayMs : 0);
    let timer = arm();

    /** The platform truncates fractions, rounds its own clock and refuses long delays: ask again until it is really due. */
    function arm(): PlatformTimer {
      const restMs = Math.ceil(dueMs - clock.monotonicMs());
      const armed = platform.setTimeout(fire, Math.min(Math.max(restMs, 0), platformDelayMaxMs));
      if (!keepAlive) armed.unref();
      return armed;
    }

    function fire(): void {
      if (clock.monotonicMs() >= dueMs) run();
      else timer = arm();
    }

    return disposable(() => platform.clearTimeout(timer));
  }

  function soon(run: () => void): Disposable {
    const immediate = platform.setImmediate(run);
    return disposable(() => platform.clearImmediate(immediate));
  }

  return { after, soon };
}

/**
 * Waits for at least `delayMs` (bounds as in `Timers.after`). Rejects with the signal's reason as soon as it aborts; the
 * timer is gone then.
 */
export function sleep(timers: Timers, delayMs: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = timers.after(delayMs, () => {
      listener?.[Symbol.dispose]();
      resolve();
    });
    const listener =
      signal &&
      onAbort(signal, (reason) => {
        timer[Symbol.dispose]();
        reject(reason);
      });
  });
}
