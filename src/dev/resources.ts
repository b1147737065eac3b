import { distributedLockSchema } from '../api/custom-resources/distributed-lock.ts';
import { lockPoolSchema } from '../api/custom-resources/lock-pool.ts';
import { API_VERSION } from '../api/custom-resources/resource.ts';
import { lockKindOf, policyNameOf, splitLockKey } from '../api/lock-id.ts';
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY, policyOfLock, policyOfPool } from '../api/policies.ts';
import { DISTRIBUTED_LOCKS, type KubeObject, LOCK_POOLS, type ResourceType } from '../kube/kube-object.ts';
import { StoreError } from '../kube/lease-store.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { LockServer } from '../server/lock-server.ts';
import type { Log } from '../system/logger.ts';

/** Declares objects as `kubectl apply` would: makes those that are not there, replaces the spec of those that are. */
export async function declare(store: ObjectStore, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    const type = typeOfKind(object.kind);
    const { namespace, name } = object.metadata;
    const known = await store.get(type, namespace, name);
    if (known === undefined) await store.create(type, object);
    else await store.update(type, { ...known, spec: object['spec'] ?? {} });
  }
}

/**
 * Gives the lock server the rules of everything that is declared, before the first request comes. From then on the controllers
 * do it. An object that an older version kept and this one cannot read is left to them, who say so in its status.
 */
export async function configureDeclared(store: ObjectStore, server: LockServer): Promise<void> {
  for (const object of (await store.list(DISTRIBUTED_LOCKS, {})).items) {
    const lock = distributedLockSchema.safeParse(object).data;
    if (lock === undefined) continue;
    const seenToken = Number(lock.status?.fencingToken ?? 0);
    server.configureLock(nameOf(object), policyOfLock({ ...lock.spec }), seenToken + 1);
  }
  for (const object of (await store.list(LOCK_POOLS, {})).items) {
    const pool = lockPoolSchema.safeParse(object).data;
    if (pool !== undefined) server.configurePool(nameOf(object), policyOfPool({ ...pool.spec }));
  }
}

/**
 * In `dev` mode a lock or pool begins to exist with its first acquire, as an object with an empty spec; on a cluster that acquire
 * would be LOCK_NOT_FOUND. The rules are there at once, the object a moment later.
 */
export function createOnDemand(store: ObjectStore, log: Log): (server: LockServer, key: string) => void {
  return (server, key) => {
    const name = policyNameOf(key);
    const kind = lockKindOf(key) === 'lock' ? 'DistributedLock' : 'LockPool';
    if (kind === 'DistributedLock') server.configureLock(name, DEFAULT_LOCK_POLICY);
    else server.configurePool(name, DEFAULT_POOL_POLICY);
    store.create(typeOfKind(kind), objectOf(kind, name)).catch((error: unknown) => {
      if (error instanceof StoreError && error.outcome === 'conflict') return;
      log.warn({ error, kind, name }, 'could not make the object of a lock that was created on demand');
    });
  };
}

/** An object with an empty spec: every field has its default. `name` is `namespace/name`. */
export function objectOf(kind: 'DistributedLock' | 'LockPool', name: string): KubeObject {
  const { namespace, lockId } = splitLockKey(name);
  return { apiVersion: API_VERSION, kind, metadata: { namespace, name: lockId }, spec: {} };
}

function typeOfKind(kind: string): ResourceType {
  return kind === DISTRIBUTED_LOCKS.kind ? DISTRIBUTED_LOCKS : LOCK_POOLS;
}

function nameOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
