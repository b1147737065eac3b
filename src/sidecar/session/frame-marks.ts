import type { Mark } from '../../system/clock.ts';

/** Frames sent within this time of each other share one mark, the first one's: a deadline loses at most as much. */
const SLOT_MS = 4;
/** Marks kept: over a minute under the heaviest traffic, hours at one frame a second. */
const SLOTS = 16_384;

/**
 * When each frame was sent, so that a deadline can be counted from the send of the frame that the owner had seen. Bounded:
 * the oldest marks are forgotten, and a frame without a mark gives no time at all. Every answer is the frame's own mark or an
 * earlier one, on both clocks.
 */
export class FrameMarks {
  readonly #firstFrames = new Float64Array(SLOTS);
  readonly #monotonicMs = new Float64Array(SLOTS);
  readonly #wallMs = new Float64Array(SLOTS);
  #count = 0;

  /** Frames come in ascending order. Call it before the frame is sent. */
  record(frame: number, mark: Mark): void {
    const newest = this.#slotOf(this.#count - 1);
    if (this.#count > 0 && mark.monotonicMs - (this.#monotonicMs[newest] ?? 0) < SLOT_MS) {
      // A wall clock set back within the slot would make the shared mark a later one.
      this.#wallMs[newest] = Math.min(this.#wallMs[newest] ?? 0, mark.wallMs);
      return;
    }
    const slot = this.#slotOf(this.#count);
    this.#firstFrames[slot] = frame;
    this.#monotonicMs[slot] = mark.monotonicMs;
    this.#wallMs[slot] = mark.wallMs;
    this.#count++;
  }

  /**
   * The mark from which a time set after `frame` was processed may be counted; `undefined` if it is not known any more. A
   * number above the newest frame's counts as the newest: whoever names it has seen that one too.
   */
  of(frame: number): Mark | undefined {
    let low = Math.max(0, this.#count - SLOTS);
    let high = this.#count - 1;
    if (high < low || frame < this.#firstFrame(low)) return undefined;
    if (frame >= this.#firstFrame(high)) low = high;
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if (this.#firstFrame(middle) <= frame) low = middle;
      else high = middle - 1;
    }
    const slot = this.#slotOf(low);
    return { monotonicMs: this.#monotonicMs[slot] ?? 0, wallMs: this.#wallMs[slot] ?? 0 };
  }

  #firstFrame(position: number): number {
    return this.#firstFrames[this.#slotOf(position)] ?? 0;
  }

  #slotOf(position: number): number {
    return position % SLOTS;
  }
}
