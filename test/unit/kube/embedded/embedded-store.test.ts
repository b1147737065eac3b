/**
 * Goal: the embedded store decides as an API server does: versions, conflicts, generations, the two halves of an object,
 * finalizers, namespaces, Events, selectors, pages and watches.
 * Method: the store with our own custom resources and a clock that stands still; tables for refusals.
 */
import { describe, expect, test } from '@jest/globals';
import type { ObjectChange } from '../../../../src/kube/embedded/object-log.ts';
import type { EmbeddedStore } from '../../../../src/kube/embedded/embedded-store.ts';
import type { EmbeddedStoreOptions } from '../../../../src/kube/embedded/store-options.ts';
import { DISTRIBUTED_LOCKS, EVENTS, type KubeObject, LEASES, NAMESPACES } from '../../../../src/kube/kube-object.ts';
import type { ObjectEvent } from '../../../../src/kube/object-store.ts';
import { embeddedStore } from '../../../support/embedded-kube.ts';
import { refusal } from '../../../support/store-answers.ts';

const wallMs = Date.UTC(2026, 0, 31, 12);
const still = { monotonicMs: () => 0, wallMs: () => wallMs };

function storeOf(options: Partial<EmbeddedStoreOptions> = {}): EmbeddedStore {
  return embeddedStore({ clock: still, ...options });
}

function lock(name: string, spec: object = {}, metadata: object = {}): KubeObject {
  return {
    apiVersion: 'lockkeeper.dev/v1alpha1',
    kind: 'DistributedLock',
    metadata: { namespace: 'default', name, ...metadata },
    spec,
  };
}

function event(name: string, namespace = 'default'): KubeObject {
  const involvedObject = { kind: 'DistributedLock', namespace, name: 'a' };
  return { apiVersion: 'v1', kind: 'Event', metadata: { namespace, name }, involvedObject, reason: 'Granted' };
}

/** Everything that is due in microtasks has run. */
const settled = () => new Promise((resolve) => setImmediate(resolve));

const told = (each: ObjectEvent) =>
  'object' in each ? `${each.type} ${each.object.metadata.name}` : `${each.type} ${'code' in each ? each.code : ''}`;

describe('creation', () => {
  test('sets what the server sets, fills in defaults, and drops the status and what no schema knows', async () => {
    const created = await storeOf().create(DISTRIBUTED_LOCKS, {
      ...lock('a', { permits: 2, unknown: true }, { uid: 'mine', generation: 9, managedFields: [{}] }),
      status: { holder: 'me' },
    });
    expect(created).toEqual({
      apiVersion: 'lockkeeper.dev/v1alpha1',
      kind: 'DistributedLock',
      metadata: {
        name: 'a',
        namespace: 'default',
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        resourceVersion: '4',
        generation: 1,
        creationTimestamp: '2026-01-31T12:00:00Z',
      },
      spec: expect.objectContaining({ permits: 2, leaseDurationSeconds: 15, reentrant: true }),
    });
    expect(created['spec']).not.toHaveProperty('unknown');
  });

  test('makes up a name after generateName', async () => {
    const { metadata } = await storeOf().create(EVENTS, {
      ...event(''),
      metadata: { namespace: 'default', name: '', generateName: 'a.' },
    });
    expect(metadata.name).toMatch(/^a\.[0-9a-f]{5}$/);
  });

  test('one version counts over all kinds, and a Lease is one of them', async () => {
    const store = storeOf();
    const before = Number(store.resourceVersion);
    await store.create(DISTRIBUTED_LOCKS, lock('a'));
    const lease = await store.leases.create({
      metadata: { namespace: 'default', name: 'lock-a' },
      spec: { leaseTransitions: 1 },
    });
    expect(lease.metadata.resourceVersion).toBe(String(before + 2));
    expect(await store.get(LEASES, 'default', 'lock-a')).toMatchObject({
      kind: 'Lease',
      spec: { leaseTransitions: 1 },
    });
    await store.patch(LEASES, 'default', 'lock-a', { spec: { holderIdentity: 'you' } });
    expect((await store.leases.get('default', 'lock-a'))?.spec).toEqual({ holderIdentity: 'you', leaseTransitions: 1 });
  });
});

