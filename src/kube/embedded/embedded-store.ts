import type { Clock } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import { EVENTS, type KubeObject, NAMESPACES, type ResourceType, type StoredObject } from '../kube-object.ts';
import { formatTime } from '../lease.ts';
import type { CallOptions, LeaseStore } from '../lease-store.ts';
import type { ObjectEvent, ObjectList, ObjectQuery, ObjectStore } from '../object-store.ts';
import { ApiError, alreadyExists, expired, notFound, tooLargeVersion } from './api-error.ts';
import type { ApiResource } from './api-resource.ts';
import { BUILT_IN_RESOURCES } from './built-in-resources.ts';
import { customResource } from './custom-resource.ts';
import type { Draft } from './draft.ts';
import { EmbeddedLeaseStore } from './embedded-lease-store.ts';
import { EventLimits } from './event-limits.ts';
import { initialState } from './initial-state.ts';
import { objectOf } from './json.ts';
import { mergePatch } from './merge-patch.ts';
import { Namespaces } from './namespaces.ts';
import { keyOf, keyOfName, numberOf } from './object-key.ts';
import { ObjectLog, assertNotAborted } from './object-log.ts';
import { createdObject, nameToCreate, namespaceToCreate, storedObject, updatedObject } from './object-rules.ts';
import { type Page, type PageQuery, pageOf, readContinue } from './pages.ts';
import { assertPreconditions } from './preconditions.ts';
import { matcherOf } from './selectors.ts';
import type { DeleteOptions, Deletion, EmbeddedStoreOptions, WriteOptions } from './store-options.ts';

/**
 * An API server's objects in memory: Namespaces, Events, Leases and custom resources, with the semantics of the real one for
 * versions, validation, defaults, generations, finalizers and watches. docs/embedded-api.md lists what differs.
 */
export class EmbeddedStore implements ObjectStore, Disposable {
  readonly resources: readonly ApiResource[];
  /** The Leases in here as the lock server wants them. */
  readonly leases: LeaseStore;
  readonly #log: ObjectLog;
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #namespaces: Namespaces;
  readonly #events: EventLimits;

