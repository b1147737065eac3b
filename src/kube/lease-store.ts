import type { Lease, StoredLease } from './lease.ts';

/**
 * Where Leases are kept: a Kubernetes API server, or memory. Every write is a compare-and-swap; whoever wins it has won
 * whatever the Lease stands for. All promises reject with a `StoreError` and nothing else.
 *
 * Not promised: any order between calls that are in flight together, even from one caller.
 */
export interface LeaseStore {
  /** The newest state (a consistent read, never a cache); `undefined` if there is no such Lease. */
  get(namespace: string, name: string, options?: CallOptions): Promise<StoredLease | undefined>;
  /** One consistent state of all matching Leases, and the version from which to watch on. */
  list(query: LeaseQuery, options?: CallOptions): Promise<LeaseList>;
  /** `conflict` if the name is taken. `metadata.resourceVersion` must be absent. Answers with what is stored now. */
  create(lease: Lease, options?: CallOptions): Promise<StoredLease>;
  /**
   * Replaces exactly the version named by `metadata.resourceVersion`, which is required; another version is `conflict`, a
   * Lease that is gone is `notFound` (or `conflict`, if a uid was given). A caller that has read the Lease passes its
   * `metadata.uid` back: an API server takes a PUT of a missing Lease as a creation unless the body carries a uid.
   * An update that changes nothing succeeds and keeps the version.
   */
  update(lease: Lease, options?: CallOptions): Promise<StoredLease>;
  /** Deletes exactly this version: another is `conflict`, none is `notFound`. */
  delete(namespace: string, name: string, resourceVersion: string, options?: CallOptions): Promise<void>;
  /**
   * Reports every change of matching Leases after `resourceVersion`, in the order of their versions, never inside this call,
   * until the answer is disposed, the signal aborts, or an `ERROR` event came. Throws `StoreError` (`rejected`) for a query
   * that cannot be watched. Silence proves nothing.
   */
  watch(query: WatchQuery, handler: (event: LeaseEvent) => void, options?: CallOptions): Disposable;
}

/**
 * `signal` abandons the call, not its effect: a write that was not sent yet is `rejected` (retryable), one on its way is
 * `unknown`.
 */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface LeaseQuery {
  /** All namespaces if absent. */
  readonly namespace?: string | undefined;
  /** Comma-separated requirements that all must hold: `key=value`, `key!=value`, `key` (is there), `!key` (is not). */
  readonly labelSelector?: string | undefined;
}

export interface WatchQuery extends LeaseQuery {
  /** From a list, or of the last event seen. */
  readonly resourceVersion: string;
}

export interface LeaseList {
  readonly items: readonly StoredLease[];
  readonly resourceVersion: string;
}

/**
 * - `ADDED`, `MODIFIED`: the new state. A Lease whose labels begin to match is `ADDED`, one that ceases to match `DELETED`.
 * - `DELETED`: the last state, with the version of its end.
 */
export type LeaseEvent =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly lease: StoredLease }
  | WatchProgress;

/**
 * What a watch tells beside changes.
 * - `BOOKMARK`: nothing matching changed up to this version; resume from here.
 * - `ERROR`: the last event. `expired`: list again, as the version is too old, or as the connection broke and what is at its
 *   other end now may be a restored backup, which tells nothing to who begins at a version it never had. `ended`: watch again
 *   from the last version seen.
 */
export type WatchProgress =
  | { readonly type: 'BOOKMARK'; readonly resourceVersion: string }
  | {
      readonly type: 'ERROR';
      readonly code: 'expired' | 'ended';
      readonly message: string;
      /** The server asked not to come back sooner. */
      readonly retryAfterMs?: number | undefined;
    };

/**
 * - `conflict`: for sure not done, another version or another Lease of that name is there (409).
 * - `notFound`: for sure not done, there is no such Lease (404).
 * - `unknown`: no answer (timeout, connection reset after the send): a write may have landed, or may land yet.
 * - `rejected`: refused for sure, or never sent.
 */
export type StoreOutcome = 'conflict' | 'notFound' | 'unknown' | 'rejected';

export interface StoreErrorOptions extends ErrorOptions {
  /** Default false. */
  readonly retryable?: boolean;
  /** HTTP status of the answer; absent if there was none. */
  readonly httpStatus?: number | undefined;
  /** The server asked not to come back sooner (Retry-After). */
  readonly retryAfterMs?: number | undefined;
}

/** Why a call of a store failed. */
export class StoreError extends Error {
  override readonly name = 'StoreError';
  readonly outcome: StoreOutcome;
  /**
   * For `rejected`: whether the same call can succeed later without a person's help (overload, an API server that starts).
   * False for `conflict` and `notFound`, which need a read first, and for `unknown`, where a write must not be repeated blindly.
   */
  readonly retryable: boolean;
  readonly httpStatus: number | undefined;
  readonly retryAfterMs: number | undefined;

  constructor(outcome: StoreOutcome, message: string, options: StoreErrorOptions = {}) {
    super(message, options);
    this.outcome = outcome;
    this.retryable = outcome === 'rejected' && options.retryable === true;
    this.httpStatus = options.httpStatus;
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Whether a set of labels matches a selector. */
export type LabelMatcher = (labels: Readonly<Record<string, string>> | undefined) => boolean;

const REQUIREMENT = /^(!?)\s*([A-Za-z0-9][-A-Za-z0-9_./]*)\s*(?:(==|=|!=)\s*([-A-Za-z0-9_.]*))?$/;

/** Reads a `labelSelector` of the equality kind; an absent or empty one matches all. Throws `StoreError` (`rejected`) for another. */
export function labelMatcher(selector: string | undefined): LabelMatcher {
  if (selector === undefined || selector.trim() === '') return () => true;
  const requirements = selector.split(',').map((text) => requirementOf(text.trim()));
  return (labels = {}) => requirements.every((holds) => holds(labels));
}

function requirementOf(text: string): (labels: Readonly<Record<string, string>>) => boolean {
  const [, negation, key, operator, value = ''] = REQUIREMENT.exec(text) ?? [];
  if (key === undefined || (negation === '!' && operator !== undefined)) {
    throw new StoreError(
      'rejected',
      `The label selector has the requirement "${text}"; use key=value, key!=value, key or !key.`,
      { httpStatus: 400 },
    );
  }
  const present = (labels: Readonly<Record<string, string>>) => Object.hasOwn(labels, key);
  if (operator === undefined) return (labels) => present(labels) === (negation === '');
  const equal = (labels: Readonly<Record<string, string>>) => present(labels) && labels[key] === value;
  return operator === '!=' ? (labels) => !equal(labels) : equal;
}
