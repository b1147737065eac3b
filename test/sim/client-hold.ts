/** What a client believes to hold, and until when: rule 2, on the client's own clocks. */
import type { HoldReply } from '../../src/api/operations.ts';
import { holderMarginMs } from '../../src/api/limits.ts';
import type { Mode } from '../../src/api/vocabulary.ts';
import type { Mark } from '../../src/system/clock.ts';
import type { Belief } from './belief.ts';
import type { SimClient } from './sim-client.ts';

interface Deadline {
  readonly mark: Mark;
  /** True time of the same moment; the client does not know it. */
  readonly trueMs: number;
  readonly validMs: number;
}

export class ClientHold implements Belief {
  readonly client: SimClient;
  readonly key: string;
  readonly token: number;
  readonly ownerId: string;
  readonly mode: Mode;
  ttlMs: number;
  /** Uses by the client's own flows. */
  depth = 0;
  epoch: number;
  ended = false;
  #deadline: Deadline;

  constructor(client: SimClient, reply: HoldReply, deadline: Deadline) {
    this.client = client;
    this.key = reply.key;
    this.token = reply.token;
    this.ownerId = reply.ownerId;
    this.mode = reply.mode;
    this.ttlMs = reply.ttlMs;
    this.epoch = reply.epoch;
    this.#deadline = deadline;
  }

  get holderName(): string {
    return this.client.name;
  }

  /** The later deadline counts: what was promised once is not taken back by another answer. */
  acknowledge(reply: HoldReply, deadline: Deadline): void {
    this.epoch = Math.max(this.epoch, reply.epoch);
    this.ttlMs = reply.ttlMs;
    if (this.#leftOf(deadline) > this.#leftOf(this.#deadline)) this.#deadline = deadline;
  }

  get leftMs(): number {
    return this.#leftOf(this.#deadline);
  }

  /** Whether the client would work under it at this moment. */
  get isBelieved(): boolean {
    return !this.ended && !this.client.isGone && this.leftMs > 0;
  }

  /** Both clocks of the client stood still or went back: nothing is promised then but tokens. */
  isBlindAt(trueMs: number): boolean {
    const elapsedMs = this.client.meter.elapsedSince(this.#deadline.mark);
    return elapsedMs < (trueMs - this.#deadline.trueMs) * 0.99 - 5;
  }

  #leftOf({ mark, validMs }: Deadline): number {
    return validMs - this.client.meter.elapsedSince(mark);
  }
}

export function deadlineOf(mark: Mark, trueMs: number, remainingMs: number): Deadline {
  return { mark, trueMs, validMs: remainingMs - holderMarginMs(remainingMs) };
}
