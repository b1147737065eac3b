import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldReply } from '../../api/operations.ts';
import type { ProgressMeter } from '../../system/clock.ts';
import type { Timers } from '../../system/timers.ts';
import type { Deadline } from './deadline.ts';
import { OwnHold } from './own-hold.ts';

/** Between two looks for holds that ran out, while there are any. */
const SWEEP_EVERY_MS = 1_000;
/** A look takes at least this many, and at least an eighth of all: none is overlooked for longer than 8 s. */
const SWEEP_MIN = 256;
const SWEEP_PART = 8;

/**
 * The holds of this session by key and token. Every answer about a hold looks at its deadline, so the sweep only keeps the
 * table from growing with holds that nobody released.
 */
export class HoldTable {
  readonly #meter: ProgressMeter;
  readonly #timers: Timers;
  readonly #shardOf: (key: string) => number;
  /** A lone hold of a key as it is, several by token. */
  readonly #byKey = new Map<string, OwnHold | Map<number, OwnHold>>();
  #size = 0;
  #sweep: Disposable | undefined = undefined;
  #cursor: Iterator<OwnHold> | undefined = undefined;

  constructor(meter: ProgressMeter, timers: Timers, shardOf: (key: string) => number) {
    this.#shardOf = shardOf;
    this.#meter = meter;
    this.#timers = timers;
  }

  get size(): number {
    return this.#size;
  }

  find(key: string, token: number): OwnHold | undefined {
    const found = this.#byKey.get(key);
    if (found instanceof OwnHold) return found.token === token ? found : undefined;
    return found?.get(token);
  }

  /** Adds a hold that is not in the table. */
  insert(reply: HoldReply, deadline: Deadline, depth: number): OwnHold {
    const hold = new OwnHold(reply, this.#shardOf(reply.key), deadline, depth);
    this.restore(hold);
    return hold;
  }

  /** Puts back a hold that had run out here and was renewed all the same. */
  restore(hold: OwnHold): void {
    const found = this.#byKey.get(hold.key);
    if (found === undefined) this.#byKey.set(hold.key, hold);
    else if (found instanceof OwnHold)
      this.#byKey.set(
        hold.key,
        new Map([
          [found.token, found],
          [hold.token, hold],
        ]),
      );
    else found.set(hold.token, hold);
    this.#size++;
    this.#sweep ??= this.#timers.after(SWEEP_EVERY_MS, () => this.#sweepSome());
  }

  /** The hold is given back, or lost for this reason. */
  end(hold: OwnHold, lost?: LockkeeperError): void {
    if (hold.ended) return;
    hold.ended = true;
    this.#drop(hold);
    hold.watcher?.onEnded(lost);
  }

  *[Symbol.iterator](): IterableIterator<OwnHold> {
    for (const found of this.#byKey.values()) {
      if (found instanceof OwnHold) yield found;
      else yield* found.values();
    }
  }

  close(): void {
    this.#sweep?.[Symbol.dispose]();
    this.#sweep = undefined;
  }

  #drop(hold: OwnHold): void {
    const found = this.#byKey.get(hold.key);
    if (found === hold) this.#byKey.delete(hold.key);
    else if (found instanceof Map && found.get(hold.token) === hold) {
      found.delete(hold.token);
      if (found.size === 0) this.#byKey.delete(hold.key);
    } else return;
    this.#size--;
  }

  /** Takes up where it left off. What somebody watches is left to that one. */
  #sweepSome(): void {
    this.#sweep = undefined;
    this.#cursor ??= this[Symbol.iterator]();
    for (let rest = Math.max(SWEEP_MIN, this.#size / SWEEP_PART); rest > 0; rest--) {
      const next = this.#cursor.next();
      if (next.done === true) {
        this.#cursor = undefined;
        break;
      }
      const hold = next.value;
      if (hold.watcher === undefined && hold.leftMs(this.#meter) <= 0) this.#drop(hold);
    }
    if (this.#size > 0) this.#sweep = this.#timers.after(SWEEP_EVERY_MS, () => this.#sweepSome());
  }
}
