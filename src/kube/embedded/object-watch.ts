import type { StoredObject } from '../kube-object.ts';
import type { ObjectEvent } from '../object-store.ts';
import { frozenCopy } from './json.ts';
import type { ObjectChange } from './object-log.ts';

/** One watch: turns changes into events and hands them over in microtasks, in order. */
export class ObjectWatch {
  readonly #matches: (object: StoredObject) => boolean;
  readonly #handler: (event: ObjectEvent) => void;
  readonly #bookmarkEvery: number;
  #events: ObjectEvent[] = [];
  #quietChanges = 0;
  #closed = false;

  constructor(
    matches: (object: StoredObject) => boolean,
    handler: (event: ObjectEvent) => void,
    bookmarkEvery: number,
  ) {
    this.#matches = matches;
    this.#handler = handler;
    this.#bookmarkEvery = bookmarkEvery;
  }

  offer({ type, object, previous }: ObjectChange): void {
    const before = previous !== undefined && this.#matches(previous);
    const after = type !== 'DELETED' && this.#matches(object);
    const { resourceVersion } = object.metadata;
    if (after) this.push({ type: before ? 'MODIFIED' : 'ADDED', object });
    else if (before) this.push({ type: 'DELETED', object: lastSeen(previous, resourceVersion) });
    else if (this.#quietChanges + 1 >= this.#bookmarkEvery) this.push({ type: 'BOOKMARK', resourceVersion });
    else this.#quietChanges += 1;
  }

  push(event: ObjectEvent): void {
    this.#quietChanges = 0;
    this.#events.push(event);
    if (this.#events.length === 1) queueMicrotask(() => this.#deliver());
  }

  close(): void {
    this.#closed = true;
  }

  #deliver(): void {
    const events = this.#events;
    this.#events = [];
    for (const event of events) {
      if (this.#closed) return;
      if (event.type === 'ERROR') this.close();
      this.#handler(event);
    }
  }
}

/** The last state that the watch could see, with the version of its end. */
function lastSeen(previous: StoredObject, resourceVersion: string): StoredObject {
  return frozenCopy({ ...previous, metadata: { ...previous.metadata, resourceVersion } });
}
