import { LockkeeperError } from '../api/codes.ts';
import { lockKey, lockKindOf, policyNameOf, splitLockKey } from '../api/lock-id.ts';
import { messageOf } from '../api/messages.ts';
import type { AcquireAllRequest, AcquireRequest, HoldRequest } from '../api/requests.ts';
import type { Hold, HoldEvent, Holds } from '../api/responses.ts';
import { StoreError } from '../kube/lease-store.ts';
import type { ObjectStore } from '../kube/object-store.ts';
import { configureObject } from '../operator/declared.ts';
import type { LockServer } from '../server/lock-server.ts';
import type { CallContext, LockCalls } from '../sidecar/calls.ts';
import { objectOf, typeOfKind } from './resources.ts';

export interface OnDemandLocksOptions {
  readonly calls: LockCalls;
  readonly objects: ObjectStore;
  readonly server: LockServer;
  /** Namespace of requests that name none. */
  readonly namespace: string;
}

/**
 * The calls of the localhost API, where a lock or pool begins to exist with its first acquire: as an object with an empty spec,
 * which is there before the grant. Without this an unknown name is LOCK_NOT_FOUND.
 */
export class OnDemandLocks implements LockCalls {
  readonly renew: LockCalls['renew'];
  readonly release: LockCalls['release'];
  readonly forceRelease: LockCalls['forceRelease'];
  readonly inspect: LockCalls['inspect'];
  readonly list: LockCalls['list'];
  readonly held: LockCalls['held'];
  readonly releaseAll: LockCalls['releaseAll'];
  readonly notReadyReason: LockCalls['notReadyReason'];
  readonly #options: OnDemandLocksOptions;
  /** Objects being made, by kind and name: requests for one lock that come together make it once. */
  readonly #underWay = new Map<string, Promise<void>>();

  constructor(options: OnDemandLocksOptions) {
    const { calls } = options;
    this.#options = options;
    this.renew = calls.renew.bind(calls);
    this.release = calls.release.bind(calls);
    this.forceRelease = calls.forceRelease.bind(calls);
    this.inspect = calls.inspect.bind(calls);
    this.list = calls.list.bind(calls);
    this.held = calls.held.bind(calls);
    this.releaseAll = calls.releaseAll.bind(calls);
    this.notReadyReason = calls.notReadyReason.bind(calls);
  }

  async acquire(lockId: string, request: AcquireRequest, context: CallContext): Promise<Hold> {
    await this.#ensure(lockId, request.namespace);
    return this.#options.calls.acquire(lockId, request, context);
  }

  async acquireAll(request: AcquireAllRequest, context: CallContext): Promise<Holds> {
    for (const lockId of request.ids) await this.#ensure(lockId, request.namespace);
    return this.#options.calls.acquireAll(request, context);
  }

  async *hold(lockId: string, request: HoldRequest, context: CallContext): AsyncGenerator<HoldEvent> {
    await this.#ensure(lockId, request.namespace);
    yield* this.#options.calls.hold(lockId, request, context);
  }

  async #ensure(lockId: string, namespace = this.#options.namespace): Promise<void> {
    const key = lockKey(namespace, lockId);
    const resource = lockKindOf(key);
    const name = policyNameOf(key);
    if (this.#options.server.hasRules(resource, name)) return;
    const id = `${resource} ${name}`;
    let making = this.#underWay.get(id);
    if (making === undefined) {
      making = this.#make(resource === 'lock' ? 'DistributedLock' : 'LockPool', name, key).finally(() =>
        this.#underWay.delete(id),
      );
      this.#underWay.set(id, making);
    }
    await making;
  }

  async #make(kind: 'DistributedLock' | 'LockPool', name: string, key: string): Promise<void> {
    const { objects, server } = this.#options;
    const type = typeOfKind(kind);
    const wanted = objectOf(kind, name);
    try {
      configureObject(await objects.create(type, wanted), server);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (error.outcome !== 'conflict') throw creationFailure(error, key);
      // It was declared a moment ago, and the controllers have not come to it.
      const { namespace, name: own } = wanted.metadata;
      const found = await objects.get(type, namespace, own).catch((failure: unknown) => {
        throw failure instanceof StoreError ? creationFailure(failure, key) : failure;
      });
      if (found !== undefined) configureObject(found, server);
    }
  }
}

/** Why a lock cannot begin to exist, for the caller who asked for it. */
function creationFailure(error: StoreError, key: string): LockkeeperError {
  const lock = splitLockKey(key);
  const cause = { cause: error };
  if (error.outcome === 'notFound')
    return new LockkeeperError(
      'LOCK_NOT_FOUND',
      `There is no namespace ${lock.namespace} in the cluster, so no lock ${lock.lockId} can be made in it. Create the namespace, or correct its name.`,
      { ...lock, reason: 'namespaceMissing' },
      cause,
    );
  if (error.httpStatus === 403)
    return new LockkeeperError('PERMISSION_DENIED', `The API server refuses it: ${error.message}`, lock, cause);
  if (error.httpStatus === 422)
    return new LockkeeperError('INVALID_ARGUMENT', `No such lock can be made: ${error.message}`, lock, cause);
  const details = { ...lock, reason: 'storeRefused', retryAfterMs: 1_000 };
  return new LockkeeperError('UNAVAILABLE', messageOf('UNAVAILABLE', details), details, cause);
}
