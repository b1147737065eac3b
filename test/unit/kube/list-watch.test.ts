/**
 * Goal: what is known comes to what is stored, whatever the watch does, and never goes back. Method: the embedded API behind a
 * store that fails calls and cuts watches; virtual time.
 */
import { describe, expect, it } from '@jest/globals';
import { customResourceDefinitions } from '../../../src/api/custom-resources/definitions.ts';
import { API_VERSION } from '../../../src/api/custom-resources/resource.ts';
import { EmbeddedStore } from '../../../src/kube/embedded/embedded-store.ts';
import { DISTRIBUTED_LOCKS, type StoredObject } from '../../../src/kube/kube-object.ts';
import { StoreError } from '../../../src/kube/lease-store.ts';
import { ListWatch } from '../../../src/kube/list-watch.ts';
import type { ObjectEvent, ObjectStore } from '../../../src/kube/object-store.ts';
import { objectSource } from '../../../src/kube/watch-source.ts';
import { silentLog } from '../../../src/system/logger.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { VirtualTime } from '../../../src/system/virtual.ts';
import { FakeObjectStore } from '../../support/fake-object-store.ts';
import { WALL_MS } from '../../support/server-world.ts';

function world(options: { historyEventsMax?: number } = {}) {
  const time = new VirtualTime({ wallMs: WALL_MS });
  const random = seededRandom(5);
  const embedded = new EmbeddedStore({
    clock: time,
    random,
    customResourceDefinitions: customResourceDefinitions(),
    ...options,
  });
  const store = new FakeObjectStore(embedded, () => time.monotonicMs());
  const changes: string[] = [];
  const watcher = watch(store, time, changes);
  const create = (name: string) =>
    embedded.create(DISTRIBUTED_LOCKS, {
      apiVersion: API_VERSION,
      kind: 'DistributedLock',
      metadata: { name, namespace: 'shop' },
      spec: {},
    });
  const label = (name: string, value: string) =>
    embedded.patch(DISTRIBUTED_LOCKS, 'shop', name, { metadata: { labels: { value } } });
  const remove = (name: string) => embedded.delete(DISTRIBUTED_LOCKS, 'shop', name);
  const known = () => [...watcher.keys()].toSorted();
  return { time, embedded, store, changes, watcher, create, label, remove, known };
}

function watch(store: Pick<ObjectStore, 'list' | 'watch'>, time: VirtualTime, changes: string[]) {
  return new ListWatch({
    source: objectSource(store, DISTRIBUTED_LOCKS),
    clock: time,
    timers: time,
    random: seededRandom(6),
    log: silentLog,
    onChange: (key) => changes.push(key),
  });
}

describe('a list and a watch', () => {
  it('tell of what is there, then of what changes', async () => {
    const { time, changes, watcher, create, label, remove, known } = world();
    await create('a');
    watcher.start();
    await time.runBy(10);
    expect(watcher.synced).toBe(true);
    await create('b');
    await label('a', 'x');
    await remove('b');
    await time.runBy(10);
    expect(changes).toEqual(['shop/a', 'shop/b', 'shop/a', 'shop/b']);
    expect(known()).toEqual(['shop/a']);
    expect(watcher.get('shop/a')?.metadata.labels).toEqual({ value: 'x' });
  });

  it('are tried again, ever more slowly, while the list fails; absence means nothing meanwhile', async () => {
    const { time, store, watcher, create, known } = world();
    await create('a');
    store.fault = ({ call }) => (call === 'list' ? 'fail' : undefined);
    watcher.start();
    await time.runBy(60_000);
    expect(watcher.synced).toBe(false);
    const tries = store.seen('list', DISTRIBUTED_LOCKS).length;
    expect(tries).toBeGreaterThan(4);
    expect(tries).toBeLessThan(12);
    store.fault = () => undefined;
    await time.runBy(60_000);
    expect(known()).toEqual(['shop/a']);
  });
});

