import type { KubeObject, ResourceType, StoredObject } from '../../src/kube/kube-object.ts';
import { type CallOptions, StoreError } from '../../src/kube/lease-store.ts';
import type { ObjectEvent, ObjectList, ObjectQuery, ObjectStore } from '../../src/kube/object-store.ts';

export type StoreCall = 'get' | 'list' | 'create' | 'update' | 'patch' | 'patchStatus' | 'delete';

export interface SeenCall {
  readonly call: StoreCall;
  readonly type: ResourceType;
  /** `namespace/name`; of a list, the plural. */
  readonly key: string;
  /** Object or patch of a write. */
  readonly body: unknown;
  readonly atMs: number;
}

/** What happens to one call: nothing special, an error instead of it, or an error although it was done. */
export type Fault = 'fail' | 'loseAnswer' | undefined;

/** A store behind which another one works: sees every call, can fail it, can lose its answer, can cut and hold back watches. */
export class FakeObjectStore implements ObjectStore {
  readonly calls: SeenCall[] = [];
  /** Decides about each call. */
  fault: (seen: SeenCall) => Fault = () => undefined;
  /** Whether watches tell nothing, as over a connection that died without a sign. */
  silent = false;
  readonly #store: ObjectStore;
  readonly #nowMs: () => number;
  readonly #watches = new Set<(event: ObjectEvent) => void>();

  constructor(store: ObjectStore, nowMs: () => number) {
    this.#store = store;
    this.#nowMs = nowMs;
  }

  /** Calls of one kind, of one type of object. */
  seen(call: StoreCall, type: ResourceType): SeenCall[] {
    return this.calls.filter((each) => each.call === call && each.type.plural === type.plural);
  }

  /** Ends every open watch. */
  cutWatches(code: 'ended' | 'expired'): void {
    for (const hear of [...this.#watches]) hear({ type: 'ERROR', code, message: 'cut by the test' });
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  get(type: ResourceType, namespace: string | undefined, name: string, options?: CallOptions) {
    return this.#run('get', type, `${namespace ?? ''}/${name}`, undefined, () =>
      this.#store.get(type, namespace, name, options),
    );
  }

  list(type: ResourceType, query: ObjectQuery, options?: CallOptions): Promise<ObjectList> {
    return this.#run('list', type, type.plural, undefined, () => this.#store.list(type, query, options));
  }

  create(type: ResourceType, object: KubeObject, options?: CallOptions): Promise<StoredObject> {
    return this.#run('create', type, keyOf(object), object, () => this.#store.create(type, object, options));
  }

  update(type: ResourceType, object: KubeObject, options?: CallOptions): Promise<StoredObject> {
    return this.#run('update', type, keyOf(object), object, () => this.#store.update(type, object, options));
  }

  patch(type: ResourceType, namespace: string | undefined, name: string, patch: unknown, options?: CallOptions) {
    return this.#run('patch', type, `${namespace ?? ''}/${name}`, patch, () =>
      this.#store.patch(type, namespace, name, patch, options),
    );
  }

  patchStatus(type: ResourceType, namespace: string | undefined, name: string, patch: unknown, options?: CallOptions) {
    return this.#run('patchStatus', type, `${namespace ?? ''}/${name}`, patch, () =>
      this.#store.patchStatus(type, namespace, name, patch, options),
    );
  }

  delete(type: ResourceType, namespace: string | undefined, name: string, options?: CallOptions): Promise<void> {
    return this.#run('delete', type, `${namespace ?? ''}/${name}`, undefined, async () => {
      await this.#store.delete(type, namespace, name, options);
    });
  }

  watch(
    type: ResourceType,
    query: ObjectQuery & { readonly resourceVersion: string },
    handler: (event: ObjectEvent) => void,
    options?: CallOptions,
  ): Disposable {
    const hear = (event: ObjectEvent) => {
      if (!this.#watches.has(hear) || (this.silent && event.type !== 'ERROR')) return;
      if (event.type === 'ERROR') this.#watches.delete(hear);
      handler(event);
    };
    this.#watches.add(hear);
    const watch = this.#store.watch(type, query, hear, options);
    return {
      [Symbol.dispose]: () => {
        this.#watches.delete(hear);
        watch[Symbol.dispose]();
      },
    };
  }

  async #run<Answer>(
    call: StoreCall,
    type: ResourceType,
    key: string,
    body: unknown,
    work: () => Promise<Answer>,
  ): Promise<Answer> {
    const seen = { call, type, key, body, atMs: this.#nowMs() };
    this.calls.push(seen);
    const fault = this.fault(seen);
    if (fault === 'fail') throw new StoreError('rejected', 'refused by the test', { retryable: true, httpStatus: 503 });
    const answer = await work();
    if (fault === 'loseAnswer') throw new StoreError('unknown', 'the answer was lost by the test');
    return answer;
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ''}/${metadata.name}`;
}