  constructor(options: EmbeddedStoreOptions) {
    this.#clock = options.clock;
    this.#random = options.random;
    this.resources = [...BUILT_IN_RESOURCES, ...options.customResourceDefinitions.map(customResource)];
    this.#namespaces = new Namespaces(this.resources, {
      serverFields: (draft) => this.#serverFields(draft.nextVersion()),
      remove: (draft, resource, object) => this.#remove(draft, resource, object),
    });
    this.#events = new EventLimits(options.clock, options.eventsMax ?? 5_000, options.eventTtlMs ?? 3_600_000);
    this.#log = new ObjectLog({
      ...options,
      initial: initialState(options.initial, this.resources, (name, version) =>
        storedObject(this.#namespaces.named(name), this.#serverFields(version)),
      ),
    });
    this.leases = new EmbeddedLeaseStore(this.#log, {
      ...options,
      beforeCreation: (draft, namespace) => this.#namespaces.ensure(draft, namespace),
    });
  }

  /** The newest version of all kinds. */
  get resourceVersion(): string {
    return this.#log.resourceVersion;
  }

  async get(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions = {},
  ): Promise<StoredObject | undefined> {
    assertNotAborted(options.signal);
    await this.#expireEvents(type);
    return this.#log.get(type, keyOfName(namespace, name));
  }

  async list(type: ResourceType, query: ObjectQuery, options: CallOptions = {}): Promise<ObjectList> {
    return this.page(type, query, options);
  }

  /** A part of a list. All parts show the state of one version; a continue token whose version has left the history is expired. */
  async page(type: ResourceType, query: PageQuery, options: CallOptions = {}): Promise<Page> {
    assertNotAborted(options.signal);
    await this.#expireEvents(type);
    const position = query.continueToken === undefined ? undefined : readContinue(query.continueToken);
    const newest = this.#log.resourceVersion;
    const needed = query.notOlderThan ?? query.exactVersion ?? newest;
    if (numberOf(needed) > numberOf(newest)) throw tooLargeVersion(needed, newest);
    const version = position?.resourceVersion ?? query.exactVersion ?? newest;
    const objects = version === newest ? this.#log.all(type) : this.#log.at(type, numberOf(version));
    if (objects === undefined)
      throw expired(`The version ${version} is not in the history of this server: list again from the beginning.`);
    const matching = [...objects.values()].filter(this.#matcherOf(type, query));
    const page = pageOf(matching, version, query.limit, position);
    const isSelected = Boolean(query.labelSelector) || Boolean(query.fieldSelector);
    if (!isSelected) return page;
    // Of a selection a server does not count the rest.
    const { remainingItemCount: _count, ...selected } = page;
    return selected;
  }

  create(type: ResourceType, object: KubeObject, options: WriteOptions = {}): Promise<StoredObject> {
    const resource = this.#resource(type);
    return this.#write(resource, options, (draft) => this.#decideCreation(draft, resource, object, options));
  }

  update(type: ResourceType, object: KubeObject, options: WriteOptions = {}): Promise<StoredObject> {
    const { namespace, name } = object.metadata;
    return this.modify(type, namespace ?? options.namespace, name, () => object, options);
  }

  patch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<StoredObject> {
    return this.modify(type, namespace, name, (current) => mergePatch(current, patch), options);
  }

  patchStatus(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options: WriteOptions = {},
  ): Promise<StoredObject> {
    return this.patch(type, namespace, name, patch, { ...options, subresource: 'status' });
  }

  /** Replaces an object by what `change` makes of it, in one step: nobody writes in between. */
  modify(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    change: (current: StoredObject) => unknown,
    options: WriteOptions = {},
  ): Promise<StoredObject> {
    const resource = this.#resource(type);
    return this.#write(resource, options, (draft) => {
      const current = this.#existing(draft, type, namespace, name);
      return this.#decideUpdate(draft, resource, current, change(current), options);
    });
  }

  /** Replaces an object, or creates it: what a PUT is for some built-in kinds. A version that it names is then of no account. */
  async replace(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<{ readonly object: StoredObject; readonly created: boolean }> {
    const resource = this.#resource(type);
    const { resourceVersion: _none, ...metadata } = object.metadata;
    return this.#createOr(resource, { ...object, metadata }, options, (draft, current) =>
      this.#decideUpdate(draft, resource, current, object, options),
    );
  }

  /** Creates the object, or merges it into the one that is there. */
  async apply(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<{ readonly object: StoredObject; readonly created: boolean }> {
    const resource = this.#resource(type);
    return this.#createOr(resource, object, options, (draft, current) =>
      this.#decideUpdate(draft, resource, current, mergePatch(current, object), options),
    );
  }

  async delete(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: CallOptions = {},
  ): Promise<void> {
    await this.remove(type, namespace, name, options);
  }

  /** Deletes an object, or marks it as being deleted while finalizers keep it. A Namespace takes everything in it along. */
  async remove(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    options: DeleteOptions = {},
  ): Promise<Deletion> {
    const resource = this.#resource(type);
    let gone = false;
    const object = await this.#log.write(
      options.signal,
      (draft) => {
        const current = this.#existing(draft, type, namespace, name);
        assertPreconditions(type, current, options);
        if (options.dryRun === true) {
          gone = (current.metadata.finalizers ?? []).length === 0;
          return current;
        }
        const last =
          resource.type === NAMESPACES
            ? this.#namespaces.terminate(draft, current)
            : this.#remove(draft, resource, current);
        gone = draft.find(type, keyOf(last)) === undefined;
        return last;
      },
      (answer) => answer,
    );
    return { object, gone };
  }

  watch(
    type: ResourceType,
    query: ObjectQuery & { readonly resourceVersion: string },
    handler: (event: ObjectEvent) => void,
    options: CallOptions = {},
  ): Disposable {
    return this.#log.watch(type, query.resourceVersion, this.#matcherOf(type, query), handler, options.signal);
  }

  /** Ends every watch and takes no more writes. Writes that were called before are still answered. */
  [Symbol.dispose](): void {
    this.#log[Symbol.dispose]();
  }

  async #write(
    resource: ApiResource,
    options: WriteOptions,
    decide: (draft: Draft) => StoredObject,
  ): Promise<StoredObject> {
    return this.#log.write(options.signal, decide, (object) => {
      if (resource.type === EVENTS && options.dryRun !== true) this.#events.note(keyOf(object));
      return object;
    });
  }

  async #createOr(
    resource: ApiResource,
    object: KubeObject,
    options: WriteOptions,
    update: (draft: Draft, current: StoredObject) => StoredObject,
  ): Promise<{ readonly object: StoredObject; readonly created: boolean }> {
    let created = false;
    const written = await this.#write(resource, options, (draft) => {
      const namespace = namespaceToCreate(resource, object, options.namespace);
      const current = draft.find(resource.type, keyOfName(namespace, object.metadata.name));
      created = current === undefined;
      return current === undefined ? this.#decideCreation(draft, resource, object, options) : update(draft, current);
    });
    return { object: written, created };
  }

  #decideCreation(draft: Draft, resource: ApiResource, proposed: unknown, options: WriteOptions): StoredObject {
    const { type } = resource;
    const given = objectOf(proposed);
    const name = nameToCreate(resource, given, () => this.#random.uuid().slice(0, 5));
    const namespace = namespaceToCreate(resource, given, options.namespace);
    const metadata = { ...objectOf(given['metadata']), name, ...(namespace === undefined ? {} : { namespace }) };
    const created = createdObject(resource, { ...given, metadata }, options.onUnknownFields);
    const existing = draft.find(type, keyOfName(namespace, name));
    if (existing !== undefined) throw alreadyExists(type, name, existing.metadata.deletionTimestamp !== undefined);
    const completed = type === NAMESPACES ? this.#namespaces.completed(created) : created;
    const generation = resource.hasGeneration ? { generation: 1 } : {};
    if (options.dryRun === true) return storedObject(completed, { ...this.#serverFields(''), ...generation });
    if (namespace !== undefined) this.#namespaces.ensure(draft, namespace);
    if (type === EVENTS) this.#forget(draft, this.#events.takeSurplus());
    const object = storedObject(completed, { ...this.#serverFields(draft.nextVersion()), ...generation });
    return draft.record({ type: 'ADDED', resource: type, object, previous: undefined });
  }

  #decideUpdate(
    draft: Draft,
    resource: ApiResource,
    current: StoredObject,
    proposed: unknown,
    options: WriteOptions,
  ): StoredObject {
    const updated = updatedObject(resource, current, proposed, options.subresource, options.onUnknownFields);
    if (updated === current || options.dryRun === true) return updated;
    const { deletionTimestamp, finalizers = [] } = updated.metadata;
    if (deletionTimestamp !== undefined && finalizers.length === 0) {
      // The write ends the object and is never stored: watches see its last stored state go, the caller what it sent.
      this.#end(draft, resource, current);
      return storedObject(updated, {});
    }
    const object = storedObject(updated, { resourceVersion: draft.nextVersion() });
    return draft.record({ type: 'MODIFIED', resource: resource.type, object, previous: current });
  }

  /** Takes an object away, or marks it if finalizers keep it. Answers its last state. */
  #remove(draft: Draft, resource: ApiResource, current: StoredObject): StoredObject {
    const { type, hasGeneration } = resource;
    const { finalizers = [], deletionTimestamp, generation } = current.metadata;
    if (finalizers.length > 0) {
      if (deletionTimestamp !== undefined) return current;
      const marked = storedObject(current, {
        resourceVersion: draft.nextVersion(),
        deletionTimestamp: formatTime(this.#clock.wallMs()),
        deletionGracePeriodSeconds: 0,
        ...(hasGeneration ? { generation: (generation ?? 0) + 1 } : {}),
      });
      return draft.record({ type: 'MODIFIED', resource: type, object: marked, previous: current });
    }
    return this.#end(draft, resource, current);
  }

  #end(draft: Draft, { type }: ApiResource, current: StoredObject): StoredObject {
    const object = storedObject(current, { resourceVersion: draft.nextVersion() });
    draft.record({ type: 'DELETED', resource: type, object, previous: current });
    if (object.metadata.namespace !== undefined) this.#namespaces.settle(draft, object.metadata.namespace);
    return object;
  }

  #existing(draft: Draft, type: ResourceType, namespace: string | undefined, name: string): StoredObject {
    const current = draft.find(type, keyOfName(namespace, name));
    if (current === undefined) throw notFound(type, name);
    return current;
  }

  #forget(draft: Draft, keys: readonly string[]): void {
    for (const key of keys) {
      const event = draft.find(EVENTS, key);
      if (event !== undefined) this.#remove(draft, this.#resource(EVENTS), event);
    }
  }

  async #expireEvents(type: ResourceType): Promise<void> {
    if (type.plural !== EVENTS.plural || type.group !== EVENTS.group || !this.#events.hasExpired()) return;
    const keys = this.#events.takeExpired();
    const nothing = undefined as unknown as StoredObject;
    await this.#log.write(
      undefined,
      (draft) => {
        this.#forget(draft, keys);
        return nothing;
      },
      () => {},
    );
  }

  #matcherOf(type: ResourceType, query: ObjectQuery): (object: StoredObject) => boolean {
    return matcherOf(this.#resource(type), query);
  }

  #resource(type: ResourceType): ApiResource {
    const resource = this.resources.find(
      (each) => each.type === type || (each.type.plural === type.plural && each.type.group === type.group),
    );
    if (resource === undefined) {
      const message = `the server could not find the requested resource: it serves no ${type.plural}`;
      throw new ApiError(404, 'NotFound', message);
    }
    return resource;
  }

  #serverFields(resourceVersion: string) {
    return {
      uid: this.#random.uuid(),
      creationTimestamp: formatTime(this.#clock.wallMs()),
      ...(resourceVersion === '' ? {} : { resourceVersion }),
    };
  }
}
