/**
 * Goal: the store in memory answers as an API server does, so that whatever is proven against it holds in a cluster; and with
 * a journal nobody hears of a write before the journal has it.
 * Method: tables for refusals, recorded events for watches, a journal whose answers the test gives by hand.
 */
import { describe, expect, test } from '@jest/globals';
import { StoreError, labelMatcher } from '../../../src/kube/lease-store.ts';
import { type Lease, type StoredLease, formatMicroTime, formatTime } from '../../../src/kube/lease.ts';
import {
  type LeaseChange,
  MemoryLeaseStore,
  type MemoryLeaseStoreOptions,
} from '../../../src/kube/memory-lease-store.ts';
import { seededRandom } from '../../../src/system/random.ts';
import { refusal, told } from '../../support/store-answers.ts';

const wallMs = Date.UTC(2026, 0, 31, 12);

function storeOf(options: Partial<MemoryLeaseStoreOptions> = {}): MemoryLeaseStore {
  return new MemoryLeaseStore({
    clock: { monotonicMs: () => 0, wallMs: () => wallMs },
    random: seededRandom(1),
    ...options,
  });
}

function lease(name: string, spec: Lease['spec'] = {}, metadata: Partial<Lease['metadata']> = {}): Lease {
  return { metadata: { namespace: 'default', name, ...metadata }, spec };
}

function held(stored: StoredLease, holderIdentity: string): Lease {
  return { ...stored, spec: { ...stored.spec, holderIdentity } };
}

