import type { ServerResponse } from 'node:http';
import type { LockkeeperError } from '../../api/codes.ts';
import type { CallContext } from '../calls.ts';
import type { Target } from './target.ts';

/**
 * One request under way, and the context that the calls behind it see.
 *
 * `signal` aborts when the connection closes, or when the endpoint shuts down, before the answer was handed to the
 * transport. After that it never aborts: the caller may have read its grant, and a grant that may have been read is not
 * taken back by a disconnect. The reason is always a LockkeeperError, UNAVAILABLE with `details.reason` `callerGone` or
 * `shuttingDown`, so that a call may simply reject with it.
 */
export class LiveCall implements CallContext {
  readonly receivedAtMs: number;
  readonly target: Target;
  readonly response: ServerResponse;
  #answered = false;
  #reason: LockkeeperError | undefined;
  /** Made when somebody asks: most calls are over before anybody would listen. */
  #controller: AbortController | undefined;

  constructor(target: Target, response: ServerResponse, receivedAtMs: number) {
    this.target = target;
    this.response = response;
    this.receivedAtMs = receivedAtMs;
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController();
    if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    return this.#controller.signal;
  }

  /** The id of the lock in the path; the guards have checked it. */
  get lockId(): string {
    return this.target.lockId ?? '';
  }

  /** The answer is being handed to the transport now. One that waits behind an earlier answer of its connection is not. */
  markAnswered(): void {
    if (this.response.socket !== null) this.#answered = true;
  }

  abort(reason: LockkeeperError): void {
    if (this.#answered || this.#reason !== undefined) return;
    this.#reason = reason;
    this.#controller?.abort(reason);
  }
}
