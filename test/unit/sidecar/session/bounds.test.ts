/**
 * Goal: nothing that is over is remembered, however it ended.
 * Method: a session without the calls on top, so that its books can be looked into.
 */
import { expect, test } from '@jest/globals';
import { Acquisition } from '../../../../src/sidecar/session/acquisition.ts';
import type { OwnHold } from '../../../../src/sidecar/session/own-hold.ts';
import { Session } from '../../../../src/sidecar/session/session.ts';
import { shardOf } from '../../../../src/api/shard-hash.ts';
import { seededRandom } from '../../../../src/system/random.ts';
import { VirtualTime } from '../../../../src/system/virtual.ts';
import { ScriptedTransport } from '../../../support/scripted-transport.ts';

const key = 'team/pool/a';

function setup() {
  const time = new VirtualTime();
  const transport = new ScriptedTransport();
  const session = new Session({
    ...{ openTransport: transport.open, clock: time, timers: time, random: seededRandom(3), awaitsSaved: false },
  });
  const granted: OwnHold[] = [];
  const acquire = () => {
    const terms = { key, ownerId: 'me', ownerNamed: true, mode: 'exclusive', ttlMs: 10_000, timeoutMs: -1 } as const;
    const outcome = { onQueued: () => {}, onGranted: (hold: OwnHold) => void granted.push(hold), onFailed: () => {} };
    const more = { maxHoldMs: undefined, metadata: undefined, requestId: undefined };
    const acquisition = new Acquisition(session, { ...terms, ...more }, undefined, outcome);
    acquisition.start();
    return acquisition;
  };
  return { time, transport, session, granted, acquire };
}

test('a request that was asked of several owners leaves nothing behind', async () => {
  const { time, transport, session, granted, acquire } = setup();
  acquire();
  for (let epoch = 2; epoch < 30; epoch++) {
    await time.runBy(0);
    transport.listener.onEpoch(shardOf(key), epoch);
  }
  await time.runBy(0);
  expect(session.client.pendingCount).toBeGreaterThan(1);
  expect(session.client.pendingCount).toBeLessThan(12);
  transport.hold(transport.last('acquire'), { epoch: 29 });
  expect(granted).toHaveLength(1);
  expect(session.client.pendingCount).toBe(0);
});

test('renewals that nobody answers are one at a time', async () => {
  const { time, transport, session, granted, acquire } = setup();
  acquire();
  await time.runBy(0);
  transport.hold(transport.last('acquire'));
  session.renewer.watch(granted[0] as OwnHold, {});
  await time.runBy(9_000);
  expect(transport.sent('renew').length).toBeGreaterThan(3);
  expect(session.client.pendingCount).toBe(1);
  await time.runBy(1_000);
  expect(session.client.pendingCount).toBe(0);
  expect(session.table.size).toBe(0);
  expect(time.nextDueMs()).toBe(Infinity);
});

test('an acquire that was withdrawn is forgotten at once', async () => {
  const { time, transport, session, acquire } = setup();
  const acquisition = acquire();
  await time.runBy(0);
  transport.queued(transport.last('acquire').ref);
  acquisition.abort(undefined);
  expect(session.client.pendingCount).toBe(0);
  expect(session.lanes.isUsed(key, 'me')).toBe(false);
  await time.runBy(0);
  expect(time.nextDueMs()).toBe(Infinity);
});