/** Everything that is due in microtasks has run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

function watching(
  store: MemoryLeaseStore,
  resourceVersion: string,
  query: { namespace?: string; labelSelector?: string } = {},
) {
  const events: string[] = [];
  return { events, stop: store.watch({ ...query, resourceVersion }, (event) => events.push(told(event))) };
}

describe('one version over all Leases', () => {
  test('grows with every write, and a deletion takes one as well', async () => {
    const store = storeOf();
    const first = await store.create(lease('a'));
    const second = await store.create(lease('b'));
    const third = await store.update(held(first, 'me'));
    await store.delete('default', 'b', second.metadata.resourceVersion);
    const fifth = await store.create(lease('b'));
    expect([first, second, third, fifth].map(({ metadata }) => metadata.resourceVersion)).toEqual(['1', '2', '3', '5']);
    expect(fifth.metadata.uid).not.toBe(second.metadata.uid);
    expect((await store.list({})).resourceVersion).toBe('5');
  });

  test('a creation sets uid and time, an update keeps them', async () => {
    const store = storeOf();
    const created = await store.create(lease('a', {}, { uid: 'mine', creationTimestamp: 'never' }));
    expect(created.metadata.creationTimestamp).toBe('2026-01-31T12:00:00Z');
    expect(created.metadata.uid).toMatch(/^[0-9a-f]{8}-[0-9a-f-]{27}$/);
    const { uid, creationTimestamp } = created.metadata;
    const updated = await store.update({
      ...held(created, 'me'),
      metadata: { namespace: 'default', name: 'a', resourceVersion: '1' },
    });
    expect(updated.metadata).toMatchObject({ uid, creationTimestamp, resourceVersion: '2' });
  });

  test('an update that changes nothing keeps the version and tells no watch', async () => {
    const store = storeOf();
    const created = await store.create(lease('a', {}, { labels: { x: '1', y: '2' } }));
    const { events } = watching(store, '1');
    const same = await store.update({ ...created, metadata: { ...created.metadata, labels: { y: '2', x: '1' } } });
    await settled();
    expect(same.metadata.resourceVersion).toBe('1');
    expect(events).toEqual([]);
  });

  test('goes on where the last process ended', async () => {
    const before = storeOf();
    await before.create(lease('a'));
    const gone = await before.create(lease('b'));
    await before.delete('default', 'b', gone.metadata.resourceVersion);
    const { items, resourceVersion } = await before.list({});
    const store = storeOf({ initial: { leases: items, resourceVersion } });
    expect(await store.get('default', 'a')).toEqual(items[0]);
    expect((await store.create(lease('c'))).metadata.resourceVersion).toBe('4');
    expect(() => storeOf({ initial: { leases: items, resourceVersion: '0' } })).toThrow(RangeError);
  });
});

describe('compare-and-swap', () => {
  test('of two writers of one version one wins', async () => {
    const store = storeOf();
    const seen = await store.create(lease('a'));
    const [first, second] = await Promise.allSettled([
      store.update(held(seen, 'one')),
      store.update(held(seen, 'two')),
    ]);
    expect(first.status).toBe('fulfilled');
    expect(second).toMatchObject({ status: 'rejected', reason: { outcome: 'conflict', httpStatus: 409 } });
    expect((await store.get('default', 'a'))?.spec.holderIdentity).toBe('one');
  });

  test.each<[string, (store: MemoryLeaseStore) => Promise<unknown>, string, number]>([
    ['create of an existing one', (store) => store.create(lease('a')), 'conflict', 409],
    ['update of a stale version', (store) => store.update(lease('a', {}, { resourceVersion: '7' })), 'conflict', 409],
    [
      'update of another uid',
      (store) => store.update(lease('a', {}, { resourceVersion: '1', uid: 'x' })),
      'conflict',
      409,
    ],
    ['update of a missing one', (store) => store.update(lease('b', {}, { resourceVersion: '1' })), 'notFound', 404],
    ['delete of a stale version', (store) => store.delete('default', 'a', '7'), 'conflict', 409],
    ['delete of a missing one', (store) => store.delete('default', 'b', '1'), 'notFound', 404],
    ['update without a version', (store) => store.update(lease('a')), 'rejected', 422],
    ['create with a version', (store) => store.create(lease('b', {}, { resourceVersion: '1' })), 'rejected', 400],
  ])('%s', async (_what, call, outcome, httpStatus) => {
    const store = storeOf();
    const created = await store.create(lease('a'));
    const error = await refusal(call(store));
    expect({ outcome: error.outcome, httpStatus: error.httpStatus, retryable: error.retryable }).toEqual({
      outcome,
      httpStatus,
      retryable: false,
    });
    expect(await store.list({})).toEqual({ items: [created], resourceVersion: '1' });
  });
});

describe('validation', () => {
  const annotation = (bytes: number) => ({ annotations: { note: 'x'.repeat(bytes - 4) } });

  test.each<[string, Lease]>([
    ['a namespace in capitals', lease('a', {}, { namespace: 'Default' })],
    ['no namespace', lease('a', {}, { namespace: '' })],
    ['a name with a slash', lease('a/b')],
    ['a name of 254 characters', lease('a'.repeat(254))],
    ['a label key with two slashes', lease('a', {}, { labels: { 'a/b/c': 'd' } })],
    ['a label value of 64 characters', lease('a', {}, { labels: { a: 'b'.repeat(64) } })],
    ['an annotation key with a space', lease('a', {}, { annotations: { 'a b': 'c' } })],
    ['annotations of 262,145 bytes', lease('a', {}, annotation(262_145))],
    [
      'annotations of 262,145 bytes in two-byte characters',
      lease('a', {}, { annotations: { a: 'ä'.repeat(131_072) } }),
    ],
    ['a duration of 0', lease('a', { leaseDurationSeconds: 0 })],
    ['a duration with a fraction', lease('a', { leaseDurationSeconds: 1.5 })],
    ['more transitions than 32 bits', lease('a', { leaseTransitions: 2 ** 31 })],
    ['a time with three digits', lease('a', { renewTime: '2026-01-31T12:00:00.123Z' })],
  ])('%s is rejected', async (_what, invalid) => {
    const store = storeOf();
    const error = await refusal(store.create(invalid));
    expect(error).toMatchObject({ outcome: 'rejected', httpStatus: 422, retryable: false });
    expect((await store.list({})).items).toEqual([]);
  });

  test('what is just within the bounds is taken', async () => {
    const store = storeOf();
    await store.create(lease('a.b-c', { leaseDurationSeconds: 1, leaseTransitions: 2 ** 31 - 1 }, annotation(262_144)));
    await store.create(
      lease('a'.repeat(253), { renewTime: formatMicroTime(wallMs) }, { labels: { 'a.b/c': 'd'.repeat(63), e: '' } }),
    );
    expect((await store.list({})).items).toHaveLength(2);
  });

  test('times are written as an API server wants them', () => {
    expect(formatMicroTime(wallMs + 7.0625)).toBe('2026-01-31T12:00:00.007062Z');
    expect(formatTime(wallMs + 999)).toBe('2026-01-31T12:00:00Z');
    expect(() => formatMicroTime(1e15)).toThrow(RangeError);
  });
});

describe('copies', () => {
  test('a change to what was passed in or handed out does not reach the store', async () => {
    const store = storeOf();
    const passed = { metadata: { namespace: 'default', name: 'a', labels: { x: '1' } }, spec: { leaseTransitions: 1 } };
    const created = await store.create(passed);
    passed.metadata.labels.x = '2';
    passed.spec.leaseTransitions = 2;
    expect(() => Object.assign(created.spec, { leaseTransitions: 3 })).toThrow(TypeError);
    expect(() => Object.assign(created.metadata.labels ?? {}, { x: '3' })).toThrow(TypeError);
    expect(() => Object.assign(created.metadata, { name: 'b' })).toThrow(TypeError);
    const read = await store.get('default', 'a');
    expect(read).toMatchObject({ metadata: { name: 'a', labels: { x: '1' } }, spec: { leaseTransitions: 1 } });
  });

  test('nor does a change while the write waits for the journal', async () => {
    const store = storeOf({ journal: { append: async () => {} } });
    const passed = { metadata: { namespace: 'default', name: 'a' }, spec: { holderIdentity: 'before' } };
    const created = store.create(passed);
    passed.spec.holderIdentity = 'after';
    expect((await created).spec.holderIdentity).toBe('before');
  });
});

describe('lists', () => {
  test('are in order, and keep to namespace and selector', async () => {
    const store = storeOf();
    for (const [namespace, name, of] of [
      ['two', 'a', 'x'],
      ['one', 'b', 'x'],
      ['one', 'a', 'y'],
    ] as const) {
      await store.create(lease(name, {}, { namespace, labels: { of } }));
    }
    const names = async (query: { namespace?: string; labelSelector?: string }) =>
      (await store.list(query)).items.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
    expect(await names({})).toEqual(['one/a', 'one/b', 'two/a']);
    expect(await names({ namespace: 'one' })).toEqual(['one/a', 'one/b']);
    expect(await names({ namespace: 'one', labelSelector: 'of=x' })).toEqual(['one/b']);
  });

  test.each([
    ['', true],
    ['of=x', true],
    ['of==x', true],
    ['of=y', false],
    ['of!=y', true],
    ['other!=x', true],
    ['of', true],
    ['!of', false],
    ['a.b/c=1,of=x', true],
    ['a.b/c=1,of=y', false],
  ])('the selector "%s"', (selector, matches) => {
    expect(labelMatcher(selector)({ of: 'x', 'a.b/c': '1' })).toBe(matches);
  });

  test.each(['of in (x)', '!of=x', 'of=x,', '=x'])('the selector "%s" is rejected', async (labelSelector) => {
    expect(await refusal(storeOf().list({ labelSelector }))).toMatchObject({ outcome: 'rejected', httpStatus: 400 });
  });
});

describe('watches', () => {
  test('tell every change in order, never inside a call', async () => {
    const store = storeOf();
    const { events } = watching(store, '0');
    const created = await store.create(lease('a'));
    const updating = store.update(held(created, 'me'));
    expect(events).toEqual(['ADDED a 1']);
    await updating;
    await store.delete('default', 'a', '2');
    await settled();
    expect(events).toEqual(['ADDED a 1', 'MODIFIED a 2', 'DELETED a 3']);
  });

  test('resume after a version', async () => {
    const store = storeOf();
    for (const name of ['a', 'b', 'c']) await store.create(lease(name));
    const { events } = watching(store, '1');
    await store.create(lease('d'));
    await settled();
    expect(events).toEqual(['ADDED b 2', 'ADDED c 3', 'ADDED d 4']);
  });

  test('keep to namespace and selector: a Lease that begins to match is added, one that ceases is deleted', async () => {
    const store = storeOf();
    const { events } = watching(store, '0', { namespace: 'default', labelSelector: 'of=x' });
    await store.create(lease('a', {}, { namespace: 'other', labels: { of: 'x' } }));
    let last = await store.create(lease('a'));
    for (const labels of [{ of: 'x' }, { of: 'x', and: 'y' }, { of: 'z' }, { of: 'x' }]) {
      last = await store.update({ ...last, metadata: { ...last.metadata, labels } });
    }
    await store.delete('default', 'a', last.metadata.resourceVersion);
    await settled();
    expect(events).toEqual(['ADDED a 3', 'MODIFIED a 4', 'DELETED a 5', 'ADDED a 6', 'DELETED a 7']);
  });

  test('from a version outside the history are expired', async () => {
    const store = storeOf({ historyEventsMax: 3 });
    for (const name of ['a', 'b', 'c', 'd', 'e']) await store.create(lease(name));
    const [tooOld, oldest, future] = ['1', '2', '6'].map((version) => watching(store, version).events);
    await settled();
    expect(tooOld).toEqual(['ERROR expired']);
    expect(oldest).toEqual(['ADDED c 3', 'ADDED d 4', 'ADDED e 5']);
    expect(future).toEqual(['ERROR expired']);
    await store.create(lease('f'));
    await settled();
    expect(tooOld).toEqual(['ERROR expired']);
  });

  test('that see nothing get bookmarks from which they can resume', async () => {
    const store = storeOf({ historyEventsMax: 8 });
    const { events } = watching(store, '0', { labelSelector: 'of=x' });
    for (let index = 0; index < 5; index += 1) await store.create(lease(`a${index}`));
    await settled();
    expect(events).toEqual(['BOOKMARK 2', 'BOOKMARK 4']);
  });

  test('end when disposed, also for events on their way, and when the signal aborts', async () => {
    const store = storeOf();
    const { events, stop } = watching(store, '0');
    const controller = new AbortController();
    const aborted: string[] = [];
    store.watch({ resourceVersion: '0' }, (event) => aborted.push(told(event)), { signal: controller.signal });
    const creating = store.create(lease('a'));
    stop[Symbol.dispose]();
    controller.abort();
    await creating;
    await store.create(lease('b'));
    await settled();
    expect({ events, aborted }).toEqual({ events: [], aborted: [] });
  });

  test('end with the store, which takes no more writes', async () => {
    const store = storeOf();
    const { events } = watching(store, '0');
    store[Symbol.dispose]();
    await settled();
    expect(events).toEqual(['ERROR ended']);
    expect(await refusal(store.create(lease('a')))).toMatchObject({ outcome: 'rejected', retryable: false });
  });

  test.each(['', 'latest', '-1'])('cannot begin at "%s"', (resourceVersion) => {
    expect(() => storeOf().watch({ resourceVersion }, () => {})).toThrow(StoreError);
  });
});

describe('signals', () => {
  test('an aborted call is not made', async () => {
    const store = storeOf();
    const options = { signal: AbortSignal.abort(new Error('enough')) };
    for (const call of [
      store.get('default', 'a', options),
      store.list({}, options),
      store.create(lease('a'), options),
    ]) {
      const error = await refusal(call);
      expect(error).toMatchObject({ outcome: 'rejected', retryable: true, cause: new Error('enough') });
    }
    expect((await store.list({})).items).toEqual([]);
  });
});

/** A journal that answers when the test says so. */
class ManualJournal {
  readonly appends: string[][] = [];
  #answer: { resolve: () => void; reject: (error: Error) => void } | undefined;

