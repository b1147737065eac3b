/** What an application believes to hold: `validForMs` counted from when it sent the request that was answered with it. */
import type { Mode } from '../../../src/api/vocabulary.ts';
import type { Mark } from '../../../src/system/clock.ts';
import type { Belief } from '../belief.ts';
import type { Pod } from './pod.ts';

/** A deadline counts from a frame that the owner had seen; a waiting session sends several of them a second. */
const RECKONED_BEFORE_MS = 15_000;

/** The moment at which an application sent a request. */
export interface Sent {
  readonly mark: Mark;
  /** True time of the same moment; the application does not know it. */
  readonly trueMs: number;
}

export class AppHold implements Belief {
  readonly pod: Pod;
  readonly key: string;
  readonly token: number;
  readonly ownerId: string;
  readonly mode: Mode;
  /** Sections of the application that use it. */
  uses = 0;
  ended = false;
  readonly #beganAtMs: number;
  #sent: Sent;
  #validForMs: number;

  constructor(pod: Pod, told: Pick<Belief, 'key' | 'token' | 'ownerId' | 'mode'>, sent: Sent, validForMs: number) {
    this.pod = pod;
    this.key = told.key;
    this.token = told.token;
    this.ownerId = told.ownerId;
    this.mode = told.mode;
    this.#beganAtMs = sent.trueMs;
    this.#sent = sent;
    this.#validForMs = validForMs;
  }

  get holderName(): string {
    return this.pod.name;
  }

  /** The later deadline counts. */
  acknowledge(sent: Sent, validForMs: number): void {
    if (validForMs - this.pod.meter.elapsedSince(sent.mark) <= this.leftMs) return;
    this.#sent = sent;
    this.#validForMs = validForMs;
  }

  get leftMs(): number {
    return this.#validForMs - this.pod.meter.elapsedSince(this.#sent.mark);
  }

  get isBelieved(): boolean {
    return !this.ended && this.leftMs > 0;
  }

  /** The sidecar's own reckoning may have begun before the request that it was told with. */
  isBlindAt(trueMs: number): boolean {
    if (this.pod.stoodStillSince(this.#beganAtMs - RECKONED_BEFORE_MS)) return true;
    return this.pod.meter.elapsedSince(this.#sent.mark) < (trueMs - this.#sent.trueMs) * 0.99 - 5;
  }
}
