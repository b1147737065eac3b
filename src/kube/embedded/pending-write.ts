import type { StoredObject } from '../kube-object.ts';
import { StoreError } from '../lease-store.ts';
import type { Decide } from './object-log.ts';

/** A write that has been called and not answered. */
export class PendingWrite {
  /** `sent`: it may be on disk. */
  state: 'waiting' | 'sent' | 'abandoned' = 'waiting';
  abort: Disposable | undefined;
  readonly decide: Decide;
  readonly #resolve: (object: StoredObject) => void;
  readonly #reject: (error: unknown) => void;

  constructor(decide: Decide, resolve: (object: StoredObject) => void, reject: (error: unknown) => void) {
    this.decide = decide;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  answer(object: StoredObject): void {
    this.abort?.[Symbol.dispose]();
    this.#resolve(object);
  }

  refuse(error: unknown): void {
    this.abort?.[Symbol.dispose]();
    this.#reject(error);
  }

  abandon(cause: unknown): void {
    const sent = this.state === 'sent';
    this.state = 'abandoned';
    this.#reject(
      sent
        ? new StoreError('unknown', 'The call was abandoned on its way: the write may land.', { cause })
        : notSent(cause),
    );
  }
}

export function notSent(cause: unknown): StoreError {
  return new StoreError('rejected', 'The call was abandoned before it was sent.', { retryable: true, cause });
}
