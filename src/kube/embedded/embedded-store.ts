import type { Clock } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import { EVENTS, type KubeObject, NAMESPACES, type ResourceType, type StoredObject } from '../kube-object.ts';
import { formatTime } from '../lease.ts';
import type { CallOptions, LeaseStore } from '../lease-store.ts';
import type { ObjectEvent, ObjectList, ObjectQuery, ObjectStore } from '../object-store.ts';
import { ApiError, alreadyExists, conflict, expired, notFound } from './api-error.ts';
import type { ApiResource } from './api-resource.ts';
import { BUILT_IN_RESOURCES } from './built-in-resources.ts';
import { customResource } from './custom-resource.ts';
import type { Draft } from './draft.ts';
import { EmbeddedLeaseStore } from './embedded-lease-store.ts';
import { EventLimits } from './event-limits.ts';
import { isObject, objectOf } from './json.ts';
import { mergePatch } from './merge-patch.ts';
import { Namespaces } from './namespaces.ts';
import { keyOf, keyOfName, numberOf } from './object-key.ts';
import { type ObjectJournal, ObjectLog, assertNotAborted } from './object-log.ts';
import {
  type OnUnknownFields,
  createdObject,
  nameToCreate,
  namespaceToCreate,
  storedObject,
  updatedObject,
} from './object-rules.ts';
import { type Page, type PageQuery, pageOf, readContinue } from './pages.ts';
import { fieldSelector, labelSelector } from './selectors.ts';

export interface EmbeddedStoreOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** CustomResourceDefinitions of apiextensions.k8s.io/v1, parsed. */
  readonly customResourceDefinitions: readonly unknown[];
  /** What an earlier process kept; `resourceVersion` is the highest version in it. Kinds that are not served are left out. */
  readonly initial?: { readonly objects: readonly KubeObject[]; readonly resourceVersion: string } | undefined;
  /** Without one, everything ends with the process. */
  readonly journal?: ObjectJournal | undefined;
  /** How many of the last changes of one kind a watch can resume over. Default 4,096. */
  readonly historyEventsMax?: number | undefined;
  /** Events kept at a time; the oldest goes first. Default 5,000. */
  readonly eventsMax?: number | undefined;
  /** How long an Event is kept after it was written last. Default one hour. */
  readonly eventTtlMs?: number | undefined;
}

export interface WriteOptions extends CallOptions {
  /** Everything is checked and answered, nothing is stored. */
  readonly dryRun?: boolean | undefined;
  /** Writes the status and nothing else; without it, everything but the status. */
  readonly subresource?: 'status' | undefined;
  readonly onUnknownFields?: OnUnknownFields | undefined;
  /** For a creation: the namespace of an object that names none. */
  readonly namespace?: string | undefined;
}

export interface DeleteOptions extends CallOptions {
  readonly dryRun?: boolean | undefined;
  /** Only this life of the name, only this version of it. */
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

/** `gone`: it is not there any more; otherwise finalizers keep it. */
export interface Deletion {
  readonly object: StoredObject;
  readonly gone: boolean;
}

/**
 * Versions that are left free at a start on what an earlier process kept: its Events had versions too, which nobody
 * recorded, and a version must not mean two things.
 */
const VERSIONS_SKIPPED = 1_000_000;

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
    this.#log = new ObjectLog({ ...options, initial: this.#initialState(options.initial) });
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
    const version = position?.resourceVersion ?? query.exactVersion ?? this.#log.resourceVersion;
    const objects = version === this.#log.resourceVersion ? this.#log.all(type) : this.#log.at(type, numberOf(version));
    if (objects === undefined)
      throw expired(`The version ${version} is not in the history of this server: list again from the beginning.`);
    const matching = [...objects.values()].filter(this.#matcherOf(type, query));
    return pageOf(matching, version, query.limit, position);
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

  /** Creates the object, or merges it into the one that is there. */
  async apply(
    type: ResourceType,
    object: KubeObject,
    options: WriteOptions = {},
  ): Promise<{ readonly object: StoredObject; readonly created: boolean }> {
    const resource = this.#resource(type);
    let created = false;
    const applied = await this.#write(resource, options, (draft) => {
      const namespace = namespaceToCreate(resource, object, options.namespace);
      const current = draft.find(type, keyOfName(namespace, object.metadata.name));
      created = current === undefined;
      if (current === undefined) return this.#decideCreation(draft, resource, object, options);
      return this.#decideUpdate(draft, resource, current, mergePatch(current, object), options);
    });
    return { object: applied, created };
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

