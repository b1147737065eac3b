/** Goal: requests leave at a bounded rate, in order, and nobody waits for ever. Method: virtual time. */
import { describe, expect, test } from '@jest/globals';
import { RateLimit, type Turn } from '../../../../src/kube/cluster/rate-limit.ts';
import { VirtualTime } from '../../../../src/system/virtual.ts';

function world(options: { waitingMax?: number } = {}) {
  const time = new VirtualTime();
  const limit = new RateLimit({ requestsPerSecondMax: 10, burst: 5, clock: time, timers: time, ...options });
  const turns: string[] = [];
  const ask = (name: string, withinMs = 60_000, signal?: AbortSignal) => {
    void limit.take(withinMs, signal).then((turn: Turn) => turns.push(`${name} ${turn} ${time.monotonicMs()}`));
  };
  return { time, limit, turns, ask };
}

describe('a rate limit', () => {
  test('lets a burst through at once, then one after the other, in order', async () => {
    const { time, turns, ask } = world();
    for (let index = 0; index < 8; index++) ask(String(index));
    await time.runBy(0);
    expect(turns).toEqual(['0 turn 0', '1 turn 0', '2 turn 0', '3 turn 0', '4 turn 0']);
    await time.runBy(1_000);
    expect(turns.slice(5)).toEqual(['5 turn 100', '6 turn 200', '7 turn 300']);
  });

  test('never lets more through than its rate and burst allow, over a long time', async () => {
    const { time, turns, ask } = world();
    for (let index = 0; index < 500; index++) ask(String(index));
    await time.runBy(10_000);
    expect(turns.length).toBeGreaterThanOrEqual(104);
    expect(turns.length).toBeLessThanOrEqual(106);
  });

  test('who comes later does not pass who waits', async () => {
    const { time, turns, ask } = world();
    for (let index = 0; index < 6; index++) ask(String(index));
    await time.runBy(95);
    ask('late');
    await time.runBy(1_000);
    expect(turns.slice(5)).toEqual(['5 turn 100', 'late turn 200']);
  });

  test('gives up for who runs out of time or leaves, and spends no turn on them', async () => {
    const { time, limit, turns, ask } = world();
    const abort = new AbortController();
    for (let index = 0; index < 5; index++) ask(String(index));
    ask('impatient', 50);
    ask('leaving', 60_000, abort.signal);
    ask('patient');
    await time.runBy(10);
    abort.abort();
    await time.runBy(1_000);
    expect(turns.slice(5)).toEqual(['leaving aborted 10', 'impatient late 50', 'patient turn 100']);
    expect(limit.waiting).toBe(0);
  });

  test('takes in only so many who wait', async () => {
    const { time, turns, ask } = world({ waitingMax: 1 });
    for (let index = 0; index < 7; index++) ask(String(index));
    await time.runBy(10);
    expect(turns).toContain('6 full 0');
    expect(turns).toHaveLength(6);
  });

  test('does not count who has left already', async () => {
    const { time, turns, ask } = world();
    ask('gone', 60_000, AbortSignal.abort());
    await time.runBy(0);
    expect(turns).toEqual(['gone aborted 0']);
  });
});
