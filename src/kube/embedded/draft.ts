import type { ResourceType, StoredObject } from '../kube-object.ts';
import { keyOf } from './object-key.ts';
import type { ObjectChange } from './object-log.ts';

/** The visible state with the changes of one batch of writes on top. */
export class Draft {
  readonly #visible: (resource: ResourceType) => ReadonlyMap<string, StoredObject>;
  /** By kind and key; `undefined` for an object that is gone. */
  readonly #changed = new Map<string, Map<string, StoredObject | undefined>>();
  /** Of the write that is being decided. */
  #changes: ObjectChange[] = [];
  #version: number;
  #versionBefore: number;

  constructor(visible: (resource: ResourceType) => ReadonlyMap<string, StoredObject>, version: number) {
    this.#visible = visible;
    this.#version = version;
    this.#versionBefore = version;
  }

  find(resource: ResourceType, key: string): StoredObject | undefined {
    const changed = this.#changed.get(resource.plural);
    return changed?.has(key) === true ? changed.get(key) : this.#visible(resource).get(key);
  }

  /** All objects of a kind, in no order. */
  *all(resource: ResourceType): Iterable<StoredObject> {
    const changed = this.#changed.get(resource.plural);
    for (const [key, object] of this.#visible(resource)) if (changed?.has(key) !== true) yield object;
    for (const object of changed?.values() ?? []) if (object !== undefined) yield object;
  }

  nextVersion(): string {
    this.#version += 1;
    return String(this.#version);
  }

  record(change: ObjectChange): StoredObject {
    this.#changes.push(change);
    this.#note(change.resource, keyOf(change.object), change.type === 'DELETED' ? undefined : change.object);
    return change.object;
  }

  /** What the write that was just decided changes. */
  takeChanges(): readonly ObjectChange[] {
    const changes = this.#changes;
    this.#changes = [];
    this.#versionBefore = this.#version;
    return changes;
  }

  /** As if the write that was just refused had never been looked at. */
  forgetChanges(): void {
    for (const { resource, object, previous } of this.#changes.toReversed())
      this.#note(resource, keyOf(object), previous);
    this.#changes = [];
    this.#version = this.#versionBefore;
  }

  #note(resource: ResourceType, key: string, object: StoredObject | undefined): void {
    let changed = this.#changed.get(resource.plural);
    if (changed === undefined) this.#changed.set(resource.plural, (changed = new Map()));
    changed.set(key, object);
  }
}
