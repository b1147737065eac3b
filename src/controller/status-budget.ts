import type { Clock } from '../system/clock.ts';
import type { Timers } from '../system/timers.ts';
import { TokenBucket } from '../kube/token-bucket.ts';

export interface StatusBudgetOptions {
  readonly clock: Clock;
  readonly timers: Timers;
  /** A key's turn has come: look at it, and write what has changed with `take`. Never called inside a call of this class. */
  readonly onTurn: (key: string) => void;
  /** Writes per second over all keys. Default 50. */
  readonly perSecond?: number | undefined;
  /** Shortest time between two writes for one key. Default 1,000 ms. */
  readonly gapMs?: number | undefined;
}

const PER_SECOND_DEFAULT = 50;
const GAP_MS_DEFAULT = 1_000;
/** Longer than any gap that a caller asks for. */
const KEEP_WRITES_MS = 60_000;
/** A key whose turn had nothing to write is not looked at again before this: queues that come and go do not become work. */
const LOOK_GAP_MS = 250;

/**
 * How often statuses may be written: at most once in `gapMs` for a key and `perSecond` for all, so that they never take the API
 * server's time from the writes that grant locks. What asks in between is folded: a key waits once, in order of its first
 * asking, and its writer sees the state of the moment when its turn comes, which is the latest. Nothing is lost but states that
 * were over before anybody could have read them.
 */
export class StatusBudget implements Disposable {
  readonly #options: StatusBudgetOptions;
  readonly #gapMs: number;
  /** Keys that wait for a turn, by first asking, with the moment before which their own gap forbids it. */
  readonly #waiting = new Map<string, number>();
  /** Keys whose turn has come and that have not taken it. */
  readonly #turns = new Set<string>();
  /** Keys asked for between their turn and its use: what the turn's writer looked at may be old by now. */
  readonly #askedInTurn = new Set<string>();
  /** Moment of each key's last write, and of its last turn that had nothing to write; forgotten when they matter no more. */
  readonly #wroteAtMs = new Map<string, number>();
  readonly #declinedAtMs = new Map<string, number>();
  readonly #bucket: TokenBucket;
  #timer: Disposable | undefined;
  #timerAtMs = Number.POSITIVE_INFINITY;
  #folded = 0;

  constructor(options: StatusBudgetOptions) {
    this.#options = options;
    this.#gapMs = options.gapMs ?? GAP_MS_DEFAULT;
    const perSecond = options.perSecond ?? PER_SECOND_DEFAULT;
    // A tenth of a second's worth may come at once; the rest flows in evenly, so that no second sees more than the rate.
    const burst = Math.max(1, perSecond / 10);
    this.#bucket = new TokenBucket(burst, Math.max(perSecond / 2, perSecond - burst), options.clock.monotonicMs());
  }

  /** Wishes that were folded into one that waited already. */
  get folded(): number {
    return this.#folded;
  }

  get waitingCount(): number {
    return this.#waiting.size;
  }

  /** The key may have changed: give it a turn, at once if the budget allows, no sooner than `gapMs` after its last write. */
  ask(key: string, gapMs: number = this.#gapMs): void {
    if (this.#turns.has(key)) {
      this.#folded++;
      this.#askedInTurn.add(key);
      return;
    }
    const notBeforeMs = this.#notBeforeMs(key, gapMs);
    const waitsUntilMs = this.#waiting.get(key);
    if (waitsUntilMs !== undefined) {
      this.#folded++;
      if (waitsUntilMs <= notBeforeMs) return;
    }
    this.#waiting.set(key, notBeforeMs);
    this.#arm(Math.max(notBeforeMs, this.#bucket.nextMs(this.#options.clock.monotonicMs())));
  }

  /** Whether a status may be written for the key now; true uses the turn up. If false, the key has been asked for. */
  take(key: string, gapMs: number = this.#gapMs): boolean {
    const nowMs = this.#options.clock.monotonicMs();
    if (!this.#turns.delete(key)) {
      const notBeforeMs = (this.#wroteAtMs.get(key) ?? Number.NEGATIVE_INFINITY) + gapMs;
      if (!this.#bucket.has(nowMs) || notBeforeMs > nowMs || this.#othersAreDue(nowMs)) {
        this.ask(key, gapMs);
        return false;
      }
      this.#bucket.take(nowMs);
      this.#waiting.delete(key);
    }
    note(this.#wroteAtMs, key, nowMs);
    if (this.#askedInTurn.delete(key)) this.ask(key, gapMs);
    return true;
  }

  /** Whether the key's last write was `gapMs` ago. */
  isDue(key: string, gapMs: number): boolean {
    return (this.#wroteAtMs.get(key) ?? Number.NEGATIVE_INFINITY) + gapMs <= this.#options.clock.monotonicMs();
  }

  /** The key needs no write: if it has a turn, another one may have it. */
  decline(key: string): void {
    if (!this.#turns.delete(key)) return;
    this.#bucket.giveBack();
    note(this.#declinedAtMs, key, this.#options.clock.monotonicMs());
    if (this.#askedInTurn.delete(key)) this.ask(key);
    if (this.#waiting.size > 0) this.#arm(this.#options.clock.monotonicMs());
  }

  [Symbol.dispose](): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#waiting.clear();
    this.#turns.clear();
    this.#askedInTurn.clear();
  }

  #notBeforeMs(key: string, gapMs: number): number {
    const wroteAtMs = this.#wroteAtMs.get(key) ?? Number.NEGATIVE_INFINITY;
    const declinedAtMs = this.#declinedAtMs.get(key) ?? Number.NEGATIVE_INFINITY;
    return Math.max(wroteAtMs + gapMs, declinedAtMs + LOOK_GAP_MS);
  }

  #othersAreDue(nowMs: number): boolean {
    for (const notBeforeMs of this.#waiting.values()) if (notBeforeMs <= nowMs) return true;
    return false;
  }

  #arm(atMs: number): void {
    if (atMs >= this.#timerAtMs) return;
    this.#timer?.[Symbol.dispose]();
    this.#timerAtMs = atMs;
    const { clock, timers } = this.#options;
    const delayMs = atMs - clock.monotonicMs();
    this.#timer = delayMs <= 0 ? timers.soon(() => this.#giveTurns()) : timers.after(delayMs, () => this.#giveTurns());
  }

  #giveTurns(): void {
    this.#timerAtMs = Number.POSITIVE_INFINITY;
    const nowMs = this.#options.clock.monotonicMs();
    forgetBefore(this.#wroteAtMs, nowMs - KEEP_WRITES_MS);
    forgetBefore(this.#declinedAtMs, nowMs - LOOK_GAP_MS);
    let earliestMs = Number.POSITIVE_INFINITY;
    for (const [key, notBeforeMs] of this.#waiting) {
      if (notBeforeMs > nowMs) {
        earliestMs = Math.min(earliestMs, notBeforeMs);
        continue;
      }
      if (!this.#bucket.take(nowMs)) {
        earliestMs = Math.min(earliestMs, this.#bucket.nextMs(nowMs));
        break;
      }
      this.#waiting.delete(key);
      this.#turns.add(key);
      this.#options.onTurn(key);
    }
    if (earliestMs < Number.POSITIVE_INFINITY) this.#arm(earliestMs);
  }
}

/** Moves the key to the end, so that the oldest come first. */
function note(moments: Map<string, number>, key: string, nowMs: number): void {
  moments.delete(key);
  moments.set(key, nowMs);
}

function forgetBefore(moments: Map<string, number>, beforeMs: number): void {
  for (const [key, atMs] of moments) {
    if (atMs > beforeMs) return;
    moments.delete(key);
  }
}
