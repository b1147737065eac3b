/**
 * Goal: releases wait for exactly the acquires that may yet be re-entries, and nothing is remembered of a lane that is empty.
 * Method: the lanes alone.
 */
import { expect, test } from '@jest/globals';
import { OwnerLanes } from '../../../../src/sidecar/session/owner-lanes.ts';

function setup() {
  const lanes = new OwnerLanes();
  const ran: string[] = [];
  const release = (name: string) => lanes.whenSettled('k', 'o', () => ran.push(name));
  return { lanes, ran, release };
}

test('nothing under way: at once', () => {
  const { ran, release } = setup();
  release('first');
  expect(ran).toEqual(['first']);
});

test('waits for the last unanswered acquire, in order', () => {
  const { lanes, ran, release } = setup();
  lanes.enter('k', 'o');
  lanes.enter('k', 'o');
  release('first');
  release('second');
  lanes.leave('k', 'o', false);
  expect(ran).toEqual([]);
  lanes.leave('k', 'o', false);
  expect(ran).toEqual(['first', 'second']);
  expect(lanes.isUsed('k', 'o')).toBe(false);
});

test('does not wait for a queued one, until it is asked again', () => {
  const { lanes, ran, release } = setup();
  lanes.enter('k', 'o');
  release('first');
  lanes.queue('k', 'o');
  release('second');
  expect(ran).toEqual(['first', 'second']);
  expect([lanes.isUsed('k', 'o'), lanes.unsettled('k', 'o')]).toEqual([true, 0]);
  lanes.reenter('k', 'o');
  release('third');
  expect(ran).toEqual(['first', 'second']);
  lanes.leave('k', 'o', false);
  expect(ran).toEqual(['first', 'second', 'third']);
  expect(lanes.isUsed('k', 'o')).toBe(false);
});

test('a lane is gone with its last acquire, queued or not', () => {
  const { lanes } = setup();
  lanes.enter('k', 'o');
  lanes.enter('k', 'o');
  lanes.queue('k', 'o');
  lanes.leave('k', 'o', true);
  expect(lanes.isUsed('k', 'o')).toBe(true);
  lanes.leave('k', 'o', false);
  expect(lanes.isUsed('k', 'o')).toBe(false);
});

test('other owners and other locks are other lanes', () => {
  const { lanes, ran, release } = setup();
  lanes.enter('k', 'other');
  lanes.enter('other', 'o');
  release('first');
  expect(ran).toEqual(['first']);
});
