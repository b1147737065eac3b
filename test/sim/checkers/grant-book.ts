/** Every ownership that any owner process ever decided and told, by key and token. */
import type { GrantedEvent } from '../../../src/engine/effects.ts';

export interface Grant {
  readonly event: GrantedEvent;
  readonly ownerNumber: number;
  readonly atMs: number;
  /** Places that the policy gave at that moment. */
  readonly permits: number;
  /** Highest token of this lock that any client had been told by then. */
  readonly tokenFloor: number;
  toldToClient: boolean;
  /** Exclusion is not promised any more: ended by force, or its record was destroyed from outside. */
  isVoid: boolean;
  /** Epoch in which it was ended by force, on record; 0 if it was not. */
  forcedInEpoch: number;
  /** Its client was told so. */
  wasToldLost: boolean;
  /** Epoch in which it ended last, for whatever reason; 0 if it never did. */
  endedInEpoch: number;
  /** A twin of its client spoke for it: it may leave with the twin. */
  isShared: boolean;
}

export class GrantBook {
  readonly #grants = new Map<string, Map<number, Grant>>();

  add(grant: Grant): void {
    const { key, token } = grant.event;
    let ofKey = this.#grants.get(key);
    if (ofKey === undefined) this.#grants.set(key, (ofKey = new Map()));
    ofKey.set(token, grant);
  }

  find(key: string, token: number): Grant | undefined {
    return this.#grants.get(key)?.get(token);
  }

  /** A forced end up to this token is on record, told or not. */
  voidUpTo(key: string, floor: number): void {
    for (const [token, grant] of this.#grants.get(key) ?? []) if (token <= floor) grant.isVoid = true;
  }

  /** What was promised until now is not promised any more, as far as `which` says. */
  void(which: (key: string) => boolean): void {
    for (const [key, ofKey] of this.#grants) if (which(key)) for (const grant of ofKey.values()) grant.isVoid = true;
  }
}
