import { LEASES, type KubeObject, type StoredObject } from '../kube-object.ts';
import { type Lease, type StoredLease, freezeLease } from '../lease.ts';
import {
  type CallOptions,
  type LeaseEvent,
  type LeaseList,
  type LeaseQuery,
  type LeaseStore,
  StoreError,
  type WatchQuery,
  labelMatcher,
} from '../lease-store.ts';
import { ClusterObjectStore, type ClusterStoreOptions } from './cluster-object-store.ts';

/** Leases at a real API server. */
export class ClusterLeaseStore implements LeaseStore {
  readonly #objects: ClusterObjectStore;

  constructor(options: ClusterStoreOptions) {
    this.#objects = new ClusterObjectStore(options);
  }

  async get(namespace: string, name: string, options: CallOptions = {}): Promise<StoredLease | undefined> {
    const found = await this.#objects.get(LEASES, namespace, name, options);
    return found && storedLease(found);
  }

  async list(query: LeaseQuery, options: CallOptions = {}): Promise<LeaseList> {
    labelMatcher(query.labelSelector);
    return this.#objects.listAs({ type: LEASES, query, itemOf: storedLease, signal: options.signal });
  }

  async create(lease: Lease, options: CallOptions = {}): Promise<StoredLease> {
    if (lease.metadata.resourceVersion)
      throw new StoreError('rejected', 'A Lease to create must have no resourceVersion.', { httpStatus: 400 });
    return storedLease(await this.#objects.create(LEASES, leaseBody(lease, false), options));
  }

  async update(lease: Lease, options: CallOptions = {}): Promise<StoredLease> {
    if (!lease.metadata.resourceVersion) {
      const message = 'An update must name the resourceVersion it replaces.';
      throw new StoreError('rejected', message, { httpStatus: 422 });
    }
    return storedLease(await this.#objects.update(LEASES, leaseBody(lease, true), options));
  }

  delete(namespace: string, name: string, resourceVersion: string, options: CallOptions = {}): Promise<void> {
    return this.#objects.deleteIf(LEASES, namespace, name, { resourceVersion }, options);
  }

  watch(query: WatchQuery, handler: (event: LeaseEvent) => void, options: CallOptions = {}): Disposable {
    labelMatcher(query.labelSelector);
    return this.#objects.watch(
      LEASES,
      query,
      (event) => handler('object' in event ? { type: event.type, lease: storedLease(event.object) } : event),
      options,
    );
  }
}

/** Fields that we do not know are left out, also if they have a form that nobody foresaw. */
function storedLease(object: StoredObject): StoredLease {
  const spec = (object['spec'] ?? {}) as { readonly [field: string]: unknown };
  const text = (field: string) => (typeof spec[field] === 'string' ? spec[field] : undefined);
  const integer = (field: string) => (typeof spec[field] === 'number' ? spec[field] : undefined);
  const { namespace = '', name, labels, annotations } = object.metadata;
  const known: Lease = {
    metadata: { namespace, name, labels: labels ?? undefined, annotations: annotations ?? undefined },
    spec: {
      holderIdentity: text('holderIdentity'),
      leaseDurationSeconds: integer('leaseDurationSeconds'),
      acquireTime: text('acquireTime'),
      renewTime: text('renewTime'),
      leaseTransitions: integer('leaseTransitions'),
    },
  };
  return freezeLease(known, object.metadata);
}

/** What is sent: read at the time of the call, so that a later change of what the caller passed does not show. */
function leaseBody({ metadata, spec }: Lease, update: boolean): KubeObject {
  const { namespace, name, labels, annotations, uid, resourceVersion } = metadata;
  return {
    apiVersion: 'coordination.k8s.io/v1',
    kind: LEASES.kind,
    metadata: {
      namespace,
      name,
      labels: labels && { ...labels },
      annotations: annotations && { ...annotations },
      ...(update ? { uid, resourceVersion } : {}),
    },
    spec: { ...spec },
  };
}
