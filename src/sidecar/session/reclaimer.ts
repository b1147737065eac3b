import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldReply } from '../../api/operations.ts';
import { ownDeadline, leftMs, type Deadline } from './deadline.ts';
import type { OwnHold } from './own-hold.ts';
import { ReclaimRequest, type ReclaimOutcome } from './reclaim-request.ts';
import type { SavedHold } from './saved-holds.ts';
import type { SessionCore } from './session-core.ts';

/** Pause before declarations that could not be answered are repeated, in ms, spread by half. */
const RETRY_MS = 200;

/** How the declaration of saved holds went. */
export interface Restored {
  /** Held again. */
  readonly restored: number;
  /** Gone meanwhile, or not answered while they could still live. */
  readonly refused: number;
}

/**
 * Declares holds to owners that do not know them: those of this session after a change of the owner, and saved ones after a
 * restart of this process. Says to an owner that everything is declared only once everything of its shard was answered.
 */
export class Reclaimer {
  readonly #core: SessionCore;
  /** Declarations not yet settled, by shard. */
  readonly #open = new Map<number, number>();
  /** Owners that wait to hear that everything of their shard is declared: the epoch of each, by shard. */
  readonly #owed = new Map<number, number>();
  #withheld: boolean;
  #retries: ReclaimRequest[] = [];
  #timer: Disposable | undefined = undefined;

  constructor(core: SessionCore, awaitsSaved: boolean) {
    this.#core = core;
    this.#withheld = awaitsSaved;
  }

  /** Saved holds are still to come. */
  get awaitsSaved(): boolean {
    return this.#withheld;
  }

  /** Declares the holds of these shards that their newest owners have not acknowledged. */
  onOwnersChanged(shards: ReadonlySet<number>): void {
    const { table, client, meter } = this.#core;
    for (const shard of shards) {
      const epoch = client.epochOf(shard);
      if (epoch !== undefined) this.#owed.set(shard, epoch);
    }
    this.#askAgain();
    for (const hold of table) {
      const epoch = client.epochOf(hold.shard);
      if (epoch === undefined || hold.epoch >= epoch || !shards.has(hold.shard)) continue;
      if (!hold.reclaiming && hold.leftMs(meter) > 0) this.#declare(hold);
    }
    this.#completeWhatIsDone();
  }

  /** Declares a hold at once that waits for another try, so that what is asked next finds it. */
  hurry(hold: OwnHold): void {
    if (hold.reclaiming) this.#askAgain();
  }

  /** Declares saved holds; what is not answered is not held. `onRestored` gets each hold that is. */
  restore(saved: readonly SavedHold[], onRestored: (hold: OwnHold, saved: SavedHold) => void): Promise<Restored> {
    this.#withheld = false;
    let restored = 0;
    let unsettled = saved.length;
    return new Promise((resolve) => {
      const settle = () => {
        if (--unsettled === 0) resolve({ restored, refused: saved.length - restored });
      };
      for (const one of saved) {
        const until = ownDeadline(this.#core.meter, one.ttlMs);
        const request = this.#ask(one, until, {
          isWanted: () => true,
          onReclaimed: (reply) => {
            restored++;
            onRestored(this.#takeUp(reply, one), one);
            settle();
          },
          onFailed: settle,
        });
        this.#core.client.ask(request);
      }
      if (saved.length === 0) resolve({ restored: 0, refused: 0 });
      this.#completeWhatIsDone();
    });
  }

  close(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#retries = [];
  }

  #declare(hold: OwnHold): void {
    hold.reclaiming = true;
    const { table, meter, client } = this.#core;
    const request = this.#ask(hold, hold.deadline, {
      isWanted: () => !hold.ended,
      onReclaimed: (reply) => {
        hold.reclaiming = false;
        hold.acknowledge(meter, reply, client.deadlineOf(reply));
      },
      onFailed: (failure) => {
        hold.reclaiming = false;
        table.end(hold, failure);
      },
    });
    client.ask(request);
  }

  /** The declaration, repeated until it is answered for good or cannot be of use any more. */
  #ask(declared: OwnHold | SavedHold, until: Deadline, outcome: ReclaimOutcome): ReclaimRequest {
    const { client, meter } = this.#core;
    const shard = client.shardOf(declared.key);
    this.#open.set(shard, (this.#open.get(shard) ?? 0) + 1);
    const settled = (tell: () => void) => {
      const left = (this.#open.get(shard) ?? 0) - 1;
      if (left > 0) this.#open.set(shard, left);
      else this.#open.delete(shard);
      tell();
      this.#completeWhatIsDone();
    };
    const request: ReclaimRequest = new ReclaimRequest(declared, {
      isWanted: () => {
        const wanted = outcome.isWanted();
        if (!wanted) settled(() => {});
        return wanted;
      },
      onReclaimed: (reply) => settled(() => outcome.onReclaimed(reply)),
      onFailed: (failure: LockkeeperError) => {
        if (!failure.retryable || client.closed || leftMs(meter, until) <= 0) settled(() => outcome.onFailed(failure));
        else this.#retryLater(request);
      },
    });
    return request;
  }

  #takeUp(reply: HoldReply, { depth }: SavedHold): OwnHold {
    const { table, client, meter } = this.#core;
    const deadline = client.deadlineOf(reply);
    const known = table.find(reply.key, reply.token);
    if (known === undefined) return table.insert(reply, deadline, depth);
    known.acknowledge(meter, reply, deadline);
    return known;
  }

  #retryLater(request: ReclaimRequest): void {
    const { timers, random } = this.#core;
    this.#retries.push(request);
    this.#timer ??= timers.after(RETRY_MS * (0.5 + random.fraction()), () => this.#askAgain());
  }

  #askAgain(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    const retries = this.#retries;
    this.#retries = [];
    for (const request of retries) if (request.onOwnerChange()) this.#core.client.ask(request);
  }

  #completeWhatIsDone(): void {
    if (this.#withheld) return;
    for (const [shard, epoch] of this.#owed) {
      if (this.#open.has(shard)) continue;
      this.#owed.delete(shard);
      this.#core.client.reclaimComplete(shard, epoch);
    }
  }
}
