import type { IncomingHttpHeaders } from 'node:http';
import type { Dispatcher } from 'undici';

/** An HTTP request as it goes over a connection. */
export interface HttpRequest {
  readonly origin: string;
  readonly path: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

/** Hears how an exchange goes on: `onHead`, then `onData`, then one of `onEnd` and `onFailure`. */
export interface ExchangeListener {
  onHead(status: number, headers: IncomingHttpHeaders): void;
  onData(chunk: Buffer): void;
  onEnd(): void;
  /** Nothing more comes. `sent`: whether any of the request may have been written to the connection that failed. */
  onFailure(error: Error, sent: boolean): void;
}

const GIVEN_UP = new Error('the caller gave the request up');

/**
 * One request over HTTP and what comes back. Knows the one fact that decides whether a write without an answer may have
 * happened: whether any of it was written to a socket.
 */
export class Exchange {
  readonly #listener: ExchangeListener;
  #controller: Dispatcher.DispatchController | undefined;
  #over = false;

  constructor(dispatcher: Dispatcher, request: HttpRequest, listener: ExchangeListener) {
    this.#listener = listener;
    dispatcher.dispatch(
      {
        origin: request.origin,
        path: request.path,
        method: request.method,
        headers: request.headers,
        body: request.body ?? null,
        // Never by the library on its own: only the caller knows what a repeated write would mean.
        idempotent: request.method === 'GET',
        headersTimeout: 0,
        bodyTimeout: 0,
      },
      {
        onRequestStart: (controller) => this.#start(controller),
        onResponseStart: (_, status, headers) => this.#hear(() => this.#listener.onHead(status, headers)),
        onResponseData: (_, chunk) => this.#hear(() => this.#listener.onData(chunk)),
        onResponseEnd: () => this.#end(() => this.#listener.onEnd()),
        onResponseError: (_, error) => this.#end(() => this.#listener.onFailure(error, this.sent)),
      },
    );
  }

  /** Whether it may have reached the server, in part at least. */
  get sent(): boolean {
    return this.#controller !== undefined;
  }

  /** Ends it without another word to the listener. Its socket, if it has one, is closed at once; if not, it is never sent. */
  abort(): void {
    if (this.#over) return;
    this.#over = true;
    this.#controller?.abort(GIVEN_UP);
  }

  /** Nothing is read from the socket until `resume`. */
  pause(): void {
    this.#controller?.pause();
  }

  resume(): void {
    if (!this.#over) this.#controller?.resume();
  }

  #start(controller: Dispatcher.DispatchController): void {
    // Thrown, the request leaves the queue and the connection stays; a second start would be a repetition nobody asked for.
    if (this.#over || this.#controller !== undefined) throw GIVEN_UP;
    this.#controller = controller;
  }

  #hear(tell: () => void): void {
    if (!this.#over) tell();
  }

  #end(tell: () => void): void {
    if (this.#over) return;
    this.#over = true;
    tell();
  }
}
