/**
 * Goal: a timer fires once, never early, however long its delay; a cancelled one never fires.
 * Method: the platform's calls are replaced by ones that record what was asked for and fire when told; no test sleeps.
 */
import { describe, expect, jest, test } from '@jest/globals';
import { type TimerPlatform, sleep, systemTimers } from '../../../src/system/timers.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';

const delayMaxMs = 2 ** 31 - 1;

/** A platform whose clock stands at `nowMs` and whose timers fire when `fireNext` is called, at whatever time that is. */
class FakePlatform implements TimerPlatform {
  nowMs = 1_000.25;
  readonly delays: number[] = [];
  readonly immediates = new Set<() => void>();
  unreferenced = 0;
  readonly #pending = new Set<() => void>();

  readonly clock = { monotonicMs: () => this.nowMs, wallMs: () => 0 };

  setTimeout(run: () => void, delayMs: number) {
    this.delays.push(delayMs);
    this.#pending.add(run);
    return Object.assign(run, { unref: () => (this.unreferenced += 1) });
  }

  clearTimeout(timer: unknown): void {
    this.#pending.delete(timer as () => void);
  }

  setImmediate(run: () => void): unknown {
    this.immediates.add(run);
    return run;
  }

  clearImmediate(immediate: unknown): void {
    this.immediates.delete(immediate as () => void);
  }

  get pendingCount(): number {
    return this.#pending.size;
  }

  fireNext(): void {
    const [run] = this.#pending;
    if (!run) throw new Error('No timer is pending.');
    this.#pending.delete(run);
    run();
  }
}

function setup(options: { readonly keepAlive?: boolean } = {}) {
  const platform = new FakePlatform();
  const timers = systemTimers({ platform, clock: platform.clock, ...options });
  return { platform, timers, run: jest.fn() };
}

describe('after', () => {
  test('fires once, not inside the call', () => {
    const { platform, timers, run } = setup();
    timers.after(20, run);
    expect(run).not.toHaveBeenCalled();
    platform.nowMs += 20;
    platform.fireNext();
    expect(run).toHaveBeenCalledTimes(1);
    expect(platform.pendingCount).toBe(0);
  });

  test.each([
    { delayMs: 0, asked: 0 },
    { delayMs: -5, asked: 0 },
    { delayMs: Number.NaN, asked: 0 },
    { delayMs: -Infinity, asked: 0 },
    { delayMs: 0.2, asked: 1 },
    { delayMs: 15, asked: 15 },
    { delayMs: 15.0001, asked: 16 },
    { delayMs: delayMaxMs, asked: delayMaxMs },
    { delayMs: delayMaxMs + 1, asked: delayMaxMs },
    { delayMs: Number.MAX_SAFE_INTEGER, asked: delayMaxMs },
  ])('a delay of $delayMs asks the platform for $asked', ({ delayMs, asked }) => {
    const { platform, timers, run } = setup();
    timers.after(delayMs, run);
    expect(platform.delays).toEqual([asked]);
  });

  test('a delay that the platform cannot take is waited for in parts', () => {
    const { platform, timers, run } = setup();
    timers.after(delayMaxMs * 2 + 100, run);
    for (const part of [delayMaxMs, delayMaxMs]) {
      platform.nowMs += part;
      platform.fireNext();
      expect(run).not.toHaveBeenCalled();
    }
    platform.nowMs += 100;
    platform.fireNext();
    expect(run).toHaveBeenCalledTimes(1);
    expect(platform.delays).toEqual([delayMaxMs, delayMaxMs, 100]);
  });

  test('a platform that fires early is asked again for the rest', () => {
    const { platform, timers, run } = setup();
    timers.after(50, run);
    platform.nowMs += 49.6;
    platform.fireNext();
    expect(run).not.toHaveBeenCalled();
    platform.nowMs += 1;
    platform.fireNext();
    expect(run).toHaveBeenCalledTimes(1);
    expect(platform.delays).toEqual([50, 1]);
  });

  test('a callback that asks for itself again waits each time', () => {
    const { platform, timers, run } = setup();
    timers.after(10, function again() {
      run();
      timers.after(10, again);
    });
    for (let round = 0; round < 3; round += 1) {
      platform.nowMs += 10;
      platform.fireNext();
    }
    expect(run).toHaveBeenCalledTimes(3);
  });

  test('an infinite delay asks for nothing', () => {
    const { platform, timers, run } = setup();
    timers.after(Infinity, run)[Symbol.dispose]();
    expect(platform.delays).toEqual([]);
  });

  test('a cancelled timer is gone, also between two parts, and cancelling twice is harmless', () => {
    const { platform, timers, run } = setup();
    const timer = timers.after(delayMaxMs + 10, run);
    platform.nowMs += delayMaxMs;
    platform.fireNext();
    expect(platform.pendingCount).toBe(1);
    timer[Symbol.dispose]();
    timer[Symbol.dispose]();
    expect(platform.pendingCount).toBe(0);
    expect(run).not.toHaveBeenCalled();
  });

  test('the process may end before it fires, unless it should stay alive', () => {
    const idle = setup();
    idle.timers.after(1, idle.run);
    expect(idle.platform.unreferenced).toBe(1);
    const alive = setup({ keepAlive: true });
    alive.timers.after(1, alive.run);
    expect(alive.platform.unreferenced).toBe(0);
  });
});

describe('soon', () => {
  test('runs when the sockets have been polled', () => {
    const { platform, timers, run } = setup();
    timers.soon(run);
    expect(run).not.toHaveBeenCalled();
    for (const immediate of platform.immediates) immediate();
    expect(run).toHaveBeenCalledTimes(1);
  });

  test('can be cancelled', () => {
    const { platform, timers, run } = setup();
    timers.soon(run)[Symbol.dispose]();
    expect(platform.immediates.size).toBe(0);
  });
});

test('the timers of the machine', async () => {
  const timers = systemTimers({ keepAlive: true });
  const cancelled = jest.fn();
  timers.after(0, cancelled)[Symbol.dispose]();
  timers.soon(cancelled)[Symbol.dispose]();
  await new Promise<void>((resolve) => timers.soon(resolve));
  await new Promise<void>((resolve) => timers.after(1, resolve));
  expect(cancelled).not.toHaveBeenCalled();
});

describe('sleep', () => {
  test('ends after the delay', async () => {
    const time = new VirtualTime();
    const woken = jest.fn();
    const sleeping = sleep(time, 100, new AbortController().signal).then(woken);
    await time.runBy(99);
    expect(woken).not.toHaveBeenCalled();
    await time.runBy(1);
    expect(woken).toHaveBeenCalledTimes(1);
    await sleeping;
  });

  test('ends with the reason of the signal, leaving no timer', async () => {
    const time = new VirtualTime();
    const controller = new AbortController();
    const sleeping = sleep(time, 100, controller.signal);
    controller.abort('shutting down');
    await expect(sleeping).rejects.toBe('shutting down');
    expect(time.nextDueMs()).toBe(Infinity);
  });

  test('does not begin when the signal has already aborted', async () => {
    const time = new VirtualTime();
    await expect(sleep(time, 100, AbortSignal.abort('too late'))).rejects.toBe('too late');
    expect(time.nextDueMs()).toBe(Infinity);
  });
});
