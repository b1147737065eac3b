import { lockKindOf, splitLockKey } from './lock-id.ts';

/** Shards of an installation; written once on the Lease `lockkeeper-shards`, and a replica with another number refuses to serve. */
export const SHARD_COUNT = 32;
/** Name and version of the hash, recorded beside the count. A change of either would move locks between counters. */
export const SHARD_HASH_NAME = 'fnv1a-32';
export const SHARD_HASH_VERSION = 1;

const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * Shard of a lock: FNV-1a (Fowler, Noll and Vo; RFC 9923) over `kind NUL namespace NUL lockId`, mixed once more so that the low
 * bits of short keys spread, modulo the count. Keys are ASCII. The kind is hashed so that a lock and a pool of one name are
 * two.
 */
export function shardOf(key: string, shardCount: number = SHARD_COUNT): number {
  const { namespace, lockId } = splitLockKey(key);
  let hash = absorb(FNV_OFFSET, lockKindOf(key));
  hash = absorb(Math.imul(hash, FNV_PRIME), namespace);
  hash = absorb(Math.imul(hash, FNV_PRIME), lockId);
  hash ^= hash >>> 16;
  hash = Math.imul(hash, 0x85ebca6b);
  hash ^= hash >>> 13;
  return (hash >>> 0) % shardCount;
}

function absorb(start: number, text: string): number {
  let hash = start;
  for (let index = 0; index < text.length; index++) hash = Math.imul(hash ^ text.charCodeAt(index), FNV_PRIME);
  return hash;
}

/** The one order in which several locks are taken, so that two acquireAll never wait for each other. */
export function compareForAcquireAll(left: string, right: string): number {
  return shardOf(left) - shardOf(right) || (left < right ? -1 : left > right ? 1 : 0);
}
