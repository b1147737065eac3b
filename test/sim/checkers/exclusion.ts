/**
 * At most one valid hold beyond mode and permits. Judged by what clients believe: from the receipt of a grant until its
 * deadline by rule 2, on the client's own clocks. Two beliefs overlap only if one begins while the other lasts, so it is
 * enough to look when one begins; and no owner may free what somebody still believes to hold.
 */
import type { EndedEvent } from '../../../src/engine/effects.ts';
import type { Belief } from '../belief.ts';
import { Violation } from '../violation.ts';
import type { Grant, GrantBook } from './grant-book.ts';

export class ExclusionChecker {
  readonly #book: GrantBook;
  readonly #beliefs = new Map<string, Set<Belief>>();
  readonly #onTogether: (mode: 'shared' | 'exclusive') => void;

  constructor(book: GrantBook, onTogether: (mode: 'shared' | 'exclusive') => void) {
    this.#book = book;
    this.#onTogether = onTogether;
  }

  /** A client begins to believe, or begins again after its deadline. */
  begins(hold: Belief, trueMs: number): void {
    const believed = this.#believedOf(hold.key);
    believed.add(hold);
    const counted: { readonly hold: Belief; readonly grant: Grant }[] = [];
    const tokens = new Set<number>();
    for (const other of believed) {
      const grant = this.#book.find(other.key, other.token);
      if (grant === undefined || grant.isVoid || other.isBlindAt(trueMs) || tokens.has(other.token)) continue;
      tokens.add(other.token);
      counted.push({ hold: other, grant });
    }
    const exclusive = counted.filter(({ grant }) => grant.event.mode === 'exclusive');
    const sharedCount = counted.length - exclusive.length;
    const newest = exclusive.reduce<Grant | undefined>(
      (latest, { grant }) => (latest === undefined || grant.event.token > latest.event.token ? grant : latest),
      undefined,
    );
    if (exclusive.length > (newest?.permits ?? 1) || (sharedCount > 0 && exclusive.length > 0)) {
      const who = counted.map(({ hold: each }) => `${each.holderName} ${each.ownerId} ${each.mode} #${each.token}`);
      throw new Violation('mutual-exclusion', `${hold.key} is held by ${who.join(' and ')} at once`, [
        hold.key,
        'owner',
        ...counted.map(({ hold: each }) => `${each.holderName} `),
      ]);
    }
    if (sharedCount > 1) this.#onTogether('shared');
    if (exclusive.length > 1) this.#onTogether('exclusive');
  }

  /** The owner that counts ended a hold: nobody may believe in it any more. */
  ended(event: EndedEvent, trueMs: number): void {
    for (const hold of this.#believedOf(event.key)) {
      if (hold.token !== event.token || hold.isBlindAt(trueMs)) continue;
      const grant = this.#book.find(hold.key, hold.token);
      if (grant === undefined || grant.isVoid) continue;
      // It followed the twin that last spoke for it, and left with that one.
      if (grant.isShared && event.reason === 'goodbye') {
        grant.isVoid = true;
        continue;
      }
      throw new Violation(
        'mutual-exclusion',
        `${event.key} #${event.token} was freed (${event.reason}) while ${hold.holderName} believes in it for ${hold.leftMs.toFixed(0)} ms more`,
        [event.key, 'owner', `${hold.holderName} `],
      );
    }
  }

  #believedOf(key: string): Set<Belief> {
    let beliefs = this.#beliefs.get(key);
    if (beliefs === undefined) this.#beliefs.set(key, (beliefs = new Set()));
    for (const hold of beliefs) if (!hold.isBelieved) beliefs.delete(hold);
    return beliefs;
  }
}
