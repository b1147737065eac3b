import { LockkeeperError } from '../../api/codes.ts';
import { LIMITS } from '../../api/limits.ts';
import { lockKey } from '../../api/lock-id.ts';
import {
  type AcquireAllRequest,
  type AcquireRequest,
  type ForceReleaseRequest as ForceReleaseBody,
  type HoldRequest,
  type ReleaseAllRequest,
  type ReleaseRequest,
  type RenewRequest,
  parseToken,
} from '../../api/requests.ts';
import type {
  ForceReleased,
  Held,
  Hold,
  HoldEvent,
  Holds,
  LockList,
  LockRecord,
  Released,
} from '../../api/responses.ts';
import type { SessionListener, SessionTransport } from '../../api/transport.ts';
import type { Clock } from '../../system/clock.ts';
import type { Log } from '../../system/logger.ts';
import type { Random } from '../../system/random.ts';
import type { Timers } from '../../system/timers.ts';
import type { CallContext, ListQuery, LockCalls } from '../calls.ts';
import { AcquireAll, type SharedTerms } from './acquire-all.ts';
import { type AcquireTerms, Acquisition } from './acquisition.ts';
import { AutoRenewals } from './auto-renewals.ts';
import { abortFailure, failure, notHeld, shuttingDown } from './failures.ts';
import { ForceReleaseRequest } from './force-release-request.ts';
import { holdAnswer, validForMsOf } from './hold-answer.ts';
import { HoldStream } from './hold-stream.ts';
import { InspectRequest } from './inspect-request.ts';
import { listPage } from './list-page.ts';
import type { OwnHold } from './own-hold.ts';
import type { Restored } from './reclaimer.ts';
import { lockRecordOf } from './records.ts';
import type { SavedHold } from './saved-holds.ts';
import { Session } from './session.ts';

export interface LocalLocksOptions {
  /** Opens the way to the owners. Called once; the listener may be called from within. */
  readonly openTransport: (listener: SessionListener) => SessionTransport;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly random: Random;
  readonly log: Log;
  /** Namespace of every request that names none. */
  readonly namespace: string;
  /** Who forces a release, for the audit. */
  readonly principal: string;
  /**
   * Whether `restore` will be called. A process that takes up the session of an earlier one must: until then no owner hears
   * that everything is declared, which would give away what the earlier process held. Default false.
   */
  readonly awaitsSaved?: boolean;
  /** Shards of the installation. Default 32. */
  readonly shardCount?: number | undefined;
  /** Why the owners cannot be reached now; asked by `notReadyReason`. Default: they always can. */
  readonly unreachableReason?: () => string | undefined;
}

/** The calls of the localhost API on one session, and what the process does with that session as a whole. */
export interface LocalLocks extends LockCalls {
  /**
   * The holds that outlive this process, as plain JSON without deadlines: those answered to callers, not those bound to a
   * connection. Call it after the endpoint has closed and before `close`.
   */
  save(): SavedHold[];
  /** Declares what an earlier process saved. Only what is answered is held. Never rejects. */
  restore(saved: readonly SavedHold[]): Promise<Restored>;
  /** Ends the session: `goodbye` gives every hold back, `lost` leaves them to their expiry or a successor. */
  close(reason: 'goodbye' | 'lost'): void;
}

/** Opens a session and answers the localhost API with it. */
export function openLocalLocks(options: LocalLocksOptions): LocalLocks {
  const { openTransport, clock, timers, random, awaitsSaved = false, shardCount } = options;
  return new SessionLocks(options, new Session({ openTransport, clock, timers, random, awaitsSaved, shardCount }));
}

class SessionLocks implements LocalLocks {
  readonly #options: LocalLocksOptions;
  readonly #session: Session;
  readonly #autoRenewals: AutoRenewals;

  constructor(options: LocalLocksOptions, session: Session) {
    this.#options = options;
    this.#session = session;
    this.#autoRenewals = new AutoRenewals(session, options.log);
  }

