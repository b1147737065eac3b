/**
 * Goal: holds are found by key and token, and those nobody releases do not stay for ever.
 * Method: the table alone, on virtual time.
 */
import { expect, test } from '@jest/globals';
import type { HoldReply } from '../../../../src/api/operations.ts';
import { shardOf } from '../../../../src/api/shard-hash.ts';
import { deadlineOf } from '../../../../src/sidecar/session/deadline.ts';
import { HoldTable } from '../../../../src/sidecar/session/hold-table.ts';
import { ProgressMeter } from '../../../../src/system/clock.ts';
import { VirtualTime } from '../../../../src/system/virtual.ts';

function setup() {
  const time = new VirtualTime();
  const meter = new ProgressMeter(time);
  const table = new HoldTable(meter, time, shardOf);
  const add = (key: string, token: number, ttlMs = 10_000) => {
    const reply: HoldReply = {
      ...({ kind: 'hold', ref: 1, key, ownerId: 'o', mode: 'shared', token, depth: 1, ttlMs } as const),
      ...{ remainingMs: ttlMs, seen: 1, epoch: 1, metadata: undefined },
    };
    return table.insert(reply, deadlineOf(meter.mark(), ttlMs), 1);
  };
  return { time, meter, table, add };
}

test('several holds of one key are kept apart by token', () => {
  const { table, add } = setup();
  const holds = [1, 2, 3].map((token) => add('team/pool/k', token));
  add('team/pool/other', 4);
  expect(table.size).toBe(4);
  expect([1, 2, 3].map((token) => table.find('team/pool/k', token))).toEqual(holds);
  expect(table.find('team/pool/k', 4)).toBeUndefined();
  for (const hold of holds) table.end(hold);
  table.end(holds[0] as never);
  expect(table.size).toBe(1);
  expect([...table].map(({ token }) => token)).toEqual([4]);
});

test('what ran out is dropped within seconds, what lives or is watched stays', () => {
  const { time, table, add } = setup();
  for (let index = 0; index < 2_000; index++) add(`team/pool/k${index}`, index + 1);
  const living = add('team/pool/living', 5_000, 60_000);
  const watched = add('team/pool/watched', 5_001);
  watched.watcher = { onAcknowledged: () => {}, onEnded: () => {} };
  time.advanceBy(9_500);
  expect(table.size).toBe(2_002);
  time.advanceBy(9_000);
  expect([...table]).toEqual([living, watched]);
});

test('an empty table has no timer', () => {
  const { time, table, add } = setup();
  table.end(add('team/pool/k', 1));
  time.advanceBy(5_000);
  expect(time.nextDueMs()).toBe(Infinity);
});

test('a hold that ran out may come back, one that ended may not', () => {
  const { time, meter, table, add } = setup();
  const hold = add('team/pool/k', 1);
  time.advanceBy(12_000);
  expect(table.size).toBe(0);
  expect(hold.ended).toBe(false);
  table.restore(hold);
  expect(table.find('team/pool/k', 1)).toBe(hold);
  table.end(hold);
  const { deadline } = hold;
  hold.acknowledge(meter, { epoch: 9 } as HoldReply, deadlineOf(meter.mark(), 99_000));
  expect(hold.deadline).toBe(deadline);
});
