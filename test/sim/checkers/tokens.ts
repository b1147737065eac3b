/** Tokens only grow, per lock, across everything; one token is one ownership; what was given back is never handed out again. */
import type { LockRecord } from '../../../src/engine/records.ts';
import { Violation } from '../violation.ts';
import type { Grant, GrantBook } from './grant-book.ts';

/** A hold as its holder hears of it. */
export interface ToldHold {
  readonly key: string;
  readonly token: number;
  readonly ownerId: string;
}

export class TokenChecker {
  readonly #book: GrantBook;
  /** Highest token told to any client, by key. */
  readonly #told = new Map<string, number>();
  /** `key#token` that its client has given back for good, and when that was acknowledged. */
  readonly #released = new Map<string, number>();
  /** Who a token was written for in any attempt. */
  readonly #attempted = new Map<string, string>();
  /** Highest counter that stood on each lock's Lease. */
  readonly #counters = new Map<string, number>();

  constructor(book: GrantBook) {
    this.#book = book;
  }

  floorOf(key: string): number {
    return this.#told.get(key) ?? 0;
  }

  granted(grant: Grant): void {
    const { key, token, principal, ownerId } = grant.event;
    const known = this.#book.find(key, token);
    if (known === undefined) return;
    // An adopted or reclaimed hold is granted once; a second grant of its number is another ownership.
    throw new Violation(
      'token-unique',
      `${key} #${token} was granted to ${known.event.principal} ${known.event.ownerId} and then to ${principal} ${ownerId}`,
      [key, 'owner'],
    );
  }

  told(reply: ToldHold, askedAtMs: number | undefined): void {
    const { key, token, ownerId } = reply;
    const grant = this.#book.find(key, token);
    if (grant === undefined)
      throw new Violation('audit-disagrees', `a client was told ${key} #${token}, which no owner ever granted`, [key]);
    if (grant.event.ownerId !== ownerId)
      throw new Violation(
        'token-unique',
        `${key} #${token} was told to ${ownerId}, granted to ${grant.event.ownerId}`,
        [key],
      );
    if (!grant.toldToClient && token <= grant.tokenFloor)
      throw new Violation(
        'token-order',
        `${key} #${token} was granted after a client had been told #${grant.tokenFloor}`,
        [key, 'owner'],
      );
    grant.toldToClient = true;
    this.#told.set(key, Math.max(token, this.floorOf(key)));
    const releasedAtMs = this.#released.get(`${key}#${token}`);
    if (releasedAtMs !== undefined && askedAtMs !== undefined && askedAtMs > releasedAtMs)
      throw new Violation(
        'token-after-release',
        `${key} #${token} was given back, then handed out again to ${ownerId}`,
        [key, 'owner'],
      );
  }

  released(key: string, token: number, atMs: number): void {
    this.#released.set(`${key}#${token}`, atMs);
  }

  /** A number in any attempt is spent: it never stands for another owner, whatever became of the attempt. */
  attempted({ key, holders }: LockRecord): void {
    for (const { token, principal, ownerId } of holders) {
      const id = `${key}#${token}`;
      const who = `${principal} ${ownerId}`;
      const before = this.#attempted.get(id);
      if (before !== undefined && before !== who)
        throw new Violation('token-unique', `${id} was written for ${before} and then for ${who}`, [key, 'owner']);
      this.#attempted.set(id, who);
    }
  }

  landed({ key, counter }: LockRecord, isDisturbed: boolean): void {
    const before = this.#counters.get(key) ?? 0;
    if (counter < before && !isDisturbed)
      throw new Violation('token-order', `the counter of ${key} went from ${before} to ${counter}`, [key, 'owner']);
    this.#counters.set(key, Math.max(before, counter));
  }
}