  #decideCreation(draft: Draft, resource: ApiResource, proposed: unknown, options: WriteOptions): StoredObject {
    const { type } = resource;
    const given = objectOf(proposed);
    const name = nameToCreate(resource, given, () => this.#random.uuid().slice(0, 5));
    const namespace = namespaceToCreate(resource, given, options.namespace);
    const metadata = { ...objectOf(given['metadata']), name, ...(namespace === undefined ? {} : { namespace }) };
    const created = createdObject(resource, { ...given, metadata }, options.onUnknownFields);
    if (draft.find(type, keyOfName(namespace, name)) !== undefined) throw alreadyExists(type, name);
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
    const object = storedObject(updated, { resourceVersion: draft.nextVersion() });
    draft.record({ type: 'MODIFIED', resource: resource.type, object, previous: current });
    const isLast = object.metadata.deletionTimestamp !== undefined && (object.metadata.finalizers ?? []).length === 0;
    return isLast ? this.#remove(draft, resource, object) : object;
  }

  /** Takes an object away, or marks it if finalizers keep it. Answers its last state. */
  #remove(draft: Draft, { type, hasGeneration }: ApiResource, current: StoredObject): StoredObject {
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
    const { selectableFields, fieldValues } = this.#resource(type);
    const hasLabels = labelSelector(query.labelSelector);
    const names = new Set(['metadata.name', 'metadata.namespace', ...selectableFields]);
    const hasFields = fieldSelector(query.fieldSelector, names);
    const isWholeKind = (query.fieldSelector ?? '') === '';
    return (object) => {
      const { name, namespace = '', labels } = object.metadata;
      if (query.namespace !== undefined && namespace !== query.namespace) return false;
      if (!hasLabels(labels)) return false;
      return (
        isWholeKind || hasFields({ ...fieldValues(object), 'metadata.name': name, 'metadata.namespace': namespace })
      );
    };
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

  #initialState(initial: EmbeddedStoreOptions['initial']) {
    const kept = (initial?.objects ?? []).filter(isObject).flatMap((object) => {
      const resource = this.resources.find(
        ({ type }) => type.kind === object.kind && (object.apiVersion ?? '').startsWith(type.group),
      );
      return resource === undefined ? [] : [[resource.type, storedObject(object, {})] as const];
    });
    let version = initial === undefined ? 0 : numberOf(initial.resourceVersion) + VERSIONS_SKIPPED;
    const known = new Set(kept.flatMap(([type, { metadata }]) => (type === NAMESPACES ? [metadata.name] : [])));
    const made = ['default', 'kube-system', 'lockkeeper-system']
      .filter((name) => !known.has(name))
      .map((name) => {
        version += 1;
        const object = storedObject(this.#namespaces.named(name), this.#serverFields(String(version)));
        return [NAMESPACES, object] as const;
      });
    return { objects: [...kept, ...made], resourceVersion: String(version) };
  }
}

function assertPreconditions(type: ResourceType, { metadata }: StoredObject, options: DeleteOptions): void {
  const { uid, resourceVersion } = options;
  if (uid !== undefined && uid !== metadata.uid) {
    const why = `Precondition failed: UID in precondition: ${uid}, UID in object meta: ${metadata.uid}`;
    throw conflict(type, metadata.name, why);
  }
  if (resourceVersion !== undefined && resourceVersion !== metadata.resourceVersion) {
    const why = `Precondition failed: ResourceVersion in precondition: ${resourceVersion}, ResourceVersion in object meta: ${metadata.resourceVersion}`;
    throw conflict(type, metadata.name, why);
  }
}
