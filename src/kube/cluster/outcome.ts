import { StoreError } from '../lease-store.ts';

/** What a call was about to do, for the outcome and the message of its failure. */
export interface CallFacts {
  /** Whether it changes anything: then a missing answer leaves an unknown outcome. */
  readonly write: boolean;
  /** As in `update Lease shop/lock-a`. */
  readonly what: string;
}

/** An answer of the server that is no success. */
export interface Refusal {
  readonly httpStatus: number;
  /** The body as it came. */
  readonly body: string;
  /** The `Retry-After` header. */
  readonly retryAfter?: string | undefined;
}

/** Why a request has no answer. */
export type NoAnswer = 'timeout' | 'aborted' | 'connection' | 'credentials' | 'overload' | 'closed' | 'tooLarge';

/** A longer wait than this is not asked of anybody. */
const RETRY_AFTER_MS_MAX = 60_000;
/** Of what a server says, in a message. */
const TEXT_MAX = 400;

/** The fields of a `Status` that matter. */
interface Status {
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly name?: string; readonly kind?: string };
}

/**
 * The outcome of a call that the server answered with an error.
 *
 * | status | of a write | why |
 * | --- | --- | --- |
 * | 400 401 403 405 406 410 413 415 422 and other 4xx | `rejected` | refused before anything is stored; 401 retryable: credentials rotate |
 * | 404 with a Status | `notFound` | the object, or the namespace of a new one; 404 without: the kind is not served, `rejected` |
 * | 408 | `unknown` | a gateway gave up waiting, for whichever side |
 * | 409 | `conflict` | another version, another uid, or the name is taken |
 * | 429 | `rejected`, retryable | refused by priority and fairness, or by a server that starts or stops, before it is handled |
 * | 500 from an admission webhook | `rejected`, retryable | admission comes before the store |
 * | other 500, 502, 504 | `unknown` | "etcdserver: request timed out", "leader changed", a gateway's lost backend: may have landed, or may land yet |
 * | 501 | `rejected` | not implemented |
 * | 503 with Retry-After | `rejected`, retryable | a server that stops, or a gateway without a backend, says so before it takes the request |
 * | other 503 | `unknown` | also said by proxies whose backend broke off in the middle |
 * | other 5xx | `unknown` | nothing is known of them |
 *
 * A read changes nothing, so its 5xx, 408 and 429 are all `rejected` and retryable.
 */
export function refused(call: CallFacts, { httpStatus, body, retryAfter }: Refusal): StoreError {
  const status = statusOf(body);
  const reason = status?.reason ? `, ${status.reason}` : '';
  const said = (status?.message ?? body.trim()).slice(0, TEXT_MAX) || 'no reason given';
  const retryAfterMs = retryAfterOf(retryAfter);
  const error = (outcome: StoreError['outcome'], retryable = false, advice = '') =>
    new StoreError(outcome, `Cannot ${call.what}: ${said} (${httpStatus}${reason}).${advice}`, {
      httpStatus,
      retryable,
      retryAfterMs,
    });
  if (httpStatus === 404) {
    if (status?.details?.name) return error('notFound');
    return error('rejected', false, ' The API server does not serve this kind: apply the manifests in crds/.');
  }
  if (httpStatus === 409) return error('conflict');
  if (httpStatus === 429) return error('rejected', true);
  if (httpStatus === 401) return error('rejected', true);
  if (httpStatus === 501) return error('rejected');
  if (httpStatus < 500 && httpStatus !== 408) return error('rejected');
  const surelyNotDone =
    !call.write ||
    (httpStatus === 503 && retryAfterMs !== undefined) ||
    (httpStatus === 500 && status?.message !== undefined && /failed calling webhook/.test(status.message));
  return surelyNotDone ? error('rejected', true) : error('unknown');
}

const NO_ANSWER_TEXT: { readonly [Why in NoAnswer]: string } = {
  timeout: 'no answer in time',
  aborted: 'given up by the caller',
  connection: 'the connection failed',
  credentials: 'no credentials to send it with',
  overload: 'too many requests wait already',
  closed: 'this client has been closed',
  tooLarge: 'the answer is too large',
};

/**
 * The outcome of a call without an answer. Only a write of which something was written to a socket is `unknown`: it may have
 * landed, or may land yet. Everything else did nothing, and can be tried again.
 */
export function unanswered(call: CallFacts, why: NoAnswer, sent: boolean, cause?: unknown): StoreError {
  const detail = cause instanceof Error && cause.message !== '' ? `: ${cause.message.slice(0, TEXT_MAX)}` : '';
  const message = `Cannot ${call.what}: ${NO_ANSWER_TEXT[why]}${detail}.`;
  const options = cause === undefined ? {} : { cause };
  if (call.write && sent) return new StoreError('unknown', `${message} It may have been done, or may be yet.`, options);
  return new StoreError('rejected', message, { ...options, retryable: why !== 'closed' });
}

/** An answer that says success, and cannot be read. */
export function unreadable(call: CallFacts, httpStatus: number, cause: unknown): StoreError {
  const message = `Cannot ${call.what}: the answer is no JSON object of the expected form.`;
  return new StoreError(call.write ? 'unknown' : 'rejected', message, { httpStatus, retryable: true, cause });
}

function statusOf(body: string): Status | undefined {
  try {
    const value: unknown = JSON.parse(body);
    if (typeof value !== 'object' || value === null || !('kind' in value) || value.kind !== 'Status') return undefined;
    return value as Status;
  } catch {
    return undefined;
  }
}

/** Whole seconds are all that API servers send; a date, or nonsense, counts as not given. */
export function retryAfterOf(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d{1,6}$/.test(header.trim())) return undefined;
  return Math.min(RETRY_AFTER_MS_MAX, Number(header) * 1_000);
}
