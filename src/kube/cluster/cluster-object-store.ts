import type { Clock } from '../../system/clock.ts';
import type { Random } from '../../system/random.ts';
import type { Timers } from '../../system/timers.ts';
import type { KubeObject, ResourceType, StoredObject } from '../kube-object.ts';
import { type CallOptions, StoreError } from '../lease-store.ts';
import type { ObjectEvent, ObjectList, ObjectQuery, ObjectStore } from '../object-store.ts';
import type { ApiRequest, Connections } from './connections.ts';
import { type ListRequest, type ListedItems, listPages } from './list-pages.ts';
import { type CallFacts, unreadable } from './outcome.ts';
import type { Answer, Requester } from './requester.ts';
import { collectionPath, nameOf, objectPath, queryString } from './resource-path.ts';
import { WatchStream } from './watch-stream.ts';

export interface ClusterStoreOptions {
  readonly requester: Requester;
  /** Of watches, which take one each. */
  readonly watchConnections: Connections;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly watchIdleMs: number;
}

/** The server ends a watch after this long, and up to twice as long: so that not all end together. */
const WATCH_SECONDS = 300;
const MERGE_PATCH = 'application/merge-patch+json';
/** An update without a version reads it first, again if somebody wrote in between. */
const UPDATE_ATTEMPTS = 5;
const VERSION = /^[1-9][0-9]*$/;

/** Objects at a real API server. */
export class ClusterObjectStore implements ObjectStore {
  readonly #options: ClusterStoreOptions;

  constructor(options: ClusterStoreOptions) {
    this.#options = options;
  }

  async get(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    { signal }: CallOptions = {},
  ): Promise<StoredObject | undefined> {
    const path = objectPath(type, namespace, name);
    const call = { write: false, what: `get ${nameOf(type, namespace, name)}` };
    try {
      return objectOf(
        type,
        call,
        await this.#options.requester.read({ ...call, request: { method: 'GET', path }, signal }),
      );
    } catch (error) {
      if (error instanceof StoreError && error.outcome === 'notFound') return undefined;
      throw error;
    }
  }

  list(type: ResourceType, query: ObjectQuery, { signal }: CallOptions = {}): Promise<ObjectList> {
    const fields = typeFields(type);
    return this.listAs({ type, query, itemOf: (raw) => ({ ...fields, ...raw }), signal });
  }

  /** A list of whatever is made of its objects, made page by page. */
  listAs<Item>(request: ListRequest<Item>): Promise<ListedItems<Item>> {
    return listPages(this.#options.requester, this.#options.timers, request);
  }

  async create(type: ResourceType, object: KubeObject, { signal }: CallOptions = {}): Promise<StoredObject> {
    const { namespace, name } = object.metadata;
    // Asked for by its own path, so that a missing name or namespace is found here.
    objectPath(type, namespace, name);
    const request = { method: 'POST', path: collectionPath(type, namespace), body: JSON.stringify(object) } as const;
    return this.#write(type, `create ${nameOf(type, namespace, name)}`, request, signal);
  }

  async update(type: ResourceType, object: KubeObject, options: CallOptions = {}): Promise<StoredObject> {
    const { namespace, name, uid, resourceVersion } = object.metadata;
    // Without a uid a PUT can create what is not there, without a version many kinds refuse it.
    if (uid && resourceVersion) return this.#put(type, object, options);
    for (let attempt = 1; ; attempt++) {
      const found = await this.get(type, namespace, name, options);
      const what = nameOf(type, namespace, name);
      if (found === undefined) throw new StoreError('notFound', `There is no ${what}.`, { httpStatus: 404 });
      if (
        (uid && found.metadata.uid !== uid) ||
        (resourceVersion && found.metadata.resourceVersion !== resourceVersion)
      )
        throw new StoreError('conflict', `The ${what} is another one by now: read it again.`, { httpStatus: 409 });
      const { uid: foundUid, resourceVersion: foundVersion } = found.metadata;
      const metadata = { ...object.metadata, uid: foundUid, resourceVersion: foundVersion };
      try {
        return await this.#put(type, { ...object, metadata }, options);
      } catch (error) {
        const again = error instanceof StoreError && error.outcome === 'conflict' && !resourceVersion;
        if (!again || attempt >= UPDATE_ATTEMPTS) throw error;
      }
    }
  }

  #put(type: ResourceType, object: KubeObject, { signal }: CallOptions): Promise<StoredObject> {
    const { namespace, name } = object.metadata;
    const path = objectPath(type, namespace, name);
    const request = { method: 'PUT', path, body: JSON.stringify(object) } as const;
    return this.#write(type, `update ${nameOf(type, namespace, name)}`, request, signal);
  }