describe('namespaces', () => {
  test('begin with the first object in them, a Lease as well, and carry their name as a label', async () => {
    const store = storeOf();
    await store.leases.create({ metadata: { namespace: 'shop', name: 'l' }, spec: {} });
    await store.create(DISTRIBUTED_LOCKS, lock('a', {}, { namespace: 'bank' }));
    const { items } = await store.list(NAMESPACES, { labelSelector: 'kubernetes.io/metadata.name in (shop,bank)' });
    expect(items.map(({ metadata, status }) => [metadata.name, status])).toEqual([
      ['bank', { phase: 'Active' }],
      ['shop', { phase: 'Active' }],
    ]);
  });
});

describe('refusals', () => {
  test.each<[string, (store: EmbeddedStore) => Promise<unknown>, string, number, RegExp]>([
    ['a name that is taken', (store) => store.create(DISTRIBUTED_LOCKS, lock('a')), 'conflict', 409, /already exists/],
    [
      'a creation with a version',
      (store) => store.create(DISTRIBUTED_LOCKS, lock('b', {}, { resourceVersion: '1' })),
      'rejected',
      400,
      /resourceVersion/,
    ],
    [
      'a creation without a name',
      (store) => store.create(DISTRIBUTED_LOCKS, lock('')),
      'rejected',
      422,
      /name or generateName/,
    ],
    [
      'another kind',
      (store) => store.create(DISTRIBUTED_LOCKS, event('x')),
      'rejected',
      400,
      /does not match the expected API version/,
    ],
    [
      'a stale update',
      (store) => store.update(DISTRIBUTED_LOCKS, lock('a', {}, { resourceVersion: '1' })),
      'conflict',
      409,
      /has been modified/,
    ],
    [
      'a stale patch',
      (store) => store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { metadata: { resourceVersion: '1' } }),
      'conflict',
      409,
      /has been modified/,
    ],
    [
      'a stale patch of the status',
      (store) => store.patchStatus(DISTRIBUTED_LOCKS, 'default', 'a', { metadata: { resourceVersion: '1' } }),
      'conflict',
      409,
      /has been modified/,
    ],
    [
      'an update of another uid',
      (store) => store.update(DISTRIBUTED_LOCKS, lock('a', {}, { uid: 'x' })),
      'conflict',
      409,
      /UID in precondition: x/,
    ],
    [
      'an update of what is not there',
      (store) => store.update(DISTRIBUTED_LOCKS, lock('b')),
      'notFound',
      404,
      /"b" not found/,
    ],
    [
      'a patch of what is not there',
      (store) => store.patch(DISTRIBUTED_LOCKS, 'default', 'b', {}),
      'notFound',
      404,
      /"b" not found/,
    ],
    [
      'a deletion of what is not there',
      (store) => store.delete(DISTRIBUTED_LOCKS, 'default', 'b'),
      'notFound',
      404,
      /"b" not found/,
    ],
    [
      'a deletion of another version',
      (store) => store.remove(DISTRIBUTED_LOCKS, 'default', 'a', { resourceVersion: '1' }),
      'conflict',
      409,
      /the ResourceVersion in the precondition \(1\)/,
    ],
    [
      'a patch that renames',
      (store) => store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { metadata: { name: 'b' } }),
      'rejected',
      400,
      /does not match the name/,
    ],
    [
      'a patch that breaks a bound',
      (store) => store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { spec: { permits: 0 } }),
      'rejected',
      422,
      /spec.permits in body should be greater/,
    ],
    [
      'a status that breaks a bound',
      (store) => store.patchStatus(DISTRIBUTED_LOCKS, 'default', 'a', { status: { waiters: -1 } }),
      'rejected',
      422,
      /status.waiters/,
    ],
    [
      'a kind that is not served',
      (store) => store.list({ ...LEASES, plural: 'pods' }, {}),
      'notFound',
      404,
      /serves no pods/,
    ],
    [
      'a field selector over another field',
      (store) => store.list(DISTRIBUTED_LOCKS, { fieldSelector: 'spec.x=1' }),
      'rejected',
      400,
      /not supported: spec.x/,
    ],
    [
      'a label selector that is none',
      (store) => store.list(DISTRIBUTED_LOCKS, { labelSelector: 'a in x' }),
      'rejected',
      400,
      /unable to parse/,
    ],
    [
      'a label value with a space',
      (store) => store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { metadata: { labels: { a: 'b c' } } }),
      'rejected',
      422,
      /metadata.labels/,
    ],
  ])('%s', async (_what, call, outcome, httpStatus, message) => {
    const store = storeOf();
    await store.create(DISTRIBUTED_LOCKS, lock('a'));
    const before = store.resourceVersion;
    const error = await refusal(call(store));
    expect({ outcome: error.outcome, httpStatus: error.httpStatus }).toEqual({ outcome, httpStatus });
    expect(error.message).toMatch(message);
    expect(store.resourceVersion).toBe(before);
  });
});

