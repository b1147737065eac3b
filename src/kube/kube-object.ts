/** Any object of the Kubernetes API, as the plain JSON value that travels. */
export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: KubeMetadata;
  readonly [field: string]: unknown;
}

export interface KubeMetadata {
  readonly name: string;
  readonly namespace?: string | undefined;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
  /** Grows with every change of the spec; set by the store. */
  readonly generation?: number | undefined;
  readonly creationTimestamp?: string | undefined;
  readonly deletionTimestamp?: string | undefined;
  readonly finalizers?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly ownerReferences?: readonly unknown[] | undefined;
  readonly [field: string]: unknown;
}

/** An object as a store returns it. */
export type StoredObject<Shape extends KubeObject = KubeObject> = Shape & {
  readonly metadata: KubeMetadata & {
    readonly uid: string;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
  };
};

/** Which kind of object: the address of its collection. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  /** Lower case, for example `distributedlocks`. */
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
}

export const LEASES: ResourceType = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
};
export const NAMESPACES: ResourceType = {
  group: '',
  version: 'v1',
  plural: 'namespaces',
  kind: 'Namespace',
  namespaced: false,
};
/** Events of the core group: what `kubectl describe` shows. */
export const EVENTS: ResourceType = { group: '', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };
export const DISTRIBUTED_LOCKS: ResourceType = {
  group: 'lockkeeper.dev',
  version: 'v1alpha1',
  plural: 'distributedlocks',
  kind: 'DistributedLock',
  namespaced: true,
};
export const LOCK_POOLS: ResourceType = {
  group: 'lockkeeper.dev',
  version: 'v1alpha1',
  plural: 'lockpools',
  kind: 'LockPool',
  namespaced: true,
};
