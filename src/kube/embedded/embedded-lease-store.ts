import type { Clock } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import { LEASES, type StoredObject } from '../kube-object.ts';
import { LEASE_KIND, type Lease, type StoredLease, formatTime, freezeLease, leaseProblem } from '../lease.ts';
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
import type { Draft } from './draft.ts';
import { isEqual } from './json.ts';
import { keyOf } from './object-key.ts';
import { type ObjectLog, assertNotAborted } from './object-log.ts';

export interface EmbeddedLeaseStoreOptions {
  /** For `creationTimestamp`. */
  readonly clock: Clock;
  /** For `uid`. */
  readonly random: Random;
  /** Runs as part of each creation; may record more changes, or throw to refuse. */
  readonly beforeCreation?: ((draft: Draft, namespace: string) => void) | undefined;
}

/** The Leases among the objects of a log, as the store of Leases that the lock server takes. */
export class EmbeddedLeaseStore implements LeaseStore {
  readonly #log: ObjectLog;
  readonly #clock: Clock;
  readonly #random: Random;

  readonly #beforeCreation: ((draft: Draft, namespace: string) => void) | undefined;

  constructor(log: ObjectLog, { clock, random, beforeCreation }: EmbeddedLeaseStoreOptions) {
    this.#log = log;
    this.#clock = clock;
    this.#random = random;
    this.#beforeCreation = beforeCreation;
  }

  async get(namespace: string, name: string, options: CallOptions = {}): Promise<StoredLease | undefined> {
    assertNotAborted(options.signal);
    const object = this.#log.get(LEASES, `${namespace}/${name}`);
    return object && leaseOf(object);
  }

  async list(query: LeaseQuery, options: CallOptions = {}): Promise<LeaseList> {
    assertNotAborted(options.signal);
    const items = [...this.#log.all(LEASES).values()]
      .filter(matcherOf(query))
      .sort((left, right) => (keyOf(left) < keyOf(right) ? -1 : 1))
      .map(leaseOf);
    return { items, resourceVersion: this.#log.resourceVersion };
  }

  create(lease: Lease, options: CallOptions = {}): Promise<StoredLease> {
    const copy = copyOf(lease);
    const decide = (draft: Draft) => {
      if (copy.metadata.resourceVersion !== '') throw rejected(400, 'A Lease to create must have no resourceVersion.');
      assertValid(copy);
      if (draft.find(LEASES, keyOf(copy)) !== undefined) throw conflict(`The Lease ${keyOf(copy)} exists already.`);
      this.#beforeCreation?.(draft, copy.metadata.namespace);
      const [uid, creationTimestamp] = [this.#random.uuid(), formatTime(this.#clock.wallMs())];
      const created = freezeLease(copy, { resourceVersion: draft.nextVersion(), uid, creationTimestamp });
      return draft.record({ type: 'ADDED', resource: LEASES, object: leaseObject(created), previous: undefined });
    };
    return this.#log.write(options.signal, decide, leaseOf);
  }

  update(lease: Lease, options: CallOptions = {}): Promise<StoredLease> {
    const copy = copyOf(lease);
    const decide = (draft: Draft) => {
      if (copy.metadata.resourceVersion === '')
        throw rejected(422, 'An update must name the resourceVersion it replaces.');
      assertValid(copy);
      const previous = current(draft, keyOf(copy), copy.metadata.resourceVersion);
      const { uid, creationTimestamp } = previous.metadata;
      if (copy.metadata.uid !== '' && copy.metadata.uid !== uid)
        throw conflict(`The Lease ${keyOf(copy)} has the uid ${uid}: it is another one.`);
      if (isSameContent(copy, leaseOf(previous))) return previous;
      const updated = freezeLease(copy, { resourceVersion: draft.nextVersion(), uid, creationTimestamp });
      return draft.record({ type: 'MODIFIED', resource: LEASES, object: leaseObject(updated), previous });
    };
    return this.#log.write(options.signal, decide, leaseOf);
  }

  delete(namespace: string, name: string, resourceVersion: string, options: CallOptions = {}): Promise<void> {
    const decide = (draft: Draft) => {
      const previous = current(draft, `${namespace}/${name}`, resourceVersion);
      const ended = freezeLease(leaseOf(previous), { ...previous.metadata, resourceVersion: draft.nextVersion() });
      return draft.record({ type: 'DELETED', resource: LEASES, object: leaseObject(ended), previous });
    };
    return this.#log.write(options.signal, decide, () => {});
  }

  watch(query: WatchQuery, handler: (event: LeaseEvent) => void, options: CallOptions = {}): Disposable {
    return this.#log.watch(
      LEASES,
      query.resourceVersion,
      matcherOf(query),
      (event) => handler('object' in event ? { type: event.type, lease: leaseOf(event.object) } : event),
      options.signal,
    );
  }
}

/** The Lease that an object of kind Lease is; other fields of it are left out. */
export function leaseOf(object: StoredObject): StoredLease {
  let lease = leases.get(object);
  if (lease === undefined) {
    lease = freezeLease(object as unknown as Lease, object.metadata);
    leases.set(object, lease);
  }
  return lease;
}

/** A Lease as an object among others. */
export function leaseObject(lease: StoredLease): StoredObject {
  const { metadata, spec } = lease;
  const object = Object.freeze({
    apiVersion: 'coordination.k8s.io/v1',
    kind: LEASE_KIND,
    metadata,
    spec,
  }) as unknown as StoredObject;
  leases.set(object, lease);
  return object;
}

/** Made once for each object, which is frozen. */
const leases = new WeakMap<StoredObject, StoredLease>();

function matcherOf({ namespace, labelSelector }: LeaseQuery): (object: StoredObject) => boolean {
  const matches = labelMatcher(labelSelector);
  return ({ metadata }) => (namespace === undefined || metadata.namespace === namespace) && matches(metadata.labels);
}

/** Whether what a caller may set is the same. */
function isSameContent(left: StoredLease, right: StoredLease): boolean {
  return (
    isEqual(left.spec, right.spec) &&
    isEqual(left.metadata.annotations, right.metadata.annotations) &&
    isEqual(left.metadata.labels, right.metadata.labels)
  );
}

/** The Lease, if its version is exactly this one. */
function current(draft: Draft, key: string, resourceVersion: string): StoredObject {
  const lease = draft.find(LEASES, key);
  if (lease === undefined) throw new StoreError('notFound', `There is no Lease ${key}.`, { httpStatus: 404 });
  const { resourceVersion: version } = lease.metadata;
  if (version !== resourceVersion)
    throw conflict(`The Lease ${key} has the version ${version}, not ${resourceVersion}: read it again.`);
  return lease;
}

/** What the caller passed, out of reach of its later changes. */
function copyOf(lease: Lease): StoredLease {
  const { resourceVersion = '', uid = '', creationTimestamp = '' } = lease.metadata;
  return freezeLease(lease, { resourceVersion, uid, creationTimestamp });
}

function assertValid(lease: Lease): void {
  const problem = leaseProblem(lease);
  if (problem !== undefined) throw rejected(422, `The Lease is invalid: ${problem}.`);
}

function rejected(httpStatus: number, message: string): StoreError {
  return new StoreError('rejected', message, { httpStatus });
}

function conflict(message: string): StoreError {
  return new StoreError('conflict', message, { httpStatus: 409 });
}
