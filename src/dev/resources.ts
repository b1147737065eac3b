import { API_VERSION } from '../api/custom-resources/resource.ts';
import { splitLockKey } from '../api/lock-id.ts';
import { DISTRIBUTED_LOCKS, type KubeObject, LOCK_POOLS, type ResourceType } from '../kube/kube-object.ts';
import type { ObjectStore } from '../kube/object-store.ts';

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

/** Makes those that are not there, and leaves alone those that are. */
export async function declareMissing(store: ObjectStore, objects: readonly KubeObject[]): Promise<void> {
  for (const object of objects) {
    const { namespace, name } = object.metadata;
    if ((await store.get(typeOfKind(object.kind), namespace, name)) === undefined) await declare(store, [object]);
  }
}

/** An object with an empty spec: every field has its default. `name` is `namespace/name`. */
export function objectOf(kind: 'DistributedLock' | 'LockPool', name: string): KubeObject {
  const { namespace, lockId } = splitLockKey(name);
  return { apiVersion: API_VERSION, kind, metadata: { namespace, name: lockId }, spec: {} };
}

export function typeOfKind(kind: string): ResourceType {
  return kind === DISTRIBUTED_LOCKS.kind ? DISTRIBUTED_LOCKS : LOCK_POOLS;
}
