/** What a fault proxy can do to a request, and to which. */

/** A request as the proxy sees it, its body read to the end. */
export interface ProxyRequest {
  readonly method: string;
  /** Without the query. */
  readonly path: string;
  readonly query: URLSearchParams;
  readonly isWatch: boolean;
  readonly userAgent: string;
  /** Parsed if it is JSON; undefined if there is none or it is something else. */
  // biome-ignore lint: a test reads whatever is there
  readonly body: any;
}

/** Everything that is given must fit. Nothing given: every request fits. */
export interface RequestMatch {
  readonly method?: string | readonly string[];
  /** The whole path if a string. Never the query. */
  readonly path?: string | RegExp;
  readonly isWatch?: boolean;
  readonly where?: (request: ProxyRequest) => boolean;
}

export type Fault =
  /** None: for counting. */
  | { readonly kind: 'pass' }
  /** Forwards it `ms` later, if its client still waits. */
  | { readonly kind: 'delay'; readonly ms: number }
  /** Forwards it at once, and the answer `ms` later. */
  | { readonly kind: 'delayAnswer'; readonly ms: number }
  /** Resets the client's connection; the API server never sees the request. */
  | { readonly kind: 'resetBeforeForwarding' }
  /** Resets the client's connection once the API server has answered. */
  | { readonly kind: 'resetAfterForwarding' }
  /** Never answers and keeps the connection open; the API server never sees the request. */
  | { readonly kind: 'swallow' }
  /** Forwards it, keeps the answer to itself and the connection open: the request lands, its client times out. */
  | { readonly kind: 'landUnanswered' }
  /** As `swallow` for its client; forwards it `ms` later, whether its client is still there or not. */
  | { readonly kind: 'landLate'; readonly ms: number }
  | RefusalFault
  | WatchFault;

/** Answers in place of the API server, which never sees the request. */
export interface RefusalFault {
  readonly kind: 'answer';
  /** 409 is a conflict of versions, 429 too many requests, and so on; the answer is a `Status` object. */
  readonly status: 409 | 410 | 429 | 500 | 503 | 504;
  /** Sent as the header `Retry-After`. Default: none. */
  readonly retryAfterSeconds?: number;
}

/** For a watch, once `afterEvents` events (default 0) have passed. Other requests pass unharmed. */
export type WatchFault =
  /** Breaks the connection in the middle of the stream. */
  | { readonly kind: 'cutWatch'; readonly afterEvents?: number }
  /** Lets the stream end in order, as the API server does after some minutes. */
  | { readonly kind: 'endWatch'; readonly afterEvents?: number }
  /** Sends an ERROR event that says 410 Gone, and ends the stream. */
  | { readonly kind: 'expireWatch'; readonly afterEvents?: number }
  /** Lets nothing more pass and keeps the connection open. */
  | { readonly kind: 'stallWatch'; readonly afterEvents?: number };

/** Where a request is held: not yet sent to the API server; sent and not yet answered by it; answered, and its client not told. */
export type HoldPoint = 'beforeForwarding' | 'inFlight' | 'beforeAnswer';

/** Writes (create, update, patch, delete) of a resource, given by its plural, or of one object of it. */
export function writesOf(resource: string, name?: string): RequestMatch {
  const object = name === undefined ? '(/[^/]+)?' : `/${name}`;
  const path = new RegExp(`/${resource}${object}$`);
  // A creation names the object in its body alone.
  const where = ({ method, body, ...request }: ProxyRequest): boolean =>
    method === 'POST'
      ? request.path.endsWith(`/${resource}`) && (name === undefined || body?.metadata?.name === name)
      : path.test(request.path);
  return { method: ['POST', 'PUT', 'PATCH', 'DELETE'], where };
}

/** Watches of a resource, given by its plural. */
export function watchesOf(resource: string): RequestMatch {
  return { path: new RegExp(`/${resource}$`), isWatch: true };
}

export function fits(request: ProxyRequest, { method, path, isWatch, where }: RequestMatch): boolean {
  if (method !== undefined && ![method].flat().includes(request.method)) return false;
  if (typeof path === 'string' ? path !== request.path : path?.test(request.path) === false) return false;
  if (isWatch !== undefined && isWatch !== request.isWatch) return false;
  return where === undefined || where(request);
}
