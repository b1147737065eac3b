const LINE_FEED = 0x0a;

/** A line was longer than allowed. */
export class LineTooLong extends Error {}

/**
 * Cuts a stream of bytes into lines, wherever its chunks are split: also within a character. Empty lines are left out. What
 * follows the last line feed is kept until the rest of it comes.
 */
export class LineSplitter {
  readonly #lineBytesMax: number;
  #parts: Buffer[] = [];
  #bytes = 0;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  /** The lines that this chunk completes. Throws `LineTooLong`; the stream is of no use then. */
  *split(chunk: Buffer): Generator<string> {
    let start = 0;
    for (let end = chunk.indexOf(LINE_FEED); end !== -1; end = chunk.indexOf(LINE_FEED, start)) {
      this.#add(chunk.subarray(start, end));
      start = end + 1;
      const line = this.#parts.length === 1 ? (this.#parts[0] as Buffer) : Buffer.concat(this.#parts);
      this.#parts = [];
      this.#bytes = 0;
      if (line.length > 0) yield line.toString('utf8');
    }
    this.#add(chunk.subarray(start));
  }

  #add(part: Buffer): void {
    if (part.length === 0) return;
    this.#bytes += part.length;
    if (this.#bytes > this.#lineBytesMax) throw new LineTooLong(`a line has more than ${this.#lineBytesMax} bytes`);
    this.#parts.push(part);
  }
}