  patch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options: CallOptions = {},
  ): Promise<StoredObject> {
    return this.#patch(type, namespace, name, '', patch, options);
  }

  patchStatus(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options: CallOptions = {},
  ): Promise<StoredObject> {
    return this.#patch(type, namespace, name, '/status', patch, options);
  }

  async #patch(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    subresource: '' | '/status',
    patch: unknown,
    { signal }: CallOptions,
  ): Promise<StoredObject> {
    const path = objectPath(type, namespace, name) + subresource;
    const part = subresource === '' ? '' : 'the status of ';
    const request = { method: 'PATCH', path, body: JSON.stringify(patch), contentType: MERGE_PATCH } as const;
    return this.#write(type, `patch ${part}${nameOf(type, namespace, name)}`, request, signal);
  }

  async #write(
    type: ResourceType,
    what: string,
    request: ApiRequest,
    signal: AbortSignal | undefined,
  ): Promise<StoredObject> {
    const call = { write: true, what };
    return objectOf(type, call, await this.#options.requester.write({ ...call, request, signal }));
  }

  delete(type: ResourceType, namespace: string | undefined, name: string, options: CallOptions = {}): Promise<void> {
    return this.deleteIf(type, namespace, name, {}, options);
  }

  /** Deletes it if the preconditions hold; `conflict` if not. */
  async deleteIf(
    type: ResourceType,
    namespace: string | undefined,
    name: string,
    preconditions: { readonly resourceVersion?: string; readonly uid?: string },
    { signal }: CallOptions = {},
  ): Promise<void> {
    const path = objectPath(type, namespace, name);
    const body = JSON.stringify({ apiVersion: 'v1', kind: 'DeleteOptions', preconditions });
    const call = { write: true, what: `delete ${nameOf(type, namespace, name)}` };
    await this.#options.requester.write({ ...call, request: { method: 'DELETE', path, body }, signal });
  }

  watch(
    type: ResourceType,
    query: ObjectQuery & { readonly resourceVersion: string },
    handler: (event: ObjectEvent) => void,
    { signal }: CallOptions = {},
  ): Disposable {
    const { watchConnections, clock, timers, random, watchIdleMs } = this.#options;
    const { namespace, labelSelector, fieldSelector, resourceVersion } = query;
    // Without a version, or from 0, a server begins wherever it likes.
    if (!VERSION.test(resourceVersion)) {
      const message = `A watch must begin at a resourceVersion, not at "${resourceVersion.slice(0, 80)}".`;
      throw new StoreError('rejected', message, { httpStatus: 400 });
    }
    const path =
      collectionPath(type, namespace) +
      queryString({
        watch: '1',
        allowWatchBookmarks: 'true',
        resourceVersion,
        labelSelector,
        fieldSelector,
        timeoutSeconds: String(Math.round(WATCH_SECONDS * (1 + random.fraction()))),
      });
    return WatchStream.open({
      connections: watchConnections,
      path,
      what: `watch ${type.plural}`,
      clock,
      timers,
      idleMs: watchIdleMs,
      signal,
      onEvent: (eventType, object) =>
        handler(
          eventType === 'BOOKMARK'
            ? { type: 'BOOKMARK', resourceVersion: object.metadata.resourceVersion }
            : { type: eventType, object: object as StoredObject },
        ),
      onEnd: (end) => handler({ type: 'ERROR', ...end }),
    });
  }
}

function objectOf(type: ResourceType, call: CallFacts, { httpStatus, value }: Answer): StoredObject {
  const object = value as StoredObject;
  if (typeof object?.metadata?.resourceVersion !== 'string') throw unreadable(call, httpStatus, undefined);
  return { ...typeFields(type), ...object };
}

/** Items of a list come without them. */
function typeFields({ group, version, kind }: ResourceType): Pick<KubeObject, 'apiVersion' | 'kind'> {
  return { apiVersion: group === '' ? version : `${group}/${version}`, kind };
}
