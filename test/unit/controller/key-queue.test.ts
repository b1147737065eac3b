/** Goal: every key that was added is worked on after its last adding, never twice at once, and failures wait alone. */
import { describe, expect, it } from '@jest/globals';
import { KeyQueue, type KeyQueueOptions } from '../../../src/controller/key-queue.ts';
import { sleep } from '../../../src/system/timers.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';

function queueWith(options: Partial<KeyQueueOptions> = {}) {
  const time = new VirtualTime();
  const runs: { readonly key: string; readonly atMs: number }[] = [];
  const retries: number[] = [];
  const running = new Set<string>();
  let mostAtOnce = 0;
  const queue = new KeyQueue({
    timers: time,
    random: seededRandom(3),
    onFailure: (_, __, retryInMs) => retries.push(retryInMs),
    ...options,
    process: async (key) => {
      if (running.has(key)) throw new Error(`${key} is worked on twice at once`);
      running.add(key);
      mostAtOnce = Math.max(mostAtOnce, running.size);
      runs.push({ key, atMs: time.monotonicMs() });
      try {
        await (options.process?.(key) ?? sleep(time, 10));
      } finally {
        running.delete(key);
      }
    },
  });
  const keys = () => runs.map(({ key }) => key);
  return { time, queue, runs, keys, retries, mostAtOnce: () => mostAtOnce };
}

describe('a key', () => {
  it('added many times is worked on once', async () => {
    const { time, queue, keys } = queueWith();
    for (let times = 0; times < 100; times++) queue.add('a');
    queue.add('b');
    expect(queue.depth).toBe(2);
    await time.runBy(100);
    expect(keys()).toEqual(['a', 'b']);
    expect(queue.depth).toBe(0);
  });

  it('added while it is worked on is worked on once more, afterwards', async () => {
    const { time, queue, runs } = queueWith();
    queue.add('a');
    await time.runBy(5);
    for (let times = 0; times < 10; times++) queue.add('a');
    await time.runBy(100);
    expect(runs.map(({ atMs }) => atMs)).toEqual([0, 10]);
  });

  it('starts in a later turn, so that a flood of keys does not block', async () => {
    const { time, queue, keys } = queueWith();
    queue.add('a');
    expect(keys()).toEqual([]);
    await time.runBy(0);
    expect(keys()).toEqual(['a']);
  });
});

describe('many keys', () => {
  it('are worked on a few at once, in the order of their adding', async () => {
    const { time, queue, keys, mostAtOnce } = queueWith({ concurrency: 4 });
    const all = Array.from({ length: 50 }, (_, index) => `key-${index}`);
    for (const key of all) queue.add(key);
    await time.runBy(1_000);
    expect(keys()).toEqual(all);
    expect(mostAtOnce()).toBe(4);
  });
});

describe('a failed key', () => {
  const failing = (times: number) => {
    let left = times;
    return async (key: string) => {
      if (key === 'bad' && left-- > 0) throw new Error('no');
    };
  };

  it('comes back after pauses that double, with jitter, until it succeeds; others do not wait', async () => {
    const { time, queue, retries, keys } = queueWith({ process: failing(6) });
    queue.add('bad');
    queue.add('good');
    await time.runBy(0);
    expect(keys()).toEqual(['bad', 'good']);
    await time.runBy(60_000);
    expect(keys().filter((key) => key === 'bad')).toHaveLength(7);
    for (const [index, retryInMs] of retries.entries()) {
      expect(retryInMs).toBeGreaterThanOrEqual(100 * 2 ** index * 0.5);
      expect(retryInMs).toBeLessThanOrEqual(100 * 2 ** index);
    }
  });

  it('never waits longer than the longest pause', async () => {
    const { time, queue, retries } = queueWith({ process: failing(20), backoff: { firstMs: 100, maxMs: 1_000 } });
    queue.add('bad');
    await time.runBy(60_000);
    expect(Math.max(...retries)).toBeLessThanOrEqual(1_000);
    expect(retries).toHaveLength(20);
  });

  it('begins with the first pause again after a success', async () => {
    let fails = true;
    const { time, queue, retries } = queueWith({
      process: async () => {
        if (fails) throw new Error('no');
      },
    });
    queue.add('a');
    await time.runBy(1_000);
    fails = false;
    await time.runBy(10_000);
    fails = true;
    const before = retries.length;
    queue.add('a');
    await time.runBy(0);
    expect(retries[before]).toBeLessThanOrEqual(100);
  });

  it('starts at once when something changes', async () => {
    const { time, queue, runs } = queueWith({ process: failing(8) });
    queue.add('bad');
    await time.runBy(6_000);
    const before = runs.length;
    queue.add('bad');
    await time.runBy(0);
    expect(runs).toHaveLength(before + 1);
  });
});

describe('a later look', () => {
  it('comes at the earliest moment wished for, once', async () => {
    const { time, queue, runs } = queueWith();
    queue.addAfter('a', 500, time.monotonicMs());
    queue.addAfter('a', 200, time.monotonicMs());
    queue.addAfter('a', 900, time.monotonicMs());
    await time.runBy(5_000);
    expect(runs.map(({ atMs }) => atMs)).toEqual([200]);
  });
});

describe('disposal', () => {
  it('lets what runs end, and starts nothing more', async () => {
    const { time, queue, keys } = queueWith({ concurrency: 1 });
    queue.add('a');
    queue.add('b');
    queue.addAfter('c', 5, 0);
    await time.runBy(1);
    const state = { disposed: false };
    void queue[Symbol.asyncDispose]().then(() => Object.assign(state, { disposed: true }));
    await time.runBy(1);
    expect(state.disposed).toBe(false);
    await time.runBy(100);
    expect(state.disposed).toBe(true);
    queue.add('d');
    await time.runBy(100);
    expect(keys()).toEqual(['a']);
  });
});
