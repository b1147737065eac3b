/** Goal: Events stay news for people: few, counted, never in the way. Method: the recorder on the embedded API, virtual time. */
import { describe, expect, it } from '@jest/globals';
import { EventRecorder, type EventToTell } from '../../../src/controller/events.ts';
import { EmbeddedStore } from '../../../src/kube/embedded/embedded-store.ts';
import { DISTRIBUTED_LOCKS, EVENTS } from '../../../src/kube/kube-object.ts';
import { silentLog } from '../../../src/system/logger.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';
import { FakeObjectStore } from '../../support/fake-object-store.ts';
import { WALL_MS } from '../../support/server-world.ts';

function recorder() {
  const time = new VirtualTime({ wallMs: WALL_MS });
  const random = seededRandom(9);
  const embedded = new EmbeddedStore({ clock: time, random, customResourceDefinitions: [] });
  const store = new FakeObjectStore(embedded, () => time.monotonicMs());
  const events = new EventRecorder({
    store,
    clock: time,
    timers: time,
    random,
    log: silentLog,
    instance: 'operator-0',
  });
  const tell = (name: string, event: EventToTell) =>
    events.tell({ type: DISTRIBUTED_LOCKS, namespace: 'shop', name, uid: `uid-${name}` }, event);
  const stored = async () => (await embedded.list(EVENTS, { namespace: 'shop' })).items;
  const writes = () => store.seen('create', EVENTS).length + store.seen('patch', EVENTS).length;
  return { time, store, embedded, events, tell, stored, writes };
}

const LOST: EventToTell = { reason: 'ForceReleased', message: 'taken away' };

describe('an Event', () => {
  it('says what it is about, of which type, by whom and when', async () => {
    const { time, tell, stored } = recorder();
    tell('a', LOST);
    await time.runBy(10);
    expect(await stored()).toMatchObject([
      {
        metadata: { name: expect.stringMatching(/^a\.[0-9a-f]{16}$/), namespace: 'shop' },
        involvedObject: {
          apiVersion: 'lockkeeper.dev/v1alpha1',
          kind: 'DistributedLock',
          namespace: 'shop',
          name: 'a',
          uid: 'uid-a',
        },
        reason: 'ForceReleased',
        type: 'Warning',
        message: 'taken away',
        count: 1,
        firstTimestamp: '2026-06-01T00:00:00Z',
        lastTimestamp: '2026-06-01T00:00:00Z',
        source: { component: 'lockkeeper' },
        reportingInstance: 'operator-0',
      },
    ]);
  });

  it('that comes again raises the count of the one that is there, and not with every time', async () => {
    const { time, tell, stored, writes } = recorder();
    for (let times = 0; times < 100; times++) {
      tell('a', LOST);
      await time.runBy(250);
    }
    await time.runBy(10_000);
    expect(await stored()).toMatchObject([{ count: 100, lastTimestamp: '2026-06-01T00:00:24Z' }]);
    expect(writes()).toBeLessThanOrEqual(5);
  });

  it('is made anew when the server has forgotten it', async () => {
    const { time, tell, stored, embedded } = recorder();
    tell('a', LOST);
    await time.runBy(10);
    const [first] = await stored();
    await embedded.delete(EVENTS, 'shop', first?.metadata.name ?? '');
    await time.runBy(20_000);
    tell('a', LOST);
    await time.runBy(20_000);
    expect(await stored()).toMatchObject([{ count: 2 }]);
  });

  it('is new after ten quiet minutes', async () => {
    const { time, tell, stored } = recorder();
    tell('a', LOST);
    await time.runBy(660_000);
    tell('a', LOST);
    await time.runBy(1_000);
    expect((await stored()).map((each) => each['count'])).toEqual([1, 1]);
  });
});

describe('too many Events', () => {
  it('with ever new messages of one reason become one', async () => {
    const { time, tell, stored } = recorder();
    for (let number = 0; number < 100; number++) {
      tell('a', { ...LOST, message: `taken from ${number}` });
      await time.runBy(100);
    }
    await time.runBy(20_000);
    const events = await stored();
    expect(events).toHaveLength(11);
    expect(events).toContainEqual(expect.objectContaining({ count: 90, message: 'taken from 99' }));
  });

  it('over many objects are written at a bounded rate', async () => {
    const { time, tell, writes } = recorder();
    for (let number = 0; number < 500; number++) tell(`lock-${number}`, LOST);
    await time.runBy(1_000);
    expect(writes()).toBeLessThanOrEqual(36);
    await time.runBy(60_000);
    expect(writes()).toBe(500);
  });

  it('are dropped and counted when the store refuses them', async () => {
    const { time, store, tell, events, stored } = recorder();
    store.fault = () => 'fail';
    tell('a', LOST);
    await time.runBy(1_000);
    expect(events.dropped).toBe(1);
    store.fault = () => undefined;
    await time.runBy(20_000);
    tell('a', LOST);
    await time.runBy(20_000);
    expect(await stored()).toMatchObject([{ count: 2 }]);
  });
});

describe('disposal', () => {
  it('writes what nobody has seen yet, and takes nothing more', async () => {
    const { time, tell, events, stored } = recorder();
    tell('a', LOST);
    const disposed = events[Symbol.asyncDispose]();
    await time.runBy(10);
    await disposed;
    tell('b', LOST);
    await time.runBy(1_000);
    expect(await stored()).toHaveLength(1);
  });
});