  acquire(lockId: string, request: AcquireRequest, { signal, receivedAtMs }: CallContext): Promise<Hold> {
    return new Promise((resolve, reject) => {
      const terms = this.#termsOf(lockId, request);
      const renewForMs = renewForMsOf(request);
      const onGranted = (hold: OwnHold) => {
        hold.kept = true;
        if (renewForMs !== undefined) this.#autoRenewals.start(hold, renewForMs);
        resolve(holdAnswer(hold, this.#session, receivedAtMs));
      };
      new Acquisition(this.#session, terms, signal, { onQueued: () => {}, onGranted, onFailed: reject }).start();
    });
  }

  async renew(lockId: string, request: RenewRequest, { receivedAtMs }: CallContext): Promise<Hold> {
    this.#checkRoom(0);
    const { ownerId, ttlMs } = request;
    const key = this.#keyOf(lockId, request.namespace);
    const hold = await this.#session.renew({ key, token: tokenOf(request.fencingToken), ownerId, ttlMs });
    hold.kept = true;
    return holdAnswer(hold, this.#session, receivedAtMs);
  }

  async release(lockId: string, request: ReleaseRequest): Promise<Released> {
    this.#checkRoom(0);
    const { fencingToken, namespace, ownerId } = request;
    return this.#session.releaser.release(this.#keyOf(lockId, namespace), tokenOf(fencingToken), ownerId);
  }

  async forceRelease(lockId: string, request: ForceReleaseBody): Promise<ForceReleased> {
    this.#checkRoom(0);
    const key = this.#keyOf(lockId, request.namespace);
    const terms = { reason: request.reason, by: this.#options.principal };
    const released = await new Promise<number>((resolve, reject) => {
      this.#session.client.ask(new ForceReleaseRequest(key, terms, resolve, reject));
    });
    return { released };
  }

  async inspect(lockId: string, namespace: string | undefined): Promise<LockRecord> {
    this.#checkRoom(0);
    const key = this.#keyOf(lockId, namespace);
    return new Promise((resolve, reject) => {
      const onInspected = (found: Parameters<typeof lockRecordOf>[0]) =>
        resolve(lockRecordOf(found, this.#options.clock.wallMs()));
      this.#session.client.ask(new InspectRequest(key, onInspected, reject));
    });
  }

  async list(query: ListQuery): Promise<LockList> {
    if (this.#session.client.closed) throw shuttingDown();
    const { namespace, clock } = this.#options;
    try {
      return await listPage(this.#session.client, query, query.namespace ?? namespace, () => clock.wallMs());
    } catch (error) {
      throw LockkeeperError.from(error);
    }
  }

  async held(
    lockId: string,
    fencingToken: string,
    namespace: string | undefined,
    { receivedAtMs }: CallContext,
  ): Promise<Held> {
    const key = this.#keyOf(lockId, namespace);
    const token = tokenOf(fencingToken);
    if (this.#session.client.closed) throw shuttingDown();
    const hold = this.#session.table.find(key, token);
    if (hold === undefined || hold.leftMs(this.#session.meter) <= 0) throw notHeld(key, token);
    return { held: true, validForMs: validForMsOf(hold, this.#session, receivedAtMs) };
  }

  async acquireAll(request: AcquireAllRequest, { signal, receivedAtMs }: CallContext): Promise<Holds> {
    const keys = request.ids.map((lockId) => this.#keyOf(lockId, request.namespace));
    assertNoneTwice(request.ids);
    this.#checkRoom(keys.length);
    if (signal.aborted) throw abortFailure(signal.reason);
    const terms = this.#sharedTermsOf({ ...request, maxHoldMs: undefined });
    const taken = await new AcquireAll(this.#session, terms, signal).take(keys);
    const holds: Hold[] = [];
    for (const key of keys) {
      const hold = taken.get(key);
      if (hold === undefined) continue;
      hold.kept = true;
      holds.push(holdAnswer(hold, this.#session, receivedAtMs));
    }
    return { holds, validForMs: Math.min(...holds.map(({ validForMs }) => validForMs)) };
  }

  async releaseAll(request: ReleaseAllRequest): Promise<{ holds: { lockId: string; released: boolean }[] }> {
    const { namespace, ownerId } = request;
    const answers = await Promise.allSettled(
      request.holds.map(({ lockId, fencingToken }) =>
        this.release(lockId, { fencingToken, ...(namespace && { namespace }), ...(ownerId && { ownerId }) }),
      ),
    );
    const holds = request.holds.map(({ lockId }, index) => {
      const answer = answers[index];
      if (answer?.status === 'fulfilled') return { lockId, released: answer.value.released };
      const problem = LockkeeperError.from(answer?.reason);
      if (problem.code !== 'NOT_HELD') throw problem;
      return { lockId, released: false };
    });
    return { holds };
  }

  hold(lockId: string, request: HoldRequest, context: CallContext): AsyncIterable<HoldEvent> {
    return new HoldStream(this.#session, () => this.#termsOf(lockId, request), context);
  }

  notReadyReason(): string | undefined {
    if (this.#session.client.closed) return 'shuttingDown';
    if (this.#session.reclaimer.awaitsSaved) return 'restoring';
    return this.#options.unreachableReason?.();
  }

  save(): SavedHold[] {
    const { table, meter } = this.#session;
    const saved: SavedHold[] = [];
    for (const hold of table) {
      if (!hold.kept || hold.leftMs(meter) <= 0) continue;
      const { key, token, ownerId, mode, depth, ttlMs, metadata } = hold;
      const renewForMs = this.#autoRenewals.leftMs(hold);
      saved.push({
        ...{ key, token, ownerId, mode, depth, ttlMs },
        ...(metadata && { metadata }),
        ...(renewForMs && { renewForMs }),
      });
    }
    return saved;
  }

  restore(saved: readonly SavedHold[]): Promise<Restored> {
    return this.#session.reclaimer.restore(saved, (hold, { renewForMs }) => {
      hold.kept = true;
      if (renewForMs !== undefined) this.#autoRenewals.start(hold, renewForMs);
    });
  }

  close(reason: 'goodbye' | 'lost'): void {
    this.#session.close(reason);
  }

  #keyOf(lockId: string, namespace: string | undefined): string {
    return lockKey(namespace ?? this.#options.namespace, lockId);
  }

  /** Throws if the session has no room. */
  #termsOf(lockId: string, request: HoldRequest): AcquireTerms {
    this.#checkRoom(1);
    const key = this.#keyOf(lockId, request.namespace);
    return { ...this.#sharedTermsOf(request), key, priority: request.priority, requestId: request.requestId };
  }

  #sharedTermsOf(request: Omit<HoldRequest, 'requestId' | 'priority' | 'namespace'>): SharedTerms {
    return {
      ownerId: request.ownerId ?? this.#options.random.uuid(),
      ownerNamed: request.ownerId !== undefined,
      mode: request.mode ?? 'exclusive',
      ttlMs: request.ttlMs,
      timeoutMs: request.timeoutMs ?? 0,
      maxHoldMs: request.maxHoldMs,
      metadata: request.metadata,
    };
  }

  #checkRoom(moreHolds: number): void {
    const { client, table } = this.#session;
    if (client.pendingCount >= LIMITS.waitersPerSessionMax)
      throw full('requests of this session', LIMITS.waitersPerSessionMax);
    if (moreHolds > 0 && table.size + moreHolds > LIMITS.holdsPerSessionMax)
      throw full('holds of this session', LIMITS.holdsPerSessionMax);
  }
}

function renewForMsOf({ autoRenew, maxHoldMs }: AcquireRequest): number | undefined {
  if (autoRenew !== true || maxHoldMs !== undefined) return autoRenew === true ? maxHoldMs : undefined;
  throw failure('INVALID_ARGUMENT', { field: 'maxHoldMs', problem: 'autoRenew needs maxHoldMs, its end' });
}

function full(what: string, limit: number): LockkeeperError {
  return failure('QUEUE_FULL', { what, limit, retryAfterMs: 1_000 });
}

function tokenOf(fencingToken: string): number {
  const token = parseToken(fencingToken);
  if (token !== undefined) return token;
  throw failure('INVALID_ARGUMENT', { field: 'fencingToken', problem: 'fencingToken is above 2^53 - 1' });
}

function assertNoneTwice(ids: readonly string[]): void {
  const seen = new Set<string>();
  for (const [index, lockId] of ids.entries()) {
    if (seen.has(lockId)) {
      const problem = `${lockId} is named twice; name each lock once`;
      throw failure('INVALID_ARGUMENT', { field: `ids.${index}`, problem });
    }
    seen.add(lockId);
  }
}