  append(changes: readonly LeaseChange[]): Promise<void> {
    if (this.#answer !== undefined) throw new Error('called again before the answer');
    this.appends.push(
      changes.map(({ type, lease: { metadata } }) => `${type} ${metadata.name} ${metadata.resourceVersion}`),
    );
    return new Promise((resolve, reject) => {
      this.#answer = { resolve, reject };
    });
  }

  async finish(error?: Error): Promise<void> {
    const answer = this.#answer;
    this.#answer = undefined;
    if (error === undefined) answer?.resolve();
    else answer?.reject(error);
    await settled();
  }
}

describe('with a journal', () => {
  test('nobody hears of a write before the journal has it', async () => {
    const journal = new ManualJournal();
    const store = storeOf({ journal });
    const { events } = watching(store, '0');
    const answers: string[] = [];
    void store.create(lease('a')).then(() => answers.push('a'));
    await settled();
    expect(journal.appends).toEqual([['ADDED a 1']]);
    expect({ answers, events, read: await store.get('default', 'a'), list: await store.list({}) }).toEqual({
      answers: [],
      events: [],
      read: undefined,
      list: { items: [], resourceVersion: '0' },
    });
    await journal.finish();
    expect({ answers, events }).toEqual({ answers: ['a'], events: ['ADDED a 1'] });
    expect((await store.get('default', 'a'))?.metadata.resourceVersion).toBe('1');
  });

  test('all writes that wait go into the next append, decided in order on top of each other', async () => {
    const journal = new ManualJournal();
    const store = storeOf({ journal });
    const answers: string[] = [];
    const note = (what: string, call: Promise<unknown>) =>
      void call.then(
        () => answers.push(what),
        (error: StoreError) => answers.push(`${what} ${error.outcome}`),
      );
    note('first', store.create(lease('a')));
    await settled();
    note('taken', store.create(lease('a')));
    note('update', store.update(lease('a', { holderIdentity: 'me' }, { resourceVersion: '1' })));
    note('stale', store.update(lease('a', { holderIdentity: 'you' }, { resourceVersion: '1' })));
    note('other', store.create(lease('b')));
    note('delete', store.delete('default', 'a', '2'));
    note('again', store.create(lease('a')));
    await journal.finish();
    expect(answers).toEqual(['first']);
    await journal.finish();
    expect(journal.appends).toEqual([['ADDED a 1'], ['MODIFIED a 2', 'ADDED b 3', 'DELETED a 4', 'ADDED a 5']]);
    expect(answers).toEqual(['first', 'taken conflict', 'update', 'stale conflict', 'other', 'delete', 'again']);
  });

  test('a failed append is unknown to its writes, and the store takes no more', async () => {
    const journal = new ManualJournal();
    const store = storeOf({ journal });
    const kept = store.create(lease('kept'));
    await settled();
    await journal.finish();
    const { events } = watching(store, '1');
    const failing = [refusal(store.create(lease('a'))), refusal(store.create(lease('b')))];
    await settled();
    const waiting = refusal(store.create(lease('c')));
    await journal.finish(new Error('the disk is full'));
    for (const error of await Promise.all(failing))
      expect(error).toMatchObject({ outcome: 'unknown', retryable: false });
    for (const error of [await waiting, await refusal(store.update(held(await kept, 'me')))]) {
      expect(error).toMatchObject({ outcome: 'rejected', retryable: false });
      expect(error.message).toContain('the disk is full');
    }
    expect(journal.appends).toEqual([['ADDED kept 1'], ['ADDED a 2', 'ADDED b 3']]);
    expect(events).toEqual([]);
    expect(await store.list({})).toEqual({ items: [await kept], resourceVersion: '1' });
  });

  test('a write that changed nothing shares the fate of the write it agrees with', async () => {
    const journal = new ManualJournal();
    const store = storeOf({ journal });
    const creating = store.create(lease('a'));
    await settled();
    await journal.finish();
    const created = await creating;
    const kept = store.update(created);
    const changed = refusal(store.update(held(created, 'me')));
    const agreeing = refusal(store.update(lease('a', { holderIdentity: 'me' }, { resourceVersion: '2' })));
    await settled();
    await journal.finish(new Error('the disk is full'));
    expect(await kept).toEqual(created);
    expect([await changed, await agreeing].map(({ outcome }) => outcome)).toEqual(['unknown', 'unknown']);
  });

  test('a call abandoned while it waits is not made, one on its way is unknown and may land', async () => {
    const journal = new ManualJournal();
    const store = storeOf({ journal });
    const controller = new AbortController();
    const sent = refusal(store.create(lease('sent'), { signal: controller.signal }));
    await settled();
    const waiting = refusal(store.create(lease('waiting'), { signal: controller.signal }));
    controller.abort();
    expect(await sent).toMatchObject({ outcome: 'unknown' });
    expect(await waiting).toMatchObject({ outcome: 'rejected', retryable: true });
    await journal.finish();
    expect((await store.list({})).items.map(({ metadata }) => metadata.name)).toEqual(['sent']);
    expect(journal.appends).toEqual([['ADDED sent 1']]);
  });

  test('more writes than may wait are refused as an overloaded server would', async () => {
    const store = storeOf({ journal: new ManualJournal() });
    void store.create(lease('a'));
    await settled();
    for (let index = 0; index < 10_000; index += 1) void store.create(lease('a'));
    expect(await refusal(store.create(lease('a')))).toMatchObject({ outcome: 'rejected', retryable: true });
  });
});
