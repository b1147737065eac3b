/**
 * Goal: Fifo grants in the order of arrival, whoever comes, leaves or returns in between.
 * Method: many waiters of one lock, some of which leave, and any sequence of arrivals and departures that fast-check finds.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EngineHarness } from '../../support/engine-harness.ts';
import type { Ask, TestSession } from '../../support/engine-session.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('jobs');
  return { world, holder: world.session('holder') };
}

test('a hundred waiters are granted as they came', () => {
  const { world, holder } = setup();
  let held = { session: holder, ask: holder.tries('jobs/a') };
  const waiters = Array.from({ length: 100 }, (_, index) => {
    const session = world.session(`waiter-${index}`);
    return { session, ask: session.waits('jobs/a') };
  });
  for (const waiter of waiters) {
    expect(waiter.ask.isWaiting).toBe(true);
    held.session.releases(held.ask);
    expect(waiter.ask.isGranted).toBe(true);
    held = waiter;
  }
});

test('priority means nothing', () => {
  const { world, holder } = setup();
  const held = holder.tries('jobs/a');
  const first = world.session('first').waits('jobs/a', { priority: 0 });
  world.session('second').waits('jobs/a', { priority: 9 });
  holder.releases(held);
  expect(first.isGranted).toBe(true);
});

test('the position is that of the arrival', () => {
  const { world, holder } = setup();
  holder.tries('jobs/a');
  for (let position = 1; position <= 3; position++) {
    expect(world.session(`waiter-${position}`).waits('jobs/a').replies).toMatchObject([{ kind: 'queued', position }]);
  }
});

test('any arrivals and departures leave the order of the others as it was', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ leaves: fc.boolean(), which: fc.nat() }), { maxLength: 40 }), (steps) => {
      const { world, holder } = setup();
      const held = holder.tries('jobs/a');
      let waiting: { session: TestSession; ask: Ask }[] = [];
      for (const { leaves, which } of steps) {
        if (leaves && waiting.length > 0) {
          const [left] = waiting.splice(which % waiting.length, 1);
          left?.session.cancels(left.ask);
        } else {
          const session = world.session(`waiter-${waiting.length}`);
          waiting.push({ session, ask: session.waits('jobs/a') });
        }
      }
      let current = { session: holder, ask: held };
      for (; waiting.length > 0; waiting = waiting.slice(1)) {
        current.session.releases(current.ask);
        expect(waiting.map(({ ask }) => ask.isGranted)).toEqual(waiting.map((_, index) => index === 0));
        current = waiting[0]!;
      }
    }),
    { numRuns: 50 },
  );
});
