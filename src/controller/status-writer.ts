import { splitLockKey } from '../api/lock-id.ts';
import type { ResourceType, StoredObject } from '../kube/kube-object.ts';
import { StoreError } from '../kube/lease-store.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import type { StatusBudget } from './status-budget.ts';
import type { StatusChange } from './status-patch.ts';

/** Numbers alone are written at most this often: who reads them sees a number of the last seconds. */
const COUNT_GAP_MS = 5_000;

export interface StatusWriterOptions {
  readonly type: ResourceType;
  readonly store: Pick<ObjectStore, 'patchStatus'>;
  readonly budget: StatusBudget;
  readonly noteObject: (object: StoredObject) => void;
  readonly onWritten: () => void;
}

/**
 * - `written`, `unchanged`: nothing is left to do.
 * - `waiting`: the budget gives the key a turn later.
 * - `conflict`: the object is another one by now; decide anew.
 */
export type StatusOutcome = 'written' | 'unchanged' | 'waiting' | 'conflict';

/** Writes statuses of one kind of object within the budget. */
export class StatusWriter {
  readonly #options: StatusWriterOptions;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
  }

  /** Asks for a turn to look at the object and write what has changed. */
  ask(key: string): void {
    this.#options.budget.ask(this.#id(key));
  }

  /** There is nothing to write. */
  decline(key: string): void {
    this.#options.budget.decline(this.#id(key));
  }

  async write(key: string, change: StatusChange | undefined): Promise<StatusOutcome> {
    const { type, store, budget, noteObject, onWritten } = this.#options;
    const id = this.#id(key);
    if (change === undefined) {
      budget.decline(id);
      return 'unchanged';
    }
    if (change.urgency === 'count' && !budget.isDue(id, COUNT_GAP_MS)) {
      budget.decline(id);
      budget.ask(id, COUNT_GAP_MS);
      return 'waiting';
    }
    if (!budget.take(id)) return 'waiting';
    const { namespace, lockId } = splitLockKey(key);
    try {
      noteObject(await store.patchStatus(type, namespace, lockId, change.patch));
    } catch (error) {
      if (error instanceof StoreError && (error.outcome === 'conflict' || error.outcome === 'notFound'))
        return 'conflict';
      throw error;
    }
    onWritten();
    return 'written';
  }

  #id(key: string): string {
    return statusId(this.#options.type, key);
  }
}

/** One budget serves several kinds. */
export function statusId({ plural }: ResourceType, key: string): string {
  return `${plural} ${key}`;
}
