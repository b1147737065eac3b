import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldReply } from '../../api/operations.ts';
import type { Released } from '../../api/responses.ts';
import { type Deadline, leftMs } from './deadline.ts';
import { retryAfterMsOf } from './failures.ts';
import type { OwnHold } from './own-hold.ts';
import { ReleaseRequest, type ReleaseTerms } from './release-request.ts';
import type { SessionCore } from './session-core.ts';

/** Pauses before an unanswered or refused giving-back is repeated, in ms. */
const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 2_000;

/**
 * Gives holds back. A hold leaves the table before its release is sent, so that it is never declared or renewed again.
 */
export class Releaser {
  readonly #core: SessionCore;

  constructor(core: SessionCore) {
    this.#core = core;
  }

  /** Gives back one depth for a caller. Rejects with what the owner said. */
  release(key: string, token: number, ownerId: string | undefined): Promise<Released> {
    const hold = this.#core.table.find(key, token);
    return new Promise((resolve, reject) => {
      const run = () => this.#release(key, token, ownerId, resolve, reject);
      if (hold === undefined) run();
      else this.#core.lanes.whenSettled(key, hold.ownerId, run);
    });
  }

  /**
   * Gives back one depth that nobody uses any more, repeating it until the hold has run out. `unread`: its grant was handed
   * to nobody.
   */
  giveBack(hold: OwnHold, unread: boolean): void {
    this.#core.lanes.whenSettled(hold.key, hold.ownerId, () => {
      if (hold.ended) return;
      this.#takeDepth(hold);
      const { key, token, ownerId, depth, deadline } = hold;
      this.#insist({ key, token, ownerId, leaveDepth: depth, disowned: unread && depth === 0, hold }, deadline);
    });
  }

  /** Gives back a hold that is not in the table: its grant came too late for the one who asked. */
  disown(reply: HoldReply, deadline: Deadline): void {
    const { key, token, ownerId } = reply;
    this.#core.endedTokens.add(key, token);
    this.#insist({ key, token, ownerId, leaveDepth: 0, disowned: true, hold: undefined }, deadline);
  }

  #release(
    key: string,
    token: number,
    ownerId: string | undefined,
    resolve: (released: Released) => void,
    reject: (failure: LockkeeperError) => void,
  ): void {
    const found = this.#core.table.find(key, token);
    // Somebody else's name is refused by the owner; here it must not take anything away.
    const hold = found !== undefined && (ownerId === undefined || ownerId === found.ownerId) ? found : undefined;
    if (hold !== undefined) this.#takeDepth(hold);
    const leaveDepth = hold?.depth;
    const answer = (depth: number) => resolve({ released: depth === 0, depth });
    this.#core.client.ask(
      new ReleaseRequest(
        this.#core,
        { key, token, ownerId, leaveDepth, disowned: false, hold },
        {
          onReleased: (depth) => answer(leaveDepth ?? depth),
          onFailed: (failure) => {
            if (hold !== undefined) this.#undo(hold, failure);
            reject(failure);
          },
        },
      ),
    );
  }

  #takeDepth(hold: OwnHold): void {
    const { table, lanes, endedTokens } = this.#core;
    hold.depth--;
    if (hold.depth > 0) return;
    table.end(hold);
    // The grant that made this hold may itself still be on its way: it was overtaken by the answer to a re-entry.
    if (lanes.isUsed(hold.key, hold.ownerId)) endedTokens.add(hold.key, hold.token);
  }

  /** An outer section that was not left is still there. A whole hold that was given up stays given up. */
  #undo(hold: OwnHold, failure: LockkeeperError): void {
    if (hold.ended) return;
    if (failure.code === 'UNAVAILABLE') hold.depth++;
    else if (failure.code === 'NOT_HELD') this.#core.table.end(hold, failure);
  }

  /** Repeats a release until it is answered, refused for good, or needed no more. */
  #insist(terms: ReleaseTerms, deadline: Deadline, pauseMs = RETRY_MS_MIN): void {
    const { client, timers, meter } = this.#core;
    const onFailed = (failure: LockkeeperError) => {
      if (!failure.retryable || client.closed || leftMs(meter, deadline) <= 0) return;
      const delayMs = Math.min(RETRY_MS_MAX, Math.max(pauseMs, retryAfterMsOf(failure)));
      timers.after(delayMs, () => {
        if (!client.closed) this.#insist(terms, deadline, Math.min(RETRY_MS_MAX, pauseMs * 2));
      });
    };
    client.ask(new ReleaseRequest(this.#core, terms, { onReleased: () => {}, onFailed }));
  }
}