describe('the two halves of an object', () => {
  test('a change of the spec counts in the generation and leaves the status; a change of the status does neither', async () => {
    const store = storeOf();
    await store.create(DISTRIBUTED_LOCKS, lock('a'));
    const stated = await store.patchStatus(DISTRIBUTED_LOCKS, 'default', 'a', {
      spec: { permits: 9 },
      status: { holder: 'me' },
    });
    expect(stated).toMatchObject({ metadata: { generation: 1 }, spec: { permits: 1 }, status: { holder: 'me' } });
    const changed = await store.patch(DISTRIBUTED_LOCKS, 'default', 'a', {
      spec: { permits: 9 },
      status: { holder: 'you' },
    });
    expect(changed).toMatchObject({ metadata: { generation: 2 }, spec: { permits: 9 }, status: { holder: 'me' } });
    const labelled = await store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { metadata: { labels: { a: 'b' } } });
    expect(labelled).toMatchObject({ metadata: { generation: 2 }, status: { holder: 'me' } });
    const replaced = await store.update(DISTRIBUTED_LOCKS, lock('a'));
    expect(replaced).toMatchObject({ metadata: { generation: 3 }, spec: { permits: 1 }, status: { holder: 'me' } });
    expect(replaced.metadata.labels).toBeUndefined();
  });

  test('a rule over the old state holds for patches of the status', async () => {
    const store = storeOf();
    await store.create(DISTRIBUTED_LOCKS, lock('a'));
    const token = (fencingToken: string | null) =>
      store.patchStatus(DISTRIBUTED_LOCKS, 'default', 'a', { status: { fencingToken } });
    await token('7');
    await token('12');
    for (const smaller of ['7', null]) {
      const error = await refusal(token(smaller));
      expect(error).toMatchObject({
        httpStatus: 422,
        details: { causes: [{ field: 'status.fencingToken', reason: 'FieldValueInvalid' }] },
      });
      expect(error.message).toContain('must not become smaller');
    }
  });

  test('what changes nothing keeps the version, and a dry run stores nothing', async () => {
    const store = storeOf();
    const created = await store.create(DISTRIBUTED_LOCKS, lock('a', { permits: 2 }));
    expect(await store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { spec: { permits: 2 } })).toBe(created);
    const tried = await store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { spec: { permits: 3 } }, { dryRun: true });
    expect(tried).toMatchObject({ spec: { permits: 3 }, metadata: { generation: 2 } });
    await store.create(DISTRIBUTED_LOCKS, lock('b', {}, { namespace: 'new' }), { dryRun: true });
    await store.remove(DISTRIBUTED_LOCKS, 'default', 'a', { dryRun: true });
    expect((await store.list(DISTRIBUTED_LOCKS, {})).items).toEqual([created]);
    expect(await store.get(NAMESPACES, undefined, 'new')).toBeUndefined();
  });
});

