/**
 * Goal: virtual time keeps the promises of `Clock` and `Timers`, so that what passes on it can be trusted on real time.
 * Method: callbacks write down when they ran.
 */
import { describe, expect, jest, test } from '@jest/globals';
import fc from 'fast-check';
import { VirtualTime } from '../../../src/system/virtual.ts';

function setup() {
  const time = new VirtualTime();
  const ran: string[] = [];
  const note = (name: string) => () => void ran.push(`${name} at ${time.monotonicMs()}`);
  return { time, ran, note };
}

describe('advance', () => {
  test('runs what falls due, in order of due moment, then in order of asking', () => {
    const { time, ran, note } = setup();
    time.after(20, note('late'));
    time.after(10, note('first asked'));
    time.after(10, note('second asked'));
    time.after(5, note('early'));
    time.advanceBy(15);
    expect(ran).toEqual(['early at 5', 'first asked at 10', 'second asked at 10']);
    expect(time.monotonicMs()).toBe(15);
    time.advanceTo(20);
    expect(ran.at(-1)).toBe('late at 20');
  });

  test('runs what callbacks ask for, as far as it falls due', () => {
    const { time, ran, note } = setup();
    time.after(10, () => {
      note('outer')();
      time.after(5, note('inner'));
      time.after(50, note('never'));
    });
    time.advanceBy(30);
    expect(ran).toEqual(['outer at 10', 'inner at 15']);
  });

  test.each([0, -3, Number.NaN, -Infinity])('a delay of %d is due at once, but never inside the call', (delayMs) => {
    const { time, ran, note } = setup();
    time.after(delayMs, note('timer'));
    expect(ran).toEqual([]);
    time.advanceBy(0);
    expect(ran).toEqual(['timer at 0']);
  });

  test('any finite delay is kept, an infinite one never ends', () => {
    const { time, ran, note } = setup();
    time.after(2 ** 33, note('long'));
    time.after(Infinity, note('never'))[Symbol.dispose]();
    time.advanceBy(2 ** 33);
    expect(ran).toEqual([`long at ${2 ** 33}`]);
    expect(time.nextDueMs()).toBe(Infinity);
  });

  test('a cancelled timer never runs, also when cancelled by one that runs at the same moment', () => {
    const { time, ran, note } = setup();
    time.after(10, () => {
      note('canceller')();
      victim[Symbol.dispose]();
    });
    const victim = time.after(10, note('victim'));
    const before = time.after(5, note('before'));
    before[Symbol.dispose]();
    before[Symbol.dispose]();
    time.advanceBy(10);
    expect(ran).toEqual(['canceller at 10']);
  });

  test('cancelling a timer that has run cancels no other', () => {
    const { time, ran, note } = setup();
    const gone = time.after(10, note('gone'));
    time.advanceBy(10);
    time.after(0, note('kept'));
    gone[Symbol.dispose]();
    time.advanceBy(0);
    expect(ran).toEqual(['gone at 10', 'kept at 10']);
  });

  test('time does not go back', () => {
    const { time } = setup();
    time.advanceTo(10);
    expect(() => time.advanceTo(9)).toThrow(RangeError);
    expect(() => time.advanceBy(Number.NaN)).toThrow(RangeError);
    expect(time.monotonicMs()).toBe(10);
  });

  test('the wall clock moves along, in whole milliseconds', () => {
    const time = new VirtualTime({ wallMs: 1_000_000 });
    expect(time.wallMs()).toBe(1_000_000);
    time.advanceBy(10.75);
    expect(time.wallMs()).toBe(1_000_010);
    expect(time.monotonicMs()).toBe(10.75);
  });

  test('nextDueMs tells how far to advance', () => {
    const { time, note } = setup();
    expect(time.nextDueMs()).toBe(Infinity);
    const timer = time.after(30, note('timer'));
    time.after(40, note('timer'));
    expect(time.nextDueMs()).toBe(30);
    timer[Symbol.dispose]();
    expect(time.nextDueMs()).toBe(40);
    time.soon(note('soon'));
    expect(time.nextDueMs()).toBe(0);
  });
});

