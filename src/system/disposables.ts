/** Things that must be given back: listeners, timers, servers, watches. */

/** Runs `release` on the first disposal and never again. */
export function disposable(release: () => void): Disposable {
  let pending: (() => void) | undefined = release;
  return {
    [Symbol.dispose]() {
      const run = pending;
      pending = undefined;
      run?.();
    },
  };
}

/**
 * Owns resources and gives them back in reverse order of adding, one after the other. Every resource gets its turn, even
 * after one has failed.
 *
 * Not promised: an upper bound on the time. A resource that never answers keeps the disposal waiting.
 */
export class Disposables implements AsyncDisposable {
  readonly #releases: (() => unknown)[] = [];
  #disposal: Promise<void> | undefined;

  /** True from the moment disposal begins. */
  get disposed(): boolean {
    return this.#disposal !== undefined;
  }

  /**
   * Takes ownership of `resource` and returns it. A resource that has both kinds of disposal is disposed asynchronously.
   * Throws once disposal has begun: the resource then still belongs to the caller.
   */
  add<Resource extends Disposable | AsyncDisposable>(resource: Resource): Resource {
    this.defer(() => (Symbol.asyncDispose in resource ? resource[Symbol.asyncDispose]() : resource[Symbol.dispose]()));
    return resource;
  }

  /** Calls `release` when its turn comes, and waits for it if it answers with a promise. Throws once disposal has begun. */
  defer(release: () => unknown): void {
    if (this.disposed) throw new Error('Nothing can be added: these disposables have been disposed.');
    this.#releases.push(release);
  }

  /**
   * Gives everything back. Calling it again answers with the same promise. Rejects with an AggregateError that holds
   * every failure, in the order they happened, after all resources had their turn.
   */
  dispose(): Promise<void> {
    this.#disposal ??= this.#releaseAll();
    return this.#disposal;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #releaseAll(): Promise<void> {
    const errors: unknown[] = [];
    for (let release = this.#releases.pop(); release !== undefined; release = this.#releases.pop()) {
      try {
        // Each waits for the one before it: what was opened later may use what was opened earlier.
        await release();
      } catch (error) {
        errors.push(error);
      }
    }
    if (errors.length > 0) throw new AggregateError(errors, `${errors.length} resources could not be disposed.`);
  }
}

/** Each event brings its own details, which only the listener can know. */
type Listener = (...details: any[]) => void;

/** What `listen` needs of an event emitter; Node's own emitters fit. */
export interface Emitter {
  on(event: string, listener: Listener): unknown;
  off(event: string, listener: Listener): unknown;
}

/** Adds `listener` to `emitter` until the answer is disposed. */
export function listen(emitter: Emitter, event: string, listener: Listener): Disposable {
  emitter.on(event, listener);
  return disposable(() => emitter.off(event, listener));
}

/**
 * Calls `run` once with the reason when `signal` aborts, or in a microtask if it already has. Disposing the answer before
 * that prevents the call; the listener is removed either way.
 */
export function onAbort(signal: AbortSignal, run: (reason: unknown) => void): Disposable {
  let wanted = true;
  const notify = () => {
    if (wanted) run(signal.reason);
    wanted = false;
  };
  if (signal.aborted) queueMicrotask(notify);
  else signal.addEventListener('abort', notify, { once: true });
  return disposable(() => {
    wanted = false;
    signal.removeEventListener('abort', notify);
  });
}
