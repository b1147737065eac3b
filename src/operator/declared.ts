import { distributedLockSchema } from '../api/custom-resources/distributed-lock.ts';
import { lockPoolSchema } from '../api/custom-resources/lock-pool.ts';
import { policyOfLock, policyOfPool } from '../api/policies.ts';
import { DISTRIBUTED_LOCKS, type KubeObject, LOCK_POOLS } from '../kube/kube-object.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { LockServer } from '../server/lock-server.ts';

/**
 * Gives the lock server the rules of everything that is declared, before the first request comes. From then on the controllers
 * do it. An object that another version kept and this one cannot read is left to them, who say so in its status.
 */
export async function configureDeclared(objects: ObjectStore, server: LockServer): Promise<void> {
  for (const object of (await objects.list(DISTRIBUTED_LOCKS, {})).items) configureObject(object, server);
  for (const object of (await objects.list(LOCK_POOLS, {})).items) configureObject(object, server);
}

/** Gives the lock server the rules of one DistributedLock or LockPool; does nothing if it cannot be read. */
export function configureObject(object: KubeObject, server: LockServer): void {
  const name = `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
  if (object.kind === LOCK_POOLS.kind) {
    const pool = lockPoolSchema.safeParse(object).data;
    if (pool !== undefined) server.configurePool(name, policyOfPool({ ...pool.spec }));
    return;
  }
  const lock = distributedLockSchema.safeParse(object).data;
  if (lock === undefined) return;
  const seenToken = Number(lock.status?.fencingToken ?? 0);
  server.configureLock(name, policyOfLock({ ...lock.spec }), seenToken + 1);
}
