import type { LockkeeperError } from '../../api/codes.ts';
import type { HoldEvent } from '../../api/responses.ts';

/** An event that has not been read. What changes with time is filled in when it is. */
export type UnreadEvent =
  | { readonly event: 'queued'; readonly position: number }
  | { readonly event: 'granted' }
  | { readonly event: 'ping' }
  | { readonly event: 'jeopardy' }
  | { readonly event: 'lost'; readonly failure: LockkeeperError };

/**
 * The events of one `:hold` stream that were not read yet: at most one of each kind, in the order in which they mean
 * something. A reader who lags misses pings, nothing else.
 */
export class HoldEvents {
  #queued: number | undefined = undefined;
  #granted = false;
  #jeopardy = false;
  #ping = false;
  #lost: LockkeeperError | undefined = undefined;

  queued(position: number): void {
    this.#queued = position;
  }

  granted(): void {
    this.#granted = true;
  }

  ping(): void {
    this.#ping = true;
  }

  /** A ping before it says nothing any more. */
  jeopardy(): void {
    this.#jeopardy = true;
    this.#ping = false;
  }

  /** The last one; how the hold fared before is no news any more, but that it was granted is. */
  lost(failure: LockkeeperError): void {
    this.#lost ??= failure;
    this.#jeopardy = false;
    this.#ping = false;
  }

  take(): UnreadEvent | undefined {
    if (this.#queued !== undefined) {
      const position = this.#queued;
      this.#queued = undefined;
      return { event: 'queued', position };
    }
    if (this.#granted) {
      this.#granted = false;
      return { event: 'granted' };
    }
    if (this.#jeopardy) {
      this.#jeopardy = false;
      return { event: 'jeopardy' };
    }
    if (this.#ping) {
      this.#ping = false;
      return { event: 'ping' };
    }
    const failure = this.#lost;
    this.#lost = undefined;
    return failure && { event: 'lost', failure };
  }
}

export function lostEvent({ code, message, details }: LockkeeperError): HoldEvent {
  return { event: 'lost', code, message, details };
}
