import type { DeadlockEdge, DeadlockEvent } from '../engine/effects.ts';
import type { LockAuthority } from './lock-authority.ts';

/** What audit events said of a lock or pool and no inspection shows. */
export interface Observation {
  /** The lock's Lease cannot be written; why. */
  readonly refusal: Refusal | undefined;
  /** A circle of waiting owners that goes through the lock and still stands. */
  readonly cycle: readonly DeadlockEdge[] | undefined;
  /** The last circle was ended by refusing a waiter. */
  readonly cycleBroken: boolean;
}

export interface Refusal {
  readonly text: string;
  /** Not refused by the store: the Lease is somebody else's, or cannot be trusted. */
  readonly unusable: boolean;
}

/**
 * Remembers refused writes and deadlocks until they are over. A circle is over as soon as one of its edges is:
 * that is asked of the locks themselves, never concluded from missing events.
 */
export class Observations {
  readonly #refusals = new Map<string, Refusal>();
  readonly #cycles = new Map<string, DeadlockEvent>();
  readonly #broken = new Set<string>();
  readonly #nameOf: (lockKey: string) => string | undefined;
  readonly #stands: (edge: DeadlockEdge) => boolean;

  /** `nameOf` gives the object that a lock is observed under; `undefined`: not here. */
  constructor(nameOf: (lockKey: string) => string | undefined, stands: (edge: DeadlockEdge) => boolean) {
    this.#nameOf = nameOf;
    this.#stands = stands;
  }

  noteRefusal(name: string, text: string | undefined, unusable: boolean): void {
    this.#refusals.set(name, { text: text ?? 'no reason given', unusable });
  }

  /** The store writes again, or another owner will see for itself. */
  noteWritten(name: string): void {
    this.#refusals.delete(name);
  }

  /** Answers with the names of the objects that are in it. */
  noteDeadlock(event: DeadlockEvent): string[] {
    const names = new Set<string>();
    for (const { waitsFor } of event.cycle) {
      const name = this.#nameOf(waitsFor);
      if (name === undefined) continue;
      names.add(name);
      if (event.victim === undefined) this.#cycles.set(name, event);
      else this.#broken.add(name);
    }
    return [...names];
  }

  of(name: string): Observation {
    const event = this.#cycles.get(name);
    const stands = event?.cycle.every((edge) => this.#stands(edge)) ?? false;
    if (event !== undefined && !stands) this.#cycles.delete(name);
    return {
      refusal: this.#refusals.get(name),
      cycle: stands ? event?.cycle : undefined,
      cycleBroken: this.#broken.has(name),
    };
  }

  /** The lock was granted: whatever was refused to end a circle is history, and the store writes. */
  noteGranted(name: string): void {
    this.#refusals.delete(name);
    this.#broken.delete(name);
  }

  forget(name: string): void {
    this.#refusals.delete(name);
    this.#cycles.delete(name);
    this.#broken.delete(name);
  }
}

/** Whether the waiter of an edge still waits for that very hold. A lock that is not granted here tells nothing, so it does not. */
export function edgeStands({ waitsFor, ownerId, token }: DeadlockEdge, inspect: LockAuthority['inspect']): boolean {
  const inspection = inspect(waitsFor);
  if (inspection === undefined || !inspection.holders.some((holder) => holder.token === token)) return false;
  const { waiters, waiterCount } = inspection;
  return waiterCount > waiters.length || waiters.some((waiter) => waiter.ownerId === ownerId);
}
