import { lockKindOf, policyNameOf } from '../api/lock-id.ts';
import type { AuditEvent } from '../engine/effects.ts';

export interface PoolCount {
  readonly holds: number;
  readonly waiters: number;
  /** Since the shards were taken by their present owners. */
  readonly grants: number;
}

interface ShardTally {
  readonly pools: Map<string, Tally>;
  /** First token that this owner gave out: a claim of one from there on is of a hold that is counted. */
  firstToken: number;
}

interface Tally {
  holds: number;
  grants: number;
  /** Tokens of an earlier owner that were reclaimed and live. */
  readonly reclaimed: Set<number>;
  /** Keys that acquires may wait for: added when one queues, dropped when a look finds none. */
  readonly contended: Set<string>;
}

/** Keys looked at for one answer; of a pool with more contended keys the waiters are a lower bound. */
const LOOKS_MAX = 2_000;
/** Contended keys remembered for one pool and shard. */
const CONTENDED_MAX = 10_000;

/**
 * What each LockPool has in this process, kept from the audit events so that no answer walks over millions of keys. A shard
 * that is taken anew begins at nothing: its holds are counted as they are reclaimed. For people: two claims of one key after a
 * takeover are not counted, though they keep it held until they run out.
 */
export class PoolCounts {
  readonly #shards = new Map<number, ShardTally>();

  begin(shard: number): void {
    this.#shards.delete(shard);
  }

  count(shard: number, event: AuditEvent): void {
    switch (event.type) {
      case 'granted':
        if (lockKindOf(event.key) === 'pool') this.#granted(this.#shard(shard), event.key, event.token);
        return;
      case 'reclaimed':
        if (lockKindOf(event.key) === 'pool') this.#reclaimed(this.#shard(shard), event.key, event.token);
        return;
      case 'ended':
        if (event.acknowledged && lockKindOf(event.key) === 'pool') {
          const tally = tallyOf(this.#shard(shard), event.key);
          tally.reclaimed.delete(event.token);
          tally.holds = Math.max(0, tally.holds - 1);
        }
        return;
      case 'queued':
        if (lockKindOf(event.key) === 'pool') {
          const { contended } = tallyOf(this.#shard(shard), event.key);
          if (contended.size < CONTENDED_MAX) contended.add(event.key);
        }
        return;
      case 'renewed':
      case 'reentered':
      case 'waiterLeft':
      case 'overdue':
      case 'deadlock':
      case 'reclaimRefused':
      case 'recordEdited':
      case 'recordDeleted':
      case 'recordRestored':
      case 'recordUnusable':
      case 'recordRefused':
      case 'recordAccepted':
    }
  }

  /** `waitersOf` tells how many acquires wait for a key now. */
  of(name: string, waitersOf: (key: string) => number): PoolCount {
    let [holds, grants, waiters, looks] = [0, 0, 0, 0];
    for (const { pools } of this.#shards.values()) {
      const tally = pools.get(name);
      if (tally === undefined) continue;
      holds += tally.holds;
      grants += tally.grants;
      for (const key of tally.contended) {
        if (++looks > LOOKS_MAX) break;
        const waiting = waitersOf(key);
        waiters += waiting;
        if (waiting === 0) tally.contended.delete(key);
      }
    }
    return { holds, waiters, grants };
  }

  #granted(shard: ShardTally, key: string, token: number): void {
    shard.firstToken = Math.min(shard.firstToken, token);
    const tally = tallyOf(shard, key);
    tally.holds++;
    tally.grants++;
  }

  #reclaimed(shard: ShardTally, key: string, token: number): void {
    const tally = tallyOf(shard, key);
    if (token >= shard.firstToken || tally.reclaimed.has(token)) return;
    tally.reclaimed.add(token);
    tally.holds++;
  }

  #shard(number: number): ShardTally {
    let shard = this.#shards.get(number);
    if (shard === undefined) {
      shard = { pools: new Map(), firstToken: Number.POSITIVE_INFINITY };
      this.#shards.set(number, shard);
    }
    return shard;
  }
}

function tallyOf({ pools }: ShardTally, key: string): Tally {
  const name = policyNameOf(key);
  let tally = pools.get(name);
  if (tally === undefined) {
    tally = { holds: 0, grants: 0, reclaimed: new Set(), contended: new Set() };
    pools.set(name, tally);
  }
  return tally;
}
