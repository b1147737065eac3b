import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldReply } from '../../api/operations.ts';
import type { Mode } from '../../api/vocabulary.ts';
import type { ProgressMeter } from '../../system/clock.ts';
import { type Deadline, laterOf, leftMs } from './deadline.ts';

/** Who keeps a hold alive hears how it fares. */
export interface HoldWatcher {
  /** It was granted, renewed or declared anew. */
  onAcknowledged(): void;
  /** It is none any more: lost for this reason, or given back if there is none. */
  onEnded(lost: LockkeeperError | undefined): void;
}

/** A hold of this session, as the owners have acknowledged it. */
export class OwnHold {
  readonly key: string;
  readonly shard: number;
  readonly token: number;
  readonly ownerId: string;
  readonly mode: Mode;
  ttlMs: number;
  metadata: Readonly<Record<string, string>> | undefined;
  /** Takeover number of the owner that acknowledged it last. */
  epoch: number;
  deadline: Deadline;
  /** Acquires handed on and not yet released, counted here: the session's word on it is the one that counts. */
  depth: number;
  /** Given back or lost; late acknowledgements change nothing. One that only ran out here may still be renewed. */
  ended = false;
  /** Its declaration to a new owner is under way. */
  reclaiming = false;
  /** Answered to a caller who lives on without this process: such holds are saved for a restart. */
  kept = false;
  /** A renewal could not extend it by its whole time: it is at the end of its longest allowed life. */
  capped = false;
  watcher: HoldWatcher | undefined = undefined;
  /** Request ids, named by callers, that are counted in `depth`; at most 256, the oldest is forgotten first. */
  #countedIds: Set<string> | undefined = undefined;

  constructor(reply: HoldReply, shard: number, deadline: Deadline, depth: number) {
    this.key = reply.key;
    this.shard = shard;
    this.token = reply.token;
    this.ownerId = reply.ownerId;
    this.mode = reply.mode;
    this.ttlMs = reply.ttlMs;
    this.metadata = reply.metadata;
    this.epoch = reply.epoch;
    this.deadline = deadline;
    this.depth = depth;
  }

  /** Time left in ms until the holder must stop. */
  leftMs(meter: ProgressMeter): number {
    return leftMs(meter, this.deadline);
  }

  /**
   * Takes an acknowledgement over. Of the same owner's the one that leaves the most time counts, in whatever order they
   * come; a newer owner's reckoning replaces the older one.
   */
  acknowledge(meter: ProgressMeter, reply: HoldReply, deadline: Deadline): void {
    if (this.ended || reply.epoch < this.epoch) return;
    if (reply.epoch > this.epoch) {
      this.deadline = deadline;
      this.capped = false;
    } else this.deadline = laterOf(meter, this.deadline, deadline);
    this.epoch = reply.epoch;
    this.ttlMs = reply.ttlMs;
    this.metadata = reply.metadata;
    this.watcher?.onAcknowledged();
  }

  /** Counts one more acquire, unless it is the repetition of a counted one. False if it is. */
  count(callersRequestId: string | undefined): boolean {
    if (callersRequestId === undefined) {
      this.depth++;
      return true;
    }
    if (this.#countedIds?.has(callersRequestId) === true) return false;
    this.depth++;
    this.remember(callersRequestId);
    return true;
  }

  /** The acquire of this id is counted. */
  remember(callersRequestId: string): void {
    this.#countedIds ??= new Set();
    this.#countedIds.add(callersRequestId);
    if (this.#countedIds.size <= COUNTED_IDS_MAX) return;
    const [oldest] = this.#countedIds;
    if (oldest !== undefined) this.#countedIds.delete(oldest);
  }
}

const COUNTED_IDS_MAX = 256;
