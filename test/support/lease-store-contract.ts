/**
 * What every store of Leases promises, as one table of tests: the stores in memory and the one at a real API server pass the
 * same. Versions are compared, never counted: a real server's grow with every write of anybody.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { Lease, StoredLease } from '../../src/kube/lease.ts';
import { type LeaseEvent, type LeaseStore, StoreError, type WatchQuery } from '../../src/kube/lease-store.ts';
import { refusal, told } from './store-answers.ts';

export interface StoreUnderTest extends AsyncDisposable {
  readonly store: LeaseStore;
  /** A namespace that exists and has no Lease. */
  freshNamespace(): Promise<string>;
}

function lease(namespace: string, name: string, spec: Lease['spec'] = {}, metadata: Partial<Lease['metadata']> = {}) {
  return { metadata: { namespace, name, ...metadata }, spec } satisfies Lease;
}

function held(stored: StoredLease, holderIdentity: string): Lease {
  return { ...stored, spec: { ...stored.spec, holderIdentity } };
}

/** Events of a watch, without bookmarks, which come as a store likes. */
class Watching implements Disposable {
  readonly events: LeaseEvent[] = [];
  readonly #watch: Disposable;
  #changed = () => {};

  constructor(store: LeaseStore, query: WatchQuery, signal?: AbortSignal) {
    this.#watch = store.watch(
      query,
      (event) => {
        if (event.type !== 'BOOKMARK') this.events.push(event);
        this.#changed();
      },
      { signal },
    );
    if (this.events.length > 0) throw new Error('The watch told something inside the call.');
  }

  /** The first `count` events, as `TYPE name version`. */
  async until(count: number): Promise<string[]> {
    while (this.events.length < count) await new Promise<void>((resolve) => (this.#changed = resolve));
    return this.events.map(told);
  }

  [Symbol.dispose](): void {
    this.#watch[Symbol.dispose]();
  }
}

const version = ({ metadata }: StoredLease) => metadata.resourceVersion;

/** Defines the tests. `open` is called once before them. */
export function describeLeaseStore(what: string, open: () => Promise<StoreUnderTest>): void {
  describe.each([what])('%s', () => {
    let under: StoreUnderTest;
    let store: LeaseStore;
    beforeAll(async () => {
      under = await open();
      store = under.store;
    });
    afterAll(async () => {
      await under[Symbol.asyncDispose]();
    });

    test('a creation sets uid, version and time; an update keeps uid and time', async () => {
      const namespace = await under.freshNamespace();
      const created = await store.create(lease(namespace, 'a', {}, { uid: 'mine', creationTimestamp: 'never' }));
      expect(created.metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
      expect(created.metadata.creationTimestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
      const updated = await store.update(held(created, 'me'));
      expect(updated.metadata).toEqual({ ...created.metadata, resourceVersion: version(updated) });
      expect(version(updated)).not.toBe(version(created));
      expect(await store.get(namespace, 'a')).toEqual(updated);
    });

    test('all fields come back as they were written, and an update replaces all of them', async () => {
      const namespace = await under.freshNamespace();
      const spec = {
        holderIdentity: 'Grüße 🔒',
        leaseDurationSeconds: 15,
        acquireTime: '2026-01-31T12:00:00.000000Z',
        renewTime: '2026-01-31T12:00:00.123456Z',
        leaseTransitions: 2 ** 31 - 1,
      };
      const labels = { b: '2', 'a.example/x': '1' };
      const annotations = { note: 'several\nlines', z: '' };
      const created = await store.create(lease(namespace, 'a', spec, { labels, annotations }));
      expect(created).toMatchObject({ spec, metadata: { labels, annotations } });
      const emptied = await store.update({
        metadata: { namespace, name: 'a', uid: created.metadata.uid, resourceVersion: version(created) },
        spec: {},
      });
      expect(emptied.spec).toEqual({});
      expect(emptied.metadata.labels).toBeUndefined();
      expect(emptied.metadata.annotations).toBeUndefined();
    });

    test('an update that changes nothing keeps the version', async () => {
      const namespace = await under.freshNamespace();
      const created = await store.create(
        lease(namespace, 'a', { holderIdentity: 'me' }, { labels: { x: '1', y: '2' } }),
      );
      const labels = { y: '2', x: '1' };
      const same = await store.update({ ...created, metadata: { ...created.metadata, labels } });
      expect(version(same)).toBe(version(created));
    });

    test('a Lease created anew is another one: neither its uid nor its version are known', async () => {
      const namespace = await under.freshNamespace();
      const first = await store.create(lease(namespace, 'a'));
      await store.delete(namespace, 'a', version(first));
      expect(await store.get(namespace, 'a')).toBeUndefined();
      const second = await store.create(lease(namespace, 'a'));
      expect(second.metadata.uid).not.toBe(first.metadata.uid);
      expect((await refusal(store.update(held(first, 'me')))).outcome).toBe('conflict');
      const mixed = { ...held(second, 'me'), metadata: { ...second.metadata, uid: first.metadata.uid } };
      expect((await refusal(store.update(mixed))).outcome).toBe('conflict');
      expect(await store.get(namespace, 'a')).toEqual(second);
    });

    test('of many writers of one version exactly one wins', async () => {
      const namespace = await under.freshNamespace();
      const seen = await store.create(lease(namespace, 'a'));
      const writers = Array.from({ length: 10 }, (_, index) => store.update(held(seen, `writer-${index}`)));
      const results = await Promise.allSettled(writers);
      const winners = results.filter((result) => result.status === 'fulfilled');
      const losers = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason.outcome);
      expect(winners).toHaveLength(1);
      expect(losers).toEqual(Array(9).fill('conflict'));
      expect(await store.get(namespace, 'a')).toEqual(winners[0]?.value);
    });

    test('of many creators of one name exactly one wins', async () => {
      const namespace = await under.freshNamespace();
      const creators = Array.from({ length: 10 }, (_, index) =>
        store.create(lease(namespace, 'a', { holderIdentity: `creator-${index}` })),
      );
      const outcomes = (await Promise.allSettled(creators)).map((result) =>
        result.status === 'fulfilled' ? 'won' : result.reason.outcome,
      );
      expect(outcomes.filter((outcome) => outcome === 'won')).toHaveLength(1);
      expect(outcomes.filter((outcome) => outcome === 'conflict')).toHaveLength(9);
    });

    type Call = (namespace: string, last: StoredLease) => Promise<unknown>;
    test.each<[string, Call, string, number]>([
      ['a creation of what is there', (namespace) => store.create(lease(namespace, 'a')), 'conflict', 409],
      [
        'a creation with a version',
        (namespace) => store.create(lease(namespace, 'b', {}, { resourceVersion: '1' })),
        'rejected',
        400,
      ],
      [
        'an update of a stale version',
        (namespace, { metadata: { uid } }) => store.update(lease(namespace, 'a', {}, { resourceVersion: '1', uid })),
        'conflict',
        409,
      ],
      [
        'an update of a stale version without a uid',
        (namespace) => store.update(lease(namespace, 'a', {}, { resourceVersion: '1' })),
        'conflict',
        409,
      ],
      [
        'an update of what is not there',
        (namespace) => store.update(lease(namespace, 'b', {}, { resourceVersion: '1' })),
        'notFound',
        404,
      ],
      [
        'an update without a version',
        (namespace, { metadata: { uid } }) => store.update(lease(namespace, 'a', {}, { uid })),
        'rejected',
        422,
      ],
      ['a deletion of a stale version', (namespace) => store.delete(namespace, 'a', '1'), 'conflict', 409],
      ['a deletion of what is not there', (namespace) => store.delete(namespace, 'b', '1'), 'notFound', 404],
    ])('%s is refused, and changes nothing', async (_what, call, outcome, httpStatus) => {
      const namespace = await under.freshNamespace();
      const first = await store.create(lease(namespace, 'a'));
      const last = await store.update(held(first, 'me'));
      const { outcome: seen, httpStatus: seenStatus, retryable } = await refusal(call(namespace, last));
      expect({ outcome: seen, httpStatus: seenStatus, retryable }).toEqual({ outcome, httpStatus, retryable: false });
      expect((await store.list({ namespace })).items).toEqual([last]);
    });

    test('an update of a Lease that is gone creates none, with its uid or without', async () => {
      const namespace = await under.freshNamespace();
      const created = await store.create(lease(namespace, 'a'));
      await store.delete(namespace, 'a', version(created));
      const outcomes = ['conflict', 'notFound'];
      expect(outcomes).toContain((await refusal(store.update(held(created, 'me')))).outcome);
      const { uid: _uid, ...metadata } = created.metadata;
      expect(outcomes).toContain((await refusal(store.update({ metadata, spec: {} }))).outcome);
      expect(await store.get(namespace, 'a')).toBeUndefined();
    });

    const annotation = (bytes: number) => ({ annotations: { note: 'x'.repeat(bytes - 4) } });
    test.each<[string, Partial<Lease['metadata']>, Lease['spec']]>([
      ['no namespace', { namespace: '' }, {}],
      ['a name with a slash', { name: 'a/b' }, {}],
      ['a name of 254 characters', { name: 'a'.repeat(254) }, {}],
      ['a label key with two slashes', { labels: { 'a/b/c': 'd' } }, {}],
      ['a label value of 64 characters', { labels: { a: 'b'.repeat(64) } }, {}],
      ['an annotation key with a space', { annotations: { 'a b': 'c' } }, {}],
      ['annotations of 262,145 bytes', annotation(262_145), {}],
      ['annotations of 262,145 bytes in two-byte characters', { annotations: { a: 'ä'.repeat(131_072) } }, {}],
      ['a duration of 0', {}, { leaseDurationSeconds: 0 }],
      ['a duration with a fraction', {}, { leaseDurationSeconds: 1.5 }],
      ['more transitions than 32 bits', {}, { leaseTransitions: 2 ** 31 }],
      ['a time with three digits', {}, { renewTime: '2026-01-31T12:00:00.123Z' }],
    ])('%s is rejected', async (_what, metadata, spec) => {
      const namespace = await under.freshNamespace();
      const error = await refusal(store.create(lease(namespace, 'a', spec, metadata)));
      expect(error).toMatchObject({ outcome: 'rejected', retryable: false });
      expect((await store.list({ namespace })).items).toEqual([]);
    });

    test('what is just within the bounds is taken', async () => {
      const namespace = await under.freshNamespace();
      await store.create(lease(namespace, 'a.b-c', { leaseDurationSeconds: 1 }, annotation(262_144)));
      await store.create(lease(namespace, 'a'.repeat(253), {}, { labels: { 'a.b/c': 'd'.repeat(63), e: '' } }));
      expect((await store.list({ namespace })).items).toHaveLength(2);
    });

    test('lists are in order, and keep to namespace and selector', async () => {
      const [one, two] = [await under.freshNamespace(), await under.freshNamespace()];
      const run = one;
      for (const [namespace, name, of] of [
        [two, 'a', 'x'],
        [one, 'b', 'x'],
        [one, 'a', 'y'],
      ] as const) {
        await store.create(lease(namespace, name, {}, { labels: { run, of } }));
      }
      const names = async (query: { namespace?: string; labelSelector?: string }) =>
        (await store.list(query)).items.map(({ metadata: { namespace, name } }) => `${namespace}/${name}`);
      expect(await names({ namespace: one })).toEqual([`${one}/a`, `${one}/b`]);
      expect(await names({ namespace: one, labelSelector: 'of=x' })).toEqual([`${one}/b`]);
      expect((await names({ labelSelector: `run=${run},of!=y` })).toSorted()).toEqual(
        [`${one}/b`, `${two}/a`].toSorted(),
      );
      expect(await names({ labelSelector: `run=${run},!of` })).toEqual([]);
    });

    test('a list of several pages is whole', async () => {
      const namespace = await under.freshNamespace();
      const names = Array.from({ length: 250 }, (_, index) => `lease-${String(index).padStart(3, '0')}`);
      await Promise.all(names.map((name) => store.create(lease(namespace, name))));
      expect((await store.list({ namespace })).items.map(({ metadata }) => metadata.name)).toEqual(names);
    });

    test.each(['of in (x)', '!of=x', 'of=x,', '=x'])('the selector "%s" is rejected', async (labelSelector) => {
      const expected = { outcome: 'rejected', httpStatus: 400, retryable: false };
      expect(await refusal(store.list({ labelSelector }))).toMatchObject(expected);
      expect(() => store.watch({ labelSelector, resourceVersion: '1' }, () => {})).toThrow(StoreError);
    });

    test.each(['', 'latest', '-1'])('a watch cannot begin at "%s"', (resourceVersion) => {
      expect(() => store.watch({ resourceVersion }, () => {})).toThrow(StoreError);
    });

    test('a watch tells every change after a list, in order, and none before it', async () => {
      const namespace = await under.freshNamespace();
      await store.create(lease(namespace, 'before'));
      const { resourceVersion } = await store.list({ namespace });
      using watching = new Watching(store, { namespace, resourceVersion });
      const created = await store.create(lease(namespace, 'a'));
      const updated = await store.update(held(created, 'me'));
      await store.delete(namespace, 'a', version(updated));
      const events = await watching.until(3);
      expect(events.slice(0, 2)).toEqual([`ADDED a ${version(created)}`, `MODIFIED a ${version(updated)}`]);
      expect(watching.events[2]).toMatchObject({ type: 'DELETED', lease: { spec: { holderIdentity: 'me' } } });
      expect(events[2]).not.toBe(`DELETED a ${version(updated)}`);
    });

    test('a watch resumes after the version of an event', async () => {
      const namespace = await under.freshNamespace();
      const created: StoredLease[] = [];
      for (const name of ['a', 'b', 'c']) created.push(await store.create(lease(namespace, name)));
      using watching = new Watching(store, { namespace, resourceVersion: version(created[0] as StoredLease) });
      await store.create(lease(namespace, 'd'));
      expect((await watching.until(3)).map((event) => event.split(' ')[1])).toEqual(['b', 'c', 'd']);
    });

    test('a Lease that begins to match is added, one that ceases to is deleted', async () => {
      const namespace = await under.freshNamespace();
      const { resourceVersion } = await store.list({ namespace });
      using watching = new Watching(store, { namespace, labelSelector: 'of=x', resourceVersion });
      let last = await store.create(lease(namespace, 'a'));
      for (const labels of [{ of: 'x' }, { of: 'x', and: 'y' }, { of: 'z' }, { of: 'x' }]) {
        last = await store.update({ ...last, metadata: { ...last.metadata, labels } });
      }
      await store.delete(namespace, 'a', version(last));
      const types = (await watching.until(5)).map((event) => event.split(' ')[0]);
      expect(types).toEqual(['ADDED', 'MODIFIED', 'DELETED', 'ADDED', 'DELETED']);
    });

    test('a watch tells nothing after disposal, nor after its signal', async () => {
      const namespace = await under.freshNamespace();
      const { resourceVersion } = await store.list({ namespace });
      using other = new Watching(store, { namespace, resourceVersion });
      const abort = new AbortController();
      const aborted = new Watching(store, { namespace, resourceVersion }, abort.signal);
      const disposed = new Watching(store, { namespace, resourceVersion });
      await store.create(lease(namespace, 'a'));
      await Promise.all([other.until(1), aborted.until(1), disposed.until(1)]);
      abort.abort();
      disposed[Symbol.dispose]();
      await store.create(lease(namespace, 'b'));
      await other.until(2);
      expect([aborted.events.length, disposed.events.length]).toEqual([1, 1]);
    });

    test('an aborted call is not made', async () => {
      const namespace = await under.freshNamespace();
      const options = { signal: AbortSignal.abort(new Error('enough')) };
      for (const call of [
        store.get(namespace, 'a', options),
        store.list({ namespace }, options),
        store.create(lease(namespace, 'a'), options),
      ]) {
        const error = await refusal(call);
        expect(error).toMatchObject({ outcome: 'rejected', retryable: true, cause: new Error('enough') });
      }
      expect((await store.list({ namespace })).items).toEqual([]);
    });

    test('what is handed out cannot be changed, and a later change of what was passed in does not show', async () => {
      const namespace = await under.freshNamespace();
      const passed = { metadata: { namespace, name: 'a', labels: { x: '1' } }, spec: { holderIdentity: 'before' } };
      const creating = store.create(passed);
      passed.metadata.labels.x = '2';
      passed.spec.holderIdentity = 'after';
      const created = await creating;
      expect(created).toMatchObject({ metadata: { labels: { x: '1' } }, spec: { holderIdentity: 'before' } });
      expect(() => Object.assign(created.spec, { leaseTransitions: 3 })).toThrow(TypeError);
      expect(() => Object.assign(created.metadata.labels ?? {}, { x: '3' })).toThrow(TypeError);
      expect(await store.get(namespace, 'a')).toEqual(created);
    });
  });
}
