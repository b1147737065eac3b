/** What owners report agrees with what clients did: nothing ends twice, nothing is given back that nobody gave back. */
import type { Operation } from '../../../src/api/operations.ts';
import type { AuditEvent, EndedEvent } from '../../../src/engine/effects.ts';
import { Violation } from '../violation.ts';
import type { GrantBook } from './grant-book.ts';

export interface Tallies {
  grants: number;
  released: number;
  expired: number;
  forced: number;
  renewed: number;
  reentered: number;
  waits: number;
}

export class LedgerChecker {
  readonly #book: GrantBook;
  /** `key#token` that some client asked to give back for good. */
  readonly #wanted = new Set<string>();
  /** Ended in the present reign, by shard. */
  readonly #ended = new Map<number, Set<string>>();
  /** What each owner process reported, for comparison with its metrics. */
  readonly tallies = new Map<number, Tallies>();

  /** Holders that a late write of an earlier reign put on record. */
  readonly #again = new Set<string>();
  readonly #wasRecorded: (id: string) => boolean;

  constructor(book: GrantBook, wasRecorded: (id: string) => boolean) {
    this.#book = book;
    this.#wasRecorded = wasRecorded;
  }

  sent(operations: readonly Operation[]): void {
    for (const operation of operations) {
      if (operation.op !== 'release') continue;
      if (operation.disowned === true || (operation.leaveDepth ?? 0) === 0)
        this.#wanted.add(`${operation.key}#${operation.token}`);
    }
  }

  reignBegan(shard: number): void {
    this.#ended.delete(shard);
  }

  /** A late write of an earlier reign put these holders on record again: they may end once more. */
  recordedAgain(shard: number, ids: readonly string[]): void {
    for (const id of ids) this.#again.add(`${shard} ${id}`);
  }

  /** Of every owner, also of one that is none any more. */
  tally(ownerNumber: number, event: AuditEvent): void {
    let tallies = this.tallies.get(ownerNumber);
    if (tallies === undefined) {
      tallies = { grants: 0, released: 0, expired: 0, forced: 0, renewed: 0, reentered: 0, waits: 0 };
      this.tallies.set(ownerNumber, tallies);
    }
    if (event.type === 'granted') tallies.grants++;
    else if (event.type === 'renewed') tallies.renewed++;
    else if (event.type === 'reentered') tallies.reentered++;
    else if (event.type === 'queued') tallies.waits++;
    else if (event.type === 'ended' && event.acknowledged) {
      if (event.reason === 'expired' || event.reason === 'maxHold') tallies.expired++;
      else if (event.reason === 'forceReleased' || event.reason === 'orphaned') tallies.forced++;
      else tallies.released++;
    }
  }

  /** Of the owner that counts. */
  ended(shard: number, event: EndedEvent): void {
    const id = `${event.key}#${event.token}`;
    let ended = this.#ended.get(shard);
    if (ended === undefined) this.#ended.set(shard, (ended = new Set()));
    if (ended.has(id) && !this.#again.delete(`${shard} ${id}`))
      throw new Violation('audit-disagrees', `${id} ended twice`, [event.key, 'owner']);
    ended.add(id);
    // A holder that an earlier owner recorded and never told ends too.
    if (event.acknowledged && this.#book.find(event.key, event.token) === undefined && !this.#wasRecorded(id))
      throw new Violation('audit-disagrees', `${id} ended and was never granted`, [event.key, 'owner']);
    if (event.reason === 'released' && !this.#wanted.has(id))
      throw new Violation('release-of-live-hold', `${id} was released, and no client asked for it`, [
        event.key,
        'owner',
      ]);
  }
}
