/**
 * Goal: an API server that fails for a while delays a lock server and does not end it; a refusal that time does not cure ends the
 * start at once. Method: one in-memory store whose reads fail on demand, on virtual time.
 */
import { expect, it } from '@jest/globals';
import type { LeaseStore } from '../../../src/kube/lease-store.ts';
import { StoreError } from '../../../src/kube/lease-store.ts';
import { ServerWorld } from '../../support/server-world.ts';

/** The store of a world, whose first `failures` calls of `method` fail. */
function failing(
  world: ServerWorld,
  method: 'get' | 'list',
  failures: number,
  retryable = true,
): { readonly store: LeaseStore; readonly calls: () => number } {
  let calls = 0;
  const store = new Proxy<LeaseStore>(world.leases, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== 'function') return value;
      return (...args: readonly unknown[]) => {
        if (name === method && ++calls <= failures)
          return Promise.reject(new StoreError('rejected', 'the API server starts', { retryable, httpStatus: 503 }));
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
  return { store, calls: () => calls };
}

it.each(['get', 'list'] as const)('a server starts although the first reads fail (%s)', async (method) => {
  const world = new ServerWorld();
  const { store, calls } = failing(world, method, 5);
  const server = await world.start({ store });
  expect(calls()).toBeGreaterThan(5);
  await world.client(server).acquire('shop/migrations', 'worker');
});

it('a read that is refused for good ends the start', async () => {
  const world = new ServerWorld();
  const { store, calls } = failing(world, 'get', Number.POSITIVE_INFINITY, false);
  await expect(world.start({ store })).rejects.toMatchObject({ name: 'StoreError', outcome: 'rejected' });
  expect(calls()).toBe(1);
});
