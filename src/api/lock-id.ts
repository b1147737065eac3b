import { LockkeeperError } from './codes.ts';
import { LIMITS } from './limits.ts';

/**
 * Names of locks. A lock id is either `name` (a DistributedLock) or `pool/key` (a key of a LockPool); a lock's full key is
 * `namespace/lockId`. Ids are ASCII, have no `:` (it starts a verb in the HTTP API) and are never normalised: two ids are one
 * lock only if they are equal byte for byte.
 */
const NAME = /^[a-z0-9](?:[-a-z0-9]*[a-z0-9])?$/;
const POOL_KEY = /^[A-Za-z0-9._~@+=,/-]+$/;

/** What a valid lock id names. */
export type LockKind = 'lock' | 'pool';

/** Why an id is refused, as a sentence that says what to write instead; `undefined` if it is valid. */
export function lockIdProblem(lockId: string): string | undefined {
  const slash = lockId.indexOf('/');
  if (slash === -1) return nameProblem('a lock name', lockId);
  const pool = nameProblem('the pool name before the slash', lockId.slice(0, slash));
  if (pool !== undefined) return pool;
  const key = lockId.slice(slash + 1);
  if (key === '') return 'the key after the slash is empty; write pool/key, for example default/order-42';
  if (key.length > LIMITS.poolKeyLengthMax)
    return `the key after the slash is longer than ${LIMITS.poolKeyLengthMax} characters; use a shorter key or a hash of it`;
  if (!POOL_KEY.test(key))
    return 'the key after the slash may hold only A-Z a-z 0-9 . _ ~ @ + = , - and inner slashes (no colon, no space, no control character)';
  for (const segment of key.split('/')) {
    if (segment === '') return 'the key has an empty segment (a double, leading or trailing slash)';
    if (segment === '.' || segment === '..')
      return 'the key has a segment "." or "..", which proxies rewrite; name it otherwise';
  }
  return undefined;
}

function nameProblem(what: string, name: string): string | undefined {
  if (name === '') return `${what} is empty`;
  if (name.length > LIMITS.nameLengthMax) return `${what} is longer than ${LIMITS.nameLengthMax} characters`;
  if (!NAME.test(name))
    return `${what} must be lower-case letters, digits and inner hyphens (a DNS-1123 label), for example migrations`;
  return undefined;
}

/** Throws INVALID_ARGUMENT unless the id is valid. */
export function assertLockId(lockId: string, field = 'lockId'): void {
  const problem = lockIdProblem(lockId);
  if (problem === undefined) return;
  throw new LockkeeperError('INVALID_ARGUMENT', `This is no lock id: ${problem}.`, {
    field,
    value: lockId.slice(0, 80),
  });
}

/** Throws INVALID_ARGUMENT unless the namespace is a DNS-1123 label. */
export function assertNamespace(namespace: string, field = 'namespace'): void {
  const problem = nameProblem('a namespace', namespace);
  if (problem === undefined) return;
  throw new LockkeeperError('INVALID_ARGUMENT', `This is no namespace: ${problem}.`, {
    field,
    value: namespace.slice(0, 80),
  });
}

/** The full key of a lock, the same everywhere. Both parts must be valid already. */
export function lockKey(namespace: string, lockId: string): string {
  return `${namespace}/${lockId}`;
}

/** The parts of a full key. A namespace has no slash, so the first one divides. */
export function splitLockKey(key: string): { namespace: string; lockId: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), lockId: key.slice(slash + 1) };
}

/** Whether a full key names a DistributedLock (`lock`) or a key of a LockPool (`pool`). */
export function lockKindOf(key: string): LockKind {
  return key.indexOf('/', key.indexOf('/') + 1) === -1 ? 'lock' : 'pool';
}

/** `namespace/name` of the custom resource whose policy rules this key: the lock itself, or its pool. */
export function policyNameOf(key: string): string {
  const second = key.indexOf('/', key.indexOf('/') + 1);
  return second === -1 ? key : key.slice(0, second);
}