describe('a watch that ends', () => {
  it('goes on where it stood, without a new list', async () => {
    const { time, store, changes, watcher, create, label } = world();
    await create('a');
    watcher.start();
    await time.runBy(10);
    store.cutWatches('ended');
    await label('a', 'away');
    await create('b');
    await time.runBy(200);
    expect(store.seen('list', DISTRIBUTED_LOCKS)).toHaveLength(1);
    expect(changes).toEqual(['shop/a', 'shop/a', 'shop/b']);
    expect(watcher.get('shop/a')?.metadata.labels).toEqual({ value: 'away' });
  });

  it('is not opened in a hot loop when it ends at once, every time', async () => {
    const { time, store, watcher } = world();
    let opened = 0;
    const { watch: open } = store;
    store.watch = (type, query, handler, options) => {
      opened++;
      const opening = open.call(store, type, query, handler, options);
      time.soon(() => store.cutWatches('ended'));
      return opening;
    };
    watcher.start();
    await time.runBy(60_000);
    expect(opened).toBeLessThan(15);
    expect(opened).toBeGreaterThan(4);
  });

  it('too old to go on (410) is preceded by a new list, whose differences are told', async () => {
    const { time, store, changes, watcher, create, label, remove, known } = world();
    for (const name of ['kept', 'changed', 'gone']) await create(name);
    watcher.start();
    await time.runBy(10);
    changes.length = 0;
    store.cutWatches('expired');
    await label('changed', 'x');
    await remove('gone');
    await create('new');
    await time.runBy(1_000);
    expect(changes.toSorted()).toEqual(['shop/changed', 'shop/gone', 'shop/new']);
    expect(known()).toEqual(['shop/changed', 'shop/kept', 'shop/new']);
    expect(store.seen('list', DISTRIBUTED_LOCKS)).toHaveLength(2);
  });

  it('finds out by itself that its version has left the history', async () => {
    const { time, store, watcher, create, label } = world({ historyEventsMax: 8 });
    await create('a');
    watcher.start();
    await time.runBy(10);
    store.cutWatches('ended');
    for (let times = 0; times < 50; times++) await label('a', String(times));
    await time.runBy(2_000);
    expect(watcher.get('shop/a')?.metadata.labels).toEqual({ value: '49' });
    expect(store.seen('list', DISTRIBUTED_LOCKS)).toHaveLength(2);
  });

  it('without a sign is replaced after some minutes', async () => {
    const { time, store, watcher, create } = world();
    watcher.start();
    await time.runBy(10);
    expect(store.openWatches).toBe(1);
    // A half-open connection: nothing arrives any more, not even its end.
    const { watch: open } = store;
    let opened = 0;
    store.watch = (type, query, handler, options) => {
      opened++;
      return open.call(store, type, query, handler, options);
    };
    await time.runBy(600_000);
    expect(opened).toBeGreaterThanOrEqual(1);
    expect(store.openWatches).toBe(1);
    await create('a');
    await time.runBy(10);
    expect(watcher.get('shop/a')).toBeDefined();
  });
});

describe('an own write', () => {
  /** A kind with one object, whose events the test sends itself. */
  async function byHand() {
    const time = new VirtualTime();
    const changes: string[] = [];
    const state: { hear?: (event: ObjectEvent) => void } = {};
    const object = (uid: string, resourceVersion: string) =>
      ({
        apiVersion: API_VERSION,
        kind: 'DistributedLock',
        metadata: { name: 'a', namespace: 'shop', uid, resourceVersion, creationTimestamp: '2026-01-01T00:00:00Z' },
      }) as StoredObject;
    const watcher = watch(
      {
        list: async () => ({ items: [object('old', '5')], resourceVersion: '5' }),
        watch: (_, __, handler) => {
          state.hear = handler;
          return { [Symbol.dispose]: () => {} };
        },
      },
      time,
      changes,
    );
    watcher.start();
    await time.runBy(1);
    changes.length = 0;
    return { watcher, changes, object, hear: (event: ObjectEvent) => state.hear?.(event) };
  }

  it('is known at once when its answer comes before its event, which is then no news', async () => {
    const { watcher, changes, object, hear } = await byHand();
    watcher.note(object('old', '9'));
    hear({ type: 'MODIFIED', object: object('old', '9') });
    expect(changes).toEqual([]);
    hear({ type: 'MODIFIED', object: object('old', '10') });
    expect(changes).toEqual(['shop/a']);
    expect(watcher.get('shop/a')?.metadata.resourceVersion).toBe('10');
  });

  it('does not go back when its answer comes after later events', async () => {
    const { watcher, changes, object, hear } = await byHand();
    hear({ type: 'MODIFIED', object: object('old', '9') });
    hear({ type: 'MODIFIED', object: object('old', '10') });
    watcher.note(object('old', '9'));
    expect(watcher.get('shop/a')?.metadata.resourceVersion).toBe('10');
    expect(changes).toHaveLength(2);
  });

  it('whose answer comes after the end of the object does not bring it back', async () => {
    const { time, embedded, watcher, create, remove, known } = world();
    await create('a');
    watcher.start();
    await time.runBy(10);
    const answer = await embedded.patch(DISTRIBUTED_LOCKS, 'shop', 'a', { metadata: { labels: { value: 'mine' } } });
    await remove('a');
    await time.runBy(10);
    watcher.note(answer);
    expect(known()).toEqual([]);
  });

  it('that created a successor is not undone by the late event of the predecessor’s end', async () => {
    const { watcher, object, hear } = await byHand();
    watcher.note(object('new', '9'));
    hear({ type: 'DELETED', object: object('old', '8') });
    expect(watcher.get('shop/a')?.metadata.uid).toBe('new');
    hear({ type: 'MODIFIED', object: object('old', '7') });
    expect(watcher.get('shop/a')?.metadata.uid).toBe('new');
  });
});

