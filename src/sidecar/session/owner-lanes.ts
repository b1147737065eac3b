/** Acquires of one owner for one lock that may yet turn out to be re-entries, and what waits for that. */
interface Lane {
  unsettled: number;
  readonly waiting: (() => void)[];
}

/**
 * Keeps the releases of an owner behind its acquires of the same lock. An acquire that the owner's side has joined to the
 * hold, and whose answer is still on its way, is not yet counted in the depth here: a release that went out meanwhile would
 * state too low a depth, and end the hold under the feet of the one who joined.
 */
export class OwnerLanes {
  readonly #lanes = new Map<string, Lane>();

  /** An acquire is sent. */
  enter(key: string, ownerId: string): void {
    const lane = this.#lanes.get(nameOf(key, ownerId));
    if (lane === undefined) this.#lanes.set(nameOf(key, ownerId), { unsettled: 1, waiting: [] });
    else lane.unsettled++;
  }

  /** It was answered, if only with its place in the queue: it will not join a hold that is there now. */
  leave(key: string, ownerId: string): void {
    const lane = this.#lanes.get(nameOf(key, ownerId));
    if (lane === undefined || --lane.unsettled > 0) return;
    this.#lanes.delete(nameOf(key, ownerId));
    for (const run of lane.waiting) run();
  }

  /** Acquires not yet answered. */
  unsettled(key: string, ownerId: string): number {
    return this.#lanes.size === 0 ? 0 : (this.#lanes.get(nameOf(key, ownerId))?.unsettled ?? 0);
  }

  /** Runs at once if the owner has no unanswered acquire of the lock, else as soon as it has none. */
  whenSettled(key: string, ownerId: string, run: () => void): void {
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(nameOf(key, ownerId));
    if (lane === undefined) run();
    else lane.waiting.push(run);
  }
}

function nameOf(key: string, ownerId: string): string {
  return `${ownerId} ${key}`;
}