describe('deletion', () => {
  test('waits for finalizers, takes no new ones, and ends with the last', async () => {
    const store = storeOf();
    const created = await store.create(DISTRIBUTED_LOCKS, lock('a', {}, { finalizers: ['a.b/c'] }));
    const events: string[] = [];
    store.watch(DISTRIBUTED_LOCKS, { resourceVersion: created.metadata.resourceVersion }, (each) =>
      events.push(told(each)),
    );
    const { object, gone } = await store.remove(DISTRIBUTED_LOCKS, 'default', 'a');
    expect(gone).toBe(false);
    expect(object.metadata).toMatchObject({ deletionTimestamp: '2026-01-31T12:00:00Z', generation: 2 });
    expect((await store.remove(DISTRIBUTED_LOCKS, 'default', 'a')).object).toBe(object);
    const more = { metadata: { finalizers: ['a.b/c', 'd.e/f'] } };
    expect((await refusal(store.patch(DISTRIBUTED_LOCKS, 'default', 'a', more))).message).toContain(
      'no new finalizers',
    );
    await store.patch(DISTRIBUTED_LOCKS, 'default', 'a', { metadata: { finalizers: null } });
    expect(await store.get(DISTRIBUTED_LOCKS, 'default', 'a')).toBeUndefined();
    await settled();
    expect(events).toEqual(['MODIFIED a', 'DELETED a']);
  });

  test('of a namespace takes everything along, and waits for finalizers in it', async () => {
    const store = storeOf();
    await store.create(DISTRIBUTED_LOCKS, lock('a', {}, { namespace: 'shop' }));
    await store.create(DISTRIBUTED_LOCKS, lock('b', {}, { namespace: 'shop', finalizers: ['a.b/c'] }));
    await store.leases.create({ metadata: { namespace: 'shop', name: 'l' }, spec: {} });
    await store.delete(NAMESPACES, undefined, 'shop');
    expect(await store.get(NAMESPACES, undefined, 'shop')).toMatchObject({ status: { phase: 'Terminating' } });
    expect((await store.list(DISTRIBUTED_LOCKS, { namespace: 'shop' })).items).toHaveLength(1);
    expect((await store.list(LEASES, { namespace: 'shop' })).items).toEqual([]);
    const error = await refusal(store.create(DISTRIBUTED_LOCKS, lock('c', {}, { namespace: 'shop' })));
    expect(error.message).toContain('being terminated');
    await store.patch(DISTRIBUTED_LOCKS, 'shop', 'b', { metadata: { finalizers: [] } });
    expect(await store.get(NAMESPACES, undefined, 'shop')).toBeUndefined();
  });
});

describe('reading', () => {
  test('selects by labels and by fields', async () => {
    const store = storeOf();
    await store.create(DISTRIBUTED_LOCKS, lock('a', {}, { labels: { team: 'x' } }));
    await store.create(DISTRIBUTED_LOCKS, lock('b', { fairness: 'Priority' }, { labels: { team: 'y' } }));
    await store.create(DISTRIBUTED_LOCKS, lock('c', {}, { namespace: 'shop' }));
    await store.create(EVENTS, event('e'));
    const names = async (query: object) =>
      (await store.list(DISTRIBUTED_LOCKS, query)).items.map(({ metadata }) => metadata.name).join('');
    expect(await names({})).toBe('abc');
    for (const [labelSelector, found] of [
      ['team', 'ab'],
      ['!team', 'c'],
      ['team=x', 'a'],
      ['team!=x', 'bc'],
      ['team in (x, y)', 'ab'],
      ['team notin (x),team', 'b'],
    ] as const)
      expect([labelSelector, await names({ labelSelector })]).toEqual([labelSelector, found]);
    for (const [fieldSelector, found] of [
      ['metadata.name=b', 'b'],
      ['metadata.namespace!=default', 'c'],
      ['spec.fairness==Priority', 'b'],
      ['spec.fairness=Fifo,metadata.namespace=default', 'a'],
      ['status.holder=', 'abc'],
    ] as const)
      expect([fieldSelector, await names({ fieldSelector })]).toEqual([fieldSelector, found]);
    const about = await store.list(EVENTS, {
      fieldSelector: 'involvedObject.name=a,involvedObject.kind=DistributedLock',
    });
    expect(about.items).toHaveLength(1);
  });

  test('pages show the state of the first one, until the history has passed it', async () => {
    const store = storeOf({ historyEventsMax: 4 });
    for (const name of ['a', 'b', 'c']) await store.create(DISTRIBUTED_LOCKS, lock(name));
    const first = await store.page(DISTRIBUTED_LOCKS, { limit: 2 });
    expect(first).toMatchObject({ items: [{}, {}], remainingItemCount: 1 });
    await store.patch(DISTRIBUTED_LOCKS, 'default', 'c', { spec: { permits: 5 } });
    await store.delete(DISTRIBUTED_LOCKS, 'default', 'c');
    await store.create(DISTRIBUTED_LOCKS, lock('d'));
    const next = { limit: 2, continueToken: first.continueToken };
    const second = await store.page(DISTRIBUTED_LOCKS, next);
    expect(second.items).toMatchObject([{ metadata: { name: 'c' }, spec: { permits: 1 } }]);
    expect(second.resourceVersion).toBe(first.resourceVersion);
    for (const name of ['e', 'f']) await store.create(DISTRIBUTED_LOCKS, lock(name));
    expect(await refusal(store.page(DISTRIBUTED_LOCKS, next))).toMatchObject({ httpStatus: 410 });
    expect(await refusal(store.page(DISTRIBUTED_LOCKS, { continueToken: 'x' }))).toMatchObject({ httpStatus: 400 });
  });

  test('a watch sees its kind alone, and an object that leaves its selection as deleted', async () => {
    const store = storeOf();
    const events: string[] = [];
    const query = { resourceVersion: store.resourceVersion, fieldSelector: 'status.holder=me' };
    store.watch(DISTRIBUTED_LOCKS, query, (each) => events.push(told(each)));
    await store.create(EVENTS, event('e'));
    await store.create(DISTRIBUTED_LOCKS, lock('a'));
    for (const holder of ['me', 'you'])
      await store.patchStatus(DISTRIBUTED_LOCKS, 'default', 'a', { status: { holder } });
    await settled();
    expect(events).toEqual(['ADDED a', 'DELETED a']);
  });

  test('what is handed out cannot be changed', async () => {
    const created = await storeOf().create(DISTRIBUTED_LOCKS, lock('a', {}, { labels: { a: 'b' } }));
    expect(() => Object.assign(created.metadata.labels ?? {}, { a: 'c' })).toThrow(TypeError);
    expect(() => Object.assign(created['spec'] as object, { permits: 7 })).toThrow(TypeError);
  });
});

