/** Drawn from one number: small numbers, and with them small choices, are the simple cases. */
export class Draw {
  #rest: number;

  constructor(number: number) {
    this.#rest = number;
  }

  /** A whole number from 0. */
  below(count: number): number {
    const drawn = this.#rest % count;
    this.#rest = Math.floor(this.#rest / count);
    return drawn;
  }

  /** One of these, the first the simplest. */
  of<T>(choices: readonly T[]): T {
    return choices[this.below(choices.length)] as T;
  }

  /** One of these; `undefined` if there are none. */
  from<T>(choices: readonly T[]): T | undefined {
    return choices[this.below(256) % Math.max(1, choices.length)];
  }
}

/** Leaves out whatever is not needed for the failure: halves, then quarters, and so on down to single commands. */
export function shrunk(numbers: readonly number[], fails: (fewer: readonly number[]) => boolean): readonly number[] {
  let left = numbers;
  for (let size = left.length >> 1; size > 0; size >>= 1) {
    for (let from = 0; from < left.length; ) {
      const fewer = [...left.slice(0, from), ...left.slice(from + size)];
      if (fails(fewer)) left = fewer;
      else from += size;
    }
  }
  return left;
}
