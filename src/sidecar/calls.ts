import type {
  AcquireAllRequest,
  AcquireRequest,
  ForceReleaseRequest,
  HoldRequest,
  ReleaseAllRequest,
  ReleaseRequest,
  RenewRequest,
} from '../api/requests.ts';
import type { ForceReleased, Held, Hold, HoldEvent, Holds, LockList, LockRecord, Released } from '../api/responses.ts';

/** What the local endpoint knows of one request besides its body. */
export interface CallContext {
  /** Aborts when the caller's connection closes: a queued acquire leaves, a grant that nobody read is given back. */
  readonly signal: AbortSignal;
  /** Monotonic time at which the request was received; `validForMs` in the answer counts from it. */
  readonly receivedAtMs: number;
}

/** A page of a list: every lock of a namespace whose id begins with `prefix`, in the order of their ids. */
export interface ListQuery {
  readonly prefix: string;
  readonly limit: number;
  /** Opaque text of the previous page's answer. */
  readonly continue: string | undefined;
  readonly namespace: string | undefined;
}

/**
 * The calls behind the localhost API, independent of HTTP: the routes decode, call one of these, and encode. Lock ids and
 * bodies are validated already. Every promise rejects with a `LockkeeperError` only.
 */
export interface LockCalls {
  acquire(lockId: string, request: AcquireRequest, context: CallContext): Promise<Hold>;
  renew(lockId: string, request: RenewRequest, context: CallContext): Promise<Hold>;
  release(lockId: string, request: ReleaseRequest, context: CallContext): Promise<Released>;
  forceRelease(lockId: string, request: ForceReleaseRequest, context: CallContext): Promise<ForceReleased>;
  inspect(lockId: string, namespace: string | undefined, context: CallContext): Promise<LockRecord>;
  list(query: ListQuery, context: CallContext): Promise<LockList>;
  /** Whether this token's hold is alive now, for probes: rejects with NOT_HELD if it is not. */
  held(lockId: string, fencingToken: string, namespace: string | undefined, context: CallContext): Promise<Held>;
  acquireAll(request: AcquireAllRequest, context: CallContext): Promise<Holds>;
  releaseAll(
    request: ReleaseAllRequest,
    context: CallContext,
  ): Promise<{ holds: { lockId: string; released: boolean }[] }>;
  /**
   * Acquires, renews while the caller stays connected, and releases when it goes. Never rejects: a failure is a `lost` event,
   * the last one. An error that is known before the queue is entered (bad policy, unknown lock) rejects the first `next()`.
   */
  hold(lockId: string, request: HoldRequest, context: CallContext): AsyncIterable<HoldEvent>;
  /** Why new requests cannot be served now, or `undefined` if they can. */
  notReadyReason(): string | undefined;
}