describe('callbacks', () => {
  test('do not run inside one another: time cannot be moved from inside', () => {
    const { time, ran, note } = setup();
    const errors: unknown[] = [];
    const attempt = (move: () => unknown) => () => {
      try {
        move();
      } catch (error) {
        errors.push(error);
      }
    };
    time.after(
      10,
      attempt(() => time.advanceBy(10)),
    );
    time.after(
      10,
      attempt(() => time.runSoon()),
    );
    time.after(
      10,
      attempt(() => time.world.step()),
    );
    time.soon(attempt(() => time.advanceBy(10)));
    time.after(15, note('later'));
    time.advanceBy(12);
    expect(errors.map(String)).toEqual(Array.from({ length: 4 }, () => expect.stringContaining('already moving')));
    expect(ran).toEqual([]);
    time.advanceBy(10);
    expect(ran).toEqual(['later at 15']);
  });

  test('may throw: the rest stays to be run', () => {
    const { time, ran, note } = setup();
    time.after(10, () => {
      throw new Error('broken');
    });
    time.after(10, note('next'));
    expect(() => time.advanceBy(20)).toThrow('broken');
    expect(time.monotonicMs()).toBe(10);
    time.advanceBy(10);
    expect(ran).toEqual(['next at 10']);
    expect(time.monotonicMs()).toBe(20);
  });

  test('that ask for themselves without end are stopped', () => {
    const { time } = setup();
    time.after(10, function again() {
      time.after(0, again);
    });
    expect(() => time.advanceBy(10)).toThrow('they ask for each other');
  });
});

describe('soon', () => {
  test('runs after the timers of the moment, and before those asked for meanwhile', () => {
    const { time, ran, note } = setup();
    time.after(10, () => {
      note('timer 1')();
      time.soon(() => {
        note('soon 1')();
        time.soon(note('soon 3'));
      });
      time.after(0, note('timer 3'));
    });
    time.after(10, () => {
      note('timer 2')();
      time.soon(note('soon 2'));
    });
    time.advanceBy(10);
    expect(ran).toEqual(['timer 1', 'timer 2', 'soon 1', 'soon 2', 'timer 3', 'soon 3'].map((name) => `${name} at 10`));
  });

  test('runSoon runs one turn and no timer', () => {
    const { time, ran, note } = setup();
    time.after(0, note('timer'));
    time.soon(() => {
      note('one')();
      time.soon(note('three'));
    });
    time.soon(note('two'));
    time.soon(note('cancelled'))[Symbol.dispose]();
    time.runSoon();
    expect(ran).toEqual(['one at 0', 'two at 0']);
    time.runSoon();
    expect(ran.at(-1)).toBe('three at 0');
  });
});

describe('run', () => {
  test('lets promises continue before time moves on', async () => {
    const { time, ran, note } = setup();
    const wait = (delayMs: number) => new Promise<void>((resolve) => time.after(delayMs, resolve));
    const work = async () => {
      await wait(10);
      note('first')();
      await Promise.resolve();
      await wait(10);
      note('second')();
      await wait(10);
      note('third')();
    };
    void work();
    await time.runTo(25);
    expect(ran).toEqual(['first at 10', 'second at 20']);
    await time.runBy(5);
    expect(ran.at(-1)).toBe('third at 30');
  });

  test('does not run twice at once', async () => {
    const { time } = setup();
    const running = time.runBy(10);
    await expect(time.runBy(10)).rejects.toThrow('already moving');
    expect(() => time.advanceBy(10)).toThrow('already moving');
    await running;
    expect(time.monotonicMs()).toBe(10);
  });

  test('rejects when a callback throws, and goes on from there', async () => {
    const { time } = setup();
    const next = jest.fn();
    time.after(5, () => {
      throw new Error('broken');
    });
    time.after(5, next);
    await expect(time.runBy(10)).rejects.toThrow('broken');
    await time.runBy(5);
    expect(next).toHaveBeenCalledTimes(1);
  });
});

test('any timers run in the order of a plain list', () => {
  const delays = fc.array(fc.record({ delayMs: fc.nat(50), cancelled: fc.boolean() }), { maxLength: 60 });
  fc.assert(
    fc.property(delays, fc.array(fc.nat(20), { maxLength: 10 }), (timers, steps) => {
      const time = new VirtualTime();
      const ran: number[] = [];
      const handles = timers.map(({ delayMs }, index) => time.after(delayMs, () => ran.push(index)));
      for (const [index, handle] of handles.entries()) if (timers[index]?.cancelled) handle[Symbol.dispose]();
      for (const stepMs of steps) time.advanceBy(stepMs);

      const expected = timers
        .map(({ delayMs, cancelled }, index) => ({ delayMs, cancelled, index }))
        .filter(({ delayMs, cancelled }) => !cancelled && steps.length > 0 && delayMs <= time.monotonicMs())
        .toSorted((one, other) => one.delayMs - other.delayMs || one.index - other.index);
      expect(ran).toEqual(expected.map(({ index }) => index));
    }),
    { numRuns: 300 },
  );
});
