/**
 * Goal: Priority grants the highest first, and every wait raises it, so that nobody starves.
 * Method: waiters of written priorities that arrive at written moments; one step of priority is worth five seconds of waiting.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { PRIORITY_AGING_MS } from '../../../src/api/limits.ts';
import { EngineHarness } from '../../support/engine-harness.ts';
import type { Ask, TestSession } from '../../support/engine-session.ts';

function setup() {
  const world = new EngineHarness();
  world.pool('ranked', { fairness: 'Priority' });
  const holder = world.session('holder');
  const held = holder.tries('ranked/a', { ttlMs: 60_000 });
  return { world, holder, held };
}

/** Releases until nobody is left, and names the owners in the order in which they were granted. */
function drain(world: EngineHarness, sessions: readonly TestSession[], asks: readonly Ask[]): string[] {
  const order: string[] = [];
  for (;;) {
    const [owner] = world.holders('ranked/a');
    if (owner === undefined) return order.slice(1);
    order.push(owner);
    const index = sessions.findIndex((session) => session.name === owner);
    sessions[index]!.releases(asks[index]!);
  }
}

test('the highest is granted first, equals as they came', () => {
  const { world, holder, held } = setup();
  const sessions = [holder];
  const asks = [held];
  for (const [name, priority] of [
    ['low', 1],
    ['high', 9],
    ['middle', 5],
    ['also high', 9],
    ['none', 0],
  ] as const) {
    const session = world.session(name);
    sessions.push(session);
    asks.push(session.waits('ranked/a', { priority }));
  }
  expect(drain(world, sessions, asks)).toEqual(['high', 'also high', 'middle', 'low', 'none']);
});

test('a waiter is overtaken only until it has waited five seconds for each step', () => {
  const { world, holder, held } = setup();
  const patient = world.session('patient');
  const patientAsk = patient.waits('ranked/a', { priority: 0 });
  world.passes(2 * PRIORITY_AGING_MS - 1);
  const urgent = world.session('urgent');
  const urgentAsk = urgent.waits('ranked/a', { priority: 2 });
  const late = world.session('late');
  world.passes(1);
  const lateAsk = late.waits('ranked/a', { priority: 2 });
  expect(drain(world, [holder, patient, urgent, late], [held, patientAsk, urgentAsk, lateAsk])).toEqual([
    'urgent',
    'patient',
    'late',
  ]);
  expect(world.count('agedOvertake')).toBe(1);
});

test('the inspection names the waiters in the order in which they will be granted', () => {
  const { world } = setup();
  world.session('low').waits('ranked/a', { priority: 1 });
  world.session('high').waits('ranked/a', { priority: 8 });
  expect(world.inspect('ranked/a').waiters.map((waiter) => waiter.ownerId)).toEqual(['high', 'low']);
});

test('readers and writers take turns whatever their priority', () => {
  const { world, holder, held } = setup();
  world.session('writer').waits('ranked/a', { priority: 9 });
  const reader = world.session('reader').waits('ranked/a', { mode: 'shared', priority: 0 });
  holder.releases(held);
  expect(reader.isGranted).toBe(true);
});

test('the order is that of arrival less five seconds for each step, for any arrivals', () => {
  const arrival = fc.record({ priority: fc.integer({ min: 0, max: 9 }), afterMs: fc.integer({ min: 0, max: 6_000 }) });
  fc.assert(
    fc.property(fc.array(arrival, { maxLength: 15 }), (arrivals) => {
      const { world, holder, held } = setup();
      const sessions = [holder];
      const asks = [held];
      const ranked: { name: string; rank: number }[] = [];
      for (const [index, { priority, afterMs }] of arrivals.entries()) {
        world.passes(afterMs);
        holder.renews(held);
        const session = world.session(`waiter-${index}`);
        sessions.push(session);
        asks.push(session.waits('ranked/a', { priority }));
        ranked.push({ name: session.name, rank: world.nowMs - priority * PRIORITY_AGING_MS });
      }
      const expected = ranked.toSorted((left, right) => left.rank - right.rank).map(({ name }) => name);
      expect(drain(world, sessions, asks)).toEqual(expected);
    }),
    { numRuns: 100 },
  );
});