describe('a server that asks for patience', () => {
  it('is asked again no sooner, for a list as for a watch', async () => {
    const { time, store, watcher } = world();
    const lists: number[] = [];
    const { list, watch: open } = store;
    store.list = (type, query, options) => {
      lists.push(time.monotonicMs());
      if (lists.length > 1) return list.call(store, type, query, options);
      return Promise.reject(new StoreError('rejected', 'busy', { retryable: true, retryAfterMs: 7_000 }));
    };
    const opened: number[] = [];
    store.watch = (type, query, handler, options) => {
      opened.push(time.monotonicMs());
      if (opened.length === 1)
        time.soon(() => handler({ type: 'ERROR', code: 'ended', message: 'busy', retryAfterMs: 9_000 }));
      return open.call(store, type, query, handler, options);
    };
    watcher.start();
    await time.runBy(30_000);
    expect(lists[1]).toBeGreaterThanOrEqual(7_000);
    expect((opened[1] as number) - (opened[0] as number)).toBeGreaterThanOrEqual(9_000);
  });
});

describe('a store that was set back to an earlier state', () => {
  /** Version 20 with objects `kept` and `lost` is known; then the store has `items` at `resourceVersion`. */
  async function setBack(event: ObjectEvent, items: readonly [string, string][], resourceVersion: string) {
    const time = new VirtualTime();
    const changes: string[] = [];
    const object = ([name, version]: readonly [string, string]) =>
      ({
        apiVersion: API_VERSION,
        kind: 'DistributedLock',
        metadata: {
          name,
          namespace: 'shop',
          uid: name,
          resourceVersion: version,
          creationTimestamp: '2026-01-01T00:00:00Z',
        },
      }) as StoredObject;
    let state = { items: [object(['kept', '20']), object(['lost', '19'])], resourceVersion: '20' };
    let hear: (event: ObjectEvent) => void = () => {};
    let restores = 0;
    const watcher = new ListWatch({
      source: objectSource(
        {
          list: async () => state,
          watch: (_, __, handler) => {
            hear = handler;
            return { [Symbol.dispose]: () => {} };
          },
        },
        DISTRIBUTED_LOCKS,
      ),
      clock: time,
      timers: time,
      random: seededRandom(6),
      log: silentLog,
      onChange: (key) => changes.push(key),
      onRestored: () => restores++,
    });
    watcher.start();
    await time.runBy(1);
    changes.length = 0;
    state = { items: items.map(object), resourceVersion };
    hear(event);
    await time.runBy(1_000);
    return { watcher, changes, restores };
  }

  const expired: ObjectEvent = { type: 'ERROR', code: 'expired', message: 'list again' };

  it.each<[string, ObjectEvent, string]>([
    ['a bookmark from before', { type: 'BOOKMARK', resourceVersion: '8' }, '8'],
    ['the version of a new list', expired, '8'],
    ['an object that is older than it was, though the store has gone on since', expired, '40'],
  ])('is found out by %s, and taken as it is', async (_how, event, resourceVersion) => {
    const { watcher, changes, restores } = await setBack(event, [['kept', '7']], resourceVersion);
    expect(restores).toBe(1);
    expect(watcher.get('shop/kept')?.metadata.resourceVersion).toBe('7');
    expect(watcher.get('shop/lost')).toBeUndefined();
    expect(new Set(changes)).toEqual(new Set(['shop/kept', 'shop/lost']));
  });

  it('is not seen in an ordinary list, whatever has changed or ended', async () => {
    const { watcher, changes, restores } = await setBack(expired, [['kept', '25']], '30');
    expect(restores).toBe(0);
    expect(changes.toSorted()).toEqual(['shop/kept', 'shop/lost']);
    expect([...watcher.keys()]).toEqual(['shop/kept']);
  });

  it('is not seen in a list that began before an own write', async () => {
    const { time, store, changes, watcher, create, embedded } = world();
    await create('a');
    watcher.start();
    await time.runBy(10);
    const { list } = store;
    store.list = async (type, query, options) => {
      const before = await list.call(store, type, query, options);
      watcher.note(await embedded.patch(DISTRIBUTED_LOCKS, 'shop', 'a', { metadata: { labels: { value: 'own' } } }));
      return before;
    };
    changes.length = 0;
    store.cutWatches('expired');
    await time.runBy(1_000);
    expect(watcher.get('shop/a')?.metadata.labels).toEqual({ value: 'own' });
    expect(changes).toEqual([]);
  });
});

describe('disposal', () => {
  it('ends the watch and tells nothing more', async () => {
    const { time, store, changes, watcher, create } = world();
    watcher.start();
    await time.runBy(10);
    watcher[Symbol.dispose]();
    await create('a');
    await time.runBy(1_000_000);
    expect(changes).toEqual([]);
    expect(store.openWatches).toBe(0);
  });
});
