/** The acquires of one owner for one lock that are under way, and what waits for them. */
interface Lane {
  /** Not answered at all: each may turn out to be a re-entry. */
  unsettled: number;
  /** Told their place in the queue. */
  queued: number;
  waiting: (() => void)[];
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
    if (lane === undefined) this.#lanes.set(nameOf(key, ownerId), { unsettled: 1, queued: 0, waiting: [] });
    else lane.unsettled++;
  }

  /** It stands in the queue: it will not join a hold that is there now. */
  queue(key: string, ownerId: string): void {
    const lane = this.#lanes.get(nameOf(key, ownerId));
    if (lane === undefined) return;
    lane.queued++;
    this.#settle(lane);
  }

  /** A queued one is asked again. */
  reenter(key: string, ownerId: string): void {
    const lane = this.#lanes.get(nameOf(key, ownerId));
    if (lane === undefined) return;
    lane.queued--;
    lane.unsettled++;
  }

  /** It is over. */
  leave(key: string, ownerId: string, wasQueued: boolean): void {
    const lane = this.#lanes.get(nameOf(key, ownerId));
    if (lane === undefined) return;
    if (wasQueued) lane.queued--;
    if (lane.queued + lane.unsettled - (wasQueued ? 0 : 1) === 0) this.#lanes.delete(nameOf(key, ownerId));
    if (!wasQueued) this.#settle(lane);
  }

  /** Acquires not yet answered. */
  unsettled(key: string, ownerId: string): number {
    return this.#find(key, ownerId)?.unsettled ?? 0;
  }

  /** Whether an acquire is under way, be it in the queue. */
  isUsed(key: string, ownerId: string): boolean {
    return this.#find(key, ownerId) !== undefined;
  }

  /** Runs at once if the owner has no unanswered acquire of the lock, else as soon as it has none. */
  whenSettled(key: string, ownerId: string, run: () => void): void {
    const lane = this.#find(key, ownerId);
    if (lane === undefined || lane.unsettled === 0) run();
    else lane.waiting.push(run);
  }

  #find(key: string, ownerId: string): Lane | undefined {
    return this.#lanes.size === 0 ? undefined : this.#lanes.get(nameOf(key, ownerId));
  }

  #settle(lane: Lane): void {
    if (--lane.unsettled > 0) return;
    const { waiting } = lane;
    lane.waiting = [];
    for (const run of waiting) run();
  }
}

function nameOf(key: string, ownerId: string): string {
  return `${ownerId} ${key}`;
}
