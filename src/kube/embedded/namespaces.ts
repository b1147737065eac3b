import { type KubeObject, NAMESPACES, type StoredObject } from '../kube-object.ts';
import { ApiError } from './api-error.ts';
import type { ApiResource } from './api-resource.ts';
import type { Draft } from './draft.ts';
import { keyOfName } from './object-key.ts';
import { type ServerFields, storedObject } from './object-rules.ts';

interface NamespaceActions {
  readonly serverFields: (draft: Draft) => Partial<ServerFields>;
  /** Takes an object away, or marks it as being deleted. */
  readonly remove: (draft: Draft, resource: ApiResource, object: StoredObject) => StoredObject;
}

/** Namespaces that begin with the first object in them, and take all objects along when they end. */
export class Namespaces {
  readonly #resources: readonly ApiResource[];
  readonly #actions: NamespaceActions;

  constructor(resources: readonly ApiResource[], actions: NamespaceActions) {
    this.#resources = resources;
    this.#actions = actions;
  }

  /** Makes a namespace if it is not there. Throws `ApiError` (403) while it is being deleted. */
  ensure(draft: Draft, name: string): void {
    const existing = draft.find(NAMESPACES, keyOfName(undefined, name));
    if (existing?.metadata.deletionTimestamp !== undefined) {
      const message = `unable to create new content in namespace ${name} because it is being terminated`;
      throw new ApiError(403, 'Forbidden', message, { name, kind: 'namespaces' });
    }
    if (existing !== undefined) return;
    const object = storedObject(this.named(name), this.#actions.serverFields(draft));
    draft.record({ type: 'ADDED', resource: NAMESPACES, object, previous: undefined });
  }

  named(name: string): KubeObject {
    return this.completed({ apiVersion: 'v1', kind: 'Namespace', metadata: { name } });
  }

  /** What a server adds to a new Namespace. */
  completed(object: KubeObject): KubeObject {
    const { metadata } = object;
    const labels = { ...metadata.labels, 'kubernetes.io/metadata.name': metadata.name };
    return {
      ...object,
      metadata: { ...metadata, labels },
      spec: { finalizers: ['kubernetes'] },
      status: { phase: 'Active' },
    };
  }

  /** Begins the end of a namespace, which is at once unless a finalizer keeps an object in it. Answers its last state. */
  terminate(draft: Draft, namespace: StoredObject): StoredObject {
    const { name } = namespace.metadata;
    const resource = this.#resources.find(({ type }) => type === NAMESPACES) as ApiResource;
    for (const [each, object] of this.#content(draft, name)) this.#actions.remove(draft, each, object);
    if (this.#content(draft, name).length === 0) return this.#actions.remove(draft, resource, namespace);
    if (namespace.metadata.deletionTimestamp !== undefined) return namespace;
    const { creationTimestamp, resourceVersion } = this.#actions.serverFields(draft);
    const marked = storedObject(
      { ...namespace, status: { phase: 'Terminating' } },
      {
        ...(resourceVersion === undefined ? {} : { resourceVersion }),
        deletionTimestamp: creationTimestamp,
      },
    );
    return draft.record({ type: 'MODIFIED', resource: NAMESPACES, object: marked, previous: namespace });
  }

  /** Ends a namespace that is being deleted once nothing is left in it. */
  settle(draft: Draft, name: string): void {
    const namespace = draft.find(NAMESPACES, keyOfName(undefined, name));
    if (namespace?.metadata.deletionTimestamp !== undefined && this.#content(draft, name).length === 0)
      this.terminate(draft, namespace);
  }

  #content(draft: Draft, name: string): readonly (readonly [ApiResource, StoredObject])[] {
    return this.#resources
      .filter(({ type }) => type.namespaced)
      .flatMap((resource) =>
        [...draft.all(resource.type)]
          .filter(({ metadata }) => metadata.namespace === name)
          .map((object) => [resource, object] as const),
      );
  }
}
