import type { ResourceType, StoredObject } from './kube-object.ts';
import type { StoredLease } from './lease.ts';
import type { CallOptions, LeaseQuery, LeaseStore } from './lease-store.ts';
import type { ObjectEvent, ObjectQuery, ObjectStore } from './object-store.ts';

/** What a list-watch needs of an item. */
export interface Watched {
  readonly metadata: {
    readonly namespace?: string | undefined;
    readonly name: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
}

/** One selection of items in a store: the part of `ObjectStore` and `LeaseStore` that a list-watch needs. */
export interface WatchSource<Item extends Watched> {
  /** What the items are, for logs. */
  readonly kind: string;
  list(options: CallOptions): Promise<{ readonly items: readonly Item[]; readonly resourceVersion: string }>;
  watch(resourceVersion: string, handler: (event: ObjectEvent<Item>) => void, options: CallOptions): Disposable;
}

/** The objects of one kind that match; all of them without a query. */
export function objectSource(
  store: Pick<ObjectStore, 'list' | 'watch'>,
  type: ResourceType,
  query: ObjectQuery = {},
): WatchSource<StoredObject> {
  return {
    kind: type.kind,
    list: (options) => store.list(type, query, options),
    watch: (resourceVersion, handler, options) => store.watch(type, { ...query, resourceVersion }, handler, options),
  };
}

/** The Leases that match; all of them without a query. */
export function leaseSource(
  store: Pick<LeaseStore, 'list' | 'watch'>,
  query: LeaseQuery = {},
): WatchSource<StoredLease> {
  return {
    kind: 'Lease',
    list: (options) => store.list(query, options),
    watch: (resourceVersion, handler, options) =>
      store.watch(
        { ...query, resourceVersion },
        (event) => handler('lease' in event ? { type: event.type, object: event.lease } : event),
        options,
      ),
  };
}
