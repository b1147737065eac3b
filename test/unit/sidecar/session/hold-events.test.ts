/**
 * Goal: a reader who lags costs nothing and misses nothing that matters.
 * Method: events are added faster than they are taken.
 */
import { expect, test } from '@jest/globals';
import { failure } from '../../../../src/sidecar/session/failures.ts';
import { HoldEvents } from '../../../../src/sidecar/session/hold-events.ts';

function takeAll(events: HoldEvents): string[] {
  const taken: string[] = [];
  for (let next = events.take(); next !== undefined; next = events.take()) taken.push(next.event);
  return taken;
}

test('pings that were not read are one', () => {
  const events = new HoldEvents();
  events.granted();
  for (let count = 0; count < 1_000; count++) events.ping();
  expect(takeAll(events)).toEqual(['granted', 'ping']);
  expect(takeAll(events)).toEqual([]);
});

test('jeopardy outdates a ping before it, not one after it', () => {
  const events = new HoldEvents();
  events.ping();
  events.jeopardy();
  expect(takeAll(events)).toEqual(['jeopardy']);
  events.jeopardy();
  events.ping();
  expect(takeAll(events)).toEqual(['jeopardy', 'ping']);
});

test('the loss is the last event and keeps its first reason', () => {
  const events = new HoldEvents();
  events.queued(3);
  events.granted();
  events.jeopardy();
  events.ping();
  events.lost(failure('NOT_HELD'));
  events.lost(failure('UNAVAILABLE'));
  expect(events.take()).toEqual({ event: 'queued', position: 3 });
  expect(events.take()).toEqual({ event: 'granted' });
  expect(events.take()).toMatchObject({ event: 'lost', failure: { code: 'NOT_HELD' } });
  expect(events.take()).toBeUndefined();
});