describe('Events', () => {
  test('are gone after their time, and the oldest when there are too many', async () => {
    const clock = { ms: 0, monotonicMs: () => clock.ms, wallMs: () => wallMs };
    const store = storeOf({ clock, eventsMax: 2, eventTtlMs: 1_000 });
    const names = async () => (await store.list(EVENTS, {})).items.map(({ metadata }) => metadata.name);
    for (const name of ['a', 'b', 'c']) await store.create(EVENTS, event(name));
    expect(await names()).toEqual(['b', 'c']);
    clock.ms = 600;
    await store.patch(EVENTS, 'default', 'b', { count: 2 });
    clock.ms = 1_000;
    expect(await names()).toEqual(['b']);
    clock.ms = 1_600;
    expect(await names()).toEqual([]);
  });
});

describe('over restarts', () => {
  test('a journal has every change before anybody sees it, and a new store goes on from it', async () => {
    const changes: ObjectChange[] = [];
    const store = storeOf({ journal: { append: async (batch) => void changes.push(...batch) } });
    await store.create(DISTRIBUTED_LOCKS, lock('a', {}, { namespace: 'shop' }));
    const stated = await store.patchStatus(DISTRIBUTED_LOCKS, 'shop', 'a', { status: { holder: 'me' } });
    expect(changes.map(({ type, object }) => `${type} ${object.kind}`)).toEqual([
      'ADDED Namespace',
      'ADDED DistributedLock',
      'MODIFIED DistributedLock',
    ]);
    const objects = changes
      .filter(({ type, object }) => type === 'ADDED' && object.kind === 'Namespace')
      .map(({ object }) => object);
    const next = storeOf({ initial: { objects: [...objects, stated], resourceVersion: store.resourceVersion } });
    expect(await next.get(DISTRIBUTED_LOCKS, 'shop', 'a')).toEqual(stated);
    expect((await next.list(NAMESPACES, {})).items.map(({ metadata }) => metadata.name)).toEqual([
      'default',
      'kube-system',
      'lockkeeper-system',
      'shop',
    ]);
    expect(Number(next.resourceVersion)).toBeGreaterThan(Number(store.resourceVersion));
    const events: string[] = [];
    next.watch(DISTRIBUTED_LOCKS, { resourceVersion: store.resourceVersion }, (each) => events.push(told(each)));
    await settled();
    expect(events).toEqual(['ERROR expired']);
  });
});
