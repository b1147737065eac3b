import type { KubeObject, ResourceType, StoredObject } from './kube-object.ts';
import type { CallOptions, WatchProgress } from './lease-store.ts';

/**
 * Objects of the Kubernetes API by kind: an API server, or the embedded API. The same promises and the same `StoreError`
 * outcomes as `LeaseStore`, which is this for one kind with a type of its own.
 */
export interface ObjectStore {
  /** The newest state (a consistent read); `undefined` if there is none. `namespace` is `undefined` for a cluster-wide kind. */
  get(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options?: CallOptions,
  ): Promise<StoredObject | undefined>;
  /** One consistent state of all matching objects, and the version from which to watch on. */
  list(type: ResourceType, query: ObjectQuery, options?: CallOptions): Promise<ObjectList>;
  /** `conflict` if the name is taken; `rejected` (422) with every problem named if the object is not valid. */
  create(type: ResourceType, object: KubeObject, options?: CallOptions): Promise<StoredObject>;
  /** Replaces spec and metadata; the status stays as it is. With `metadata.resourceVersion`, exactly that version. */
  update(type: ResourceType, object: KubeObject, options?: CallOptions): Promise<StoredObject>;
  /** JSON merge patch (RFC 7386) of everything but the status. With `metadata.resourceVersion` in it, of exactly that version. */
  patch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options?: CallOptions,
  ): Promise<StoredObject>;
  /** JSON merge patch of the status subresource alone; the generation stays. */
  patchStatus(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options?: CallOptions,
  ): Promise<StoredObject>;
  /** `notFound` if there is none. */
  delete(type: ResourceType, namespace: string | undefined, name: string, options?: CallOptions): Promise<void>;
  /** As `LeaseStore.watch`. */
  watch(
    type: ResourceType,
    query: ObjectQuery & { readonly resourceVersion: string },
    handler: (event: ObjectEvent) => void,
    options?: CallOptions,
  ): Disposable;
}

export interface ObjectQuery {
  /** All namespaces if absent. */
  readonly namespace?: string | undefined;
  readonly labelSelector?: string | undefined;
  readonly fieldSelector?: string | undefined;
}

export interface ObjectList {
  readonly items: readonly StoredObject[];
  readonly resourceVersion: string;
}

/** As `LeaseEvent`, for any kind of item. */
export type ObjectEvent<Item = StoredObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: Item }
  | WatchProgress;
