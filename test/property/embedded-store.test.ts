/**
 * Goal: whatever is written in whatever order, the store agrees with a model that is too simple to be wrong, and everything a
 * watch told adds up to what a list says.
 * Method: random sequences of creates, updates, patches and deletions, with the store's answer to each compared.
 */
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { DISTRIBUTED_LOCKS, type KubeObject, type StoredObject } from '../../src/kube/kube-object.ts';
import type { StoreError } from '../../src/kube/lease-store.ts';
import { embeddedStore } from '../support/embedded-kube.ts';

type Step =
  | { readonly op: 'create'; readonly name: string; readonly permits: number }
  | { readonly op: 'delete'; readonly name: string; readonly permits: number }
  | { readonly op: 'update' | 'patch'; readonly name: string; readonly permits: number; readonly stale: boolean }
  | { readonly op: 'status'; readonly name: string; readonly permits: number };

interface Entry {
  permits: number;
  generation: number;
  waiters: number | undefined;
}

const name = fc.constantFrom('a', 'b', 'c');
const permits = fc.integer({ min: 0, max: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ op: fc.constantFrom('create' as const, 'delete' as const), name, permits }),
  fc.record({ op: fc.constantFrom('update' as const, 'patch' as const), name, permits, stale: fc.boolean() }),
  fc.record({ op: fc.constant('status' as const), name, permits }),
);

/** What must come of a step: `done`, or the code of the refusal. */
function expected(model: Map<string, Entry>, each: Step): 'done' | number {
  const entry = model.get(each.name);
  if (each.op === 'create') {
    if (each.permits === 0) return 422;
    if (entry !== undefined) return 409;
    model.set(each.name, { permits: each.permits, generation: 1, waiters: undefined });
    return 'done';
  }
  if (entry === undefined) return 404;
  if (each.op === 'delete') {
    model.delete(each.name);
  } else if (each.op === 'status') {
    entry.waiters = each.permits;
  } else {
    if (each.stale) return 409;
    if (each.permits === 0) return 422;
    if (entry.permits !== each.permits) entry.generation += 1;
    entry.permits = each.permits;
  }
  return 'done';
}

const summary = ({ metadata, spec, status }: StoredObject) => [
  metadata.name,
  {
    permits: (spec as { permits: number }).permits,
    generation: metadata.generation,
    waiters: (status as { waiters?: number } | undefined)?.waiters,
  },
];

test('random sequences agree with a naive model, and watches with lists', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
      using store = embeddedStore();
      const model = new Map<string, Entry>();
      const watched = new Map<string, StoredObject>();
      store.watch(DISTRIBUTED_LOCKS, { resourceVersion: store.resourceVersion }, (event) => {
        if (!('object' in event)) return;
        const { object, type } = event;
        // A watch never adds what is there, nor changes what is not.
        expect(watched.has(object.metadata.name)).toBe(type !== 'ADDED');
        if (type === 'DELETED') watched.delete(object.metadata.name);
        else watched.set(object.metadata.name, object);
      });
      const run = (each: Step): Promise<unknown> => {
        const version = 'stale' in each && each.stale ? { resourceVersion: '1' } : {};
        const object: KubeObject = {
          apiVersion: 'lockkeeper.dev/v1alpha1',
          kind: 'DistributedLock',
          metadata: { namespace: 'default', name: each.name, ...version },
          spec: { permits: each.permits },
        };
        if (each.op === 'create') return store.create(DISTRIBUTED_LOCKS, object);
        if (each.op === 'update') return store.update(DISTRIBUTED_LOCKS, object);
        if (each.op === 'delete') return store.delete(DISTRIBUTED_LOCKS, 'default', each.name);
        const status = { status: { waiters: each.permits }, spec: { permits: 9 } };
        if (each.op === 'status') return store.patchStatus(DISTRIBUTED_LOCKS, 'default', each.name, status);
        return store.patch(DISTRIBUTED_LOCKS, 'default', each.name, { metadata: version, spec: object['spec'] });
      };
      let last = Number(store.resourceVersion);
      for (const each of steps) {
        const outcome = await run(each).then(
          () => 'done' as const,
          (error: StoreError) => error.httpStatus,
        );
        expect([each, outcome]).toEqual([each, expected(model, each)]);
        expect(Number(store.resourceVersion)).toBeGreaterThanOrEqual(last);
        last = Number(store.resourceVersion);
      }
      await new Promise((resolve) => setImmediate(resolve));
      const { items } = await store.list(DISTRIBUTED_LOCKS, {});
      expect(Object.fromEntries(items.map(summary))).toEqual(Object.fromEntries(model));
      expect([...watched.values()].sort((left, right) => (left.metadata.name < right.metadata.name ? -1 : 1))).toEqual(
        items,
      );
    }),
    { numRuns: 60 },
  );
});
