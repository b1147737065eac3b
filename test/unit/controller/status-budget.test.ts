/**
 * Goal: statuses never cost more writes than the budget, and what is written last is the last state. Method: transitions in
 * numbers on virtual time; a writer as the controllers are, one turn of the event loop away.
 */
import { describe, expect, it } from '@jest/globals';
import { StatusBudget } from '../../../src/controller/status-budget.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';

interface Written {
  readonly key: string;
  readonly state: number;
  readonly atMs: number;
}

/** Writes the state of the moment whenever a key has its turn and its state is not written yet. */
function budgetedWriter() {
  const time = new VirtualTime();
  const states = new Map<string, number>();
  const stored = new Map<string, number>();
  const writes: Written[] = [];
  const budget = new StatusBudget({ clock: time, timers: time, onTurn: (key) => void time.soon(() => look(key)) });
  const look = (key: string) => {
    const state = states.get(key) ?? 0;
    if (stored.get(key) === state) budget.decline(key);
    else if (budget.take(key)) {
      stored.set(key, state);
      writes.push({ key, state, atMs: time.monotonicMs() });
    }
  };
  const change = (key: string) => {
    states.set(key, (states.get(key) ?? 0) + 1);
    budget.ask(key);
  };
  return { time, budget, states, stored, writes, look, change };
}

/** The most writes in any second. */
function mostPerSecond(writes: readonly Written[]): number {
  return Math.max(
    ...writes.map(({ atMs }) => writes.filter((each) => each.atMs >= atMs && each.atMs < atMs + 1_000).length),
  );
}

describe('one lock', () => {
  it('with 10,000 transitions in a second has at most one write a second, and the last state is written', async () => {
    const { time, writes, stored, change, budget } = budgetedWriter();
    for (let step = 0; step < 1_000; step++) {
      for (let each = 0; each < 10; each++) change('a');
      await time.runBy(1);
    }
    await time.runBy(5_000);
    expect(writes.map(({ atMs }) => Math.floor(atMs))).toEqual([0, 1_000]);
    expect(stored.get('a')).toBe(10_000);
    expect(budget.folded).toBeGreaterThan(9_900);
    expect(budget.waitingCount).toBe(0);
  });

  it('that changes seldom is written at once', async () => {
    const { time, writes, change } = budgetedWriter();
    for (let times = 0; times < 5; times++) {
      change('a');
      await time.runBy(2_000);
    }
    expect(writes.map(({ atMs }) => atMs)).toEqual([0, 2_000, 4_000, 6_000, 8_000]);
  });

  it('that changes between its turn and its write is looked at again', async () => {
    const time = new VirtualTime();
    const turns: number[] = [];
    const budget = new StatusBudget({ clock: time, timers: time, onTurn: () => turns.push(time.monotonicMs()) });
    budget.ask('a');
    await time.runBy(0);
    budget.ask('a');
    expect(budget.take('a')).toBe(true);
    await time.runBy(3_000);
    expect(turns).toEqual([0, 1_000]);
  });

  it('with nothing to write is not looked at all the time', async () => {
    const { time, budget } = budgetedWriter();
    let turns = 0;
    const idle = new StatusBudget({
      clock: time,
      timers: time,
      onTurn: (key) => {
        turns++;
        time.soon(() => idle.decline(key));
      },
    });
    for (let step = 0; step < 1_000; step++) {
      idle.ask('a');
      await time.runBy(1);
    }
    expect(turns).toBeLessThanOrEqual(5);
    expect(budget.waitingCount).toBe(0);
  });
});

describe('1,000 locks', () => {
  it('share 50 writes a second, each gets its turn, and the last state of each is written', async () => {
    const { time, writes, stored, states, change } = budgetedWriter();
    const keys = Array.from({ length: 1_000 }, (_, index) => `lock-${index}`);
    for (let step = 0; step < 100; step++) {
      for (const key of keys) change(key);
      await time.runBy(100);
    }
    await time.runBy(30_000);
    expect(mostPerSecond(writes)).toBeLessThanOrEqual(50);
    expect(writes.filter(({ atMs }) => atMs < 10_000).length).toBeGreaterThan(400);
    expect(stored).toEqual(states);
    // Nobody is passed over: a lock is written again only after all others were.
    expect(new Set(writes.slice(0, 400).map(({ key }) => key)).size).toBe(400);
  });
});

describe('a write without asking first', () => {
  it('may be made while the budget allows and nobody waits; otherwise it waits for its turn', async () => {
    const { time, budget, writes, states, look } = budgetedWriter();
    for (let number = 0; number < 20; number++) states.set(`lock-${number}`, 1);
    for (const key of states.keys()) look(key);
    const atOnce = writes.length;
    expect(atOnce).toBe(5);
    expect(budget.waitingCount).toBe(15);
    await time.runBy(1_000);
    expect(writes).toHaveLength(20);
  });
});
