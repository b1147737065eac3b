import type { Operation } from './operations.ts';

/**
 * What the target of a request line names. Made from the raw bytes of the request line, before any router, proxy rule or
 * URL class can normalise them: `payments/order-42` and `payments%2Forder-42` are one id, `a/../b` stays what it is and is
 * refused as an id.
 */
export interface Target {
  /** Path without `/v1` and query, as it came; for messages only. */
  readonly path: string;
  /** `undefined` if nothing is served there. */
  readonly operation: Operation | undefined;
  /** Percent-decoded once, not yet checked. `undefined` if the encoding is broken; empty for operations without a lock. */
  readonly lockId: string | undefined;
  /** Text after the first question mark, as it came. */
  readonly query: string;
}

const PREFIX = '/v1/';
const LOCKS = '/locks/';

const PATHS: ReadonlyMap<string, Operation> = new Map([
  ['/locks', 'list'],
  ['/locks:acquireAll', 'acquireAll'],
  ['/locks:releaseAll', 'releaseAll'],
  ['/healthz', 'healthz'],
  ['/readyz', 'readyz'],
  ['/metrics', 'metrics'],
  ['/openapi.json', 'openapi'],
]);

const VERBS: ReadonlyMap<string, Operation> = new Map([
  ['acquire', 'acquire'],
  ['renew', 'renew'],
  ['release', 'release'],
  ['hold', 'hold'],
  ['forceRelease', 'forceRelease'],
  ['held', 'held'],
]);

/** Reads the target of a request line. Total: any text is read as something. */
export function targetOf(url: string): Target {
  const question = url.indexOf('?');
  const query = question === -1 ? '' : url.slice(question + 1);
  const whole = question === -1 ? url : url.slice(0, question);
  const path = whole.startsWith(PREFIX) ? whole.slice(PREFIX.length - 1) : whole;
  if (path.startsWith(LOCKS)) return lockTargetOf(path, query);
  return { path, operation: PATHS.get(path), lockId: '', query };
}

/** The verb follows the last colon of the last segment; a colon anywhere else belongs to the id, which may have none. */
function lockTargetOf(path: string, query: string): Target {
  const colon = path.lastIndexOf(':');
  const hasVerb = colon > path.lastIndexOf('/');
  const operation = hasVerb ? VERBS.get(path.slice(colon + 1)) : 'inspect';
  const lockId = decodedOnce(path.slice(LOCKS.length, hasVerb ? colon : undefined));
  return { path, operation, lockId, query };
}

/** Undoes percent-encoding once; `undefined` if it is broken. A plus sign stays one. */
export function decodedOnce(text: string): string | undefined {
  if (!text.includes('%')) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
