import { readDurationMs } from './durations.ts';

/** A mistake in a scenario, as opposed to a fault of the engine: the message begins with the line. */
export class ScenarioError extends Error {
  override readonly name = 'ScenarioError';
}

/** Plain words, `name=value` pairs; a value with blanks stands in double quotes. */
const WORD = /([^\s"=]+)="([^"]*)"|([^\s"]+)/g;
const PAIR = /^([A-Za-z]+)=(.*)$/;

/**
 * One command of a scenario, as words and `name=value` pairs. A handler takes what it knows; whatever is left over is a
 * mistake, so that a misspelt option can never be ignored.
 */
export class Line {
  readonly text: string;
  readonly number: number;
  readonly #words: string[] = [];
  readonly #pairs = new Map<string, string>();

  constructor(text: string, number: number) {
    this.text = text;
    this.number = number;
    for (const [, quotedName, quotedValue, plain] of text.matchAll(WORD)) {
      const pair = plain === undefined ? undefined : PAIR.exec(plain);
      if (quotedName !== undefined) this.#pairs.set(quotedName, quotedValue as string);
      else if (pair) this.#pairs.set(pair[1] as string, pair[2] as string);
      else this.#words.push(plain as string);
    }
  }

  /** Stops the run: the scenario is wrong here. */
  fail(problem: string): never {
    throw new ScenarioError(`line ${this.number}: ${this.text}\n  ${problem}`);
  }

  /** The next word, which must be there. */
  word(what: string): string {
    return this.#words.shift() ?? this.fail(`${what} is missing`);
  }

  /** The next word if there is one. */
  wordIfAny(): string | undefined {
    return this.#words.shift();
  }

  /** Takes the next word if it is this one. */
  says(word: string): boolean {
    if (this.#words[0] !== word) return false;
    this.#words.shift();
    return true;
  }

  /** The value of a pair, if given. */
  pair(name: string): string | undefined {
    const value = this.#pairs.get(name);
    this.#pairs.delete(name);
    return value;
  }

  integer(name: string): number | undefined {
    const value = this.pair(name);
    if (value === undefined) return undefined;
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : this.fail(`${name} must be an integer`);
  }

  durationMs(name: string): number | undefined {
    const value = this.pair(name);
    return value === undefined
      ? undefined
      : (readDurationMs(value) ?? this.fail(`${name} must be like 250ms, 15s or 2m`));
  }

  /** One of a closed list of words. */
  choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
    const value = this.pair(name);
    if (value === undefined) return undefined;
    return choices.find((choice) => choice === value) ?? this.fail(`${name} must be one of ${choices.join(', ')}`);
  }

  /** To be called by every handler when it has taken everything. */
  end(): void {
    const rest = [...this.#words, ...this.#pairs.keys()];
    if (rest.length > 0) this.fail(`not understood: ${rest.join(', ')}`);
  }
}
