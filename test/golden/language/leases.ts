import type { PersistLockEffect, PersistShardEffect } from '../../../src/engine/effects.ts';
import type { LockRecord, ShardRecord, StoredLockRecord } from '../../../src/engine/records.ts';

/** A write that the engine asked for. The driver, not the engine, knows the version of the shard's Lease. */
export interface Write {
  readonly effect: PersistLockEffect | PersistShardEffect;
  readonly version: string | undefined;
}

/**
 * The store behind a scenario: one Lease for each lock and one for the shard, every write by compare-and-swap on a version. It
 * decides nothing by itself: a write waits until the scenario says what became of it.
 */
export class Leases {
  readonly locks = new Map<string, StoredLockRecord | { readonly damaged: true; readonly version: string }>();
  shard: { readonly record: ShardRecord; readonly version: string } | undefined;
  /** Sent and not yet answered, by attempt. */
  readonly inFlight = new Map<string, Write>();
  /** Answered as unknown: they may land at any time. */
  readonly adrift = new Map<string, Write>();
  #versions = 0;

  send(effect: PersistLockEffect | PersistShardEffect): void {
    const version = effect.kind === 'persistLock' ? effect.version : this.shard?.version;
    this.inFlight.set(effect.attempt, { effect, version });
  }

  nextVersion(): string {
    this.#versions++;
    return `v${this.#versions}`;
  }

  /** The version now there of the Lease that this write is for; `undefined` if there is none. */
  versionFor({ effect }: Write): string | undefined {
    return effect.kind === 'persistLock' ? this.locks.get(effect.record.key)?.version : this.shard?.version;
  }

  /** The write lands if the Lease is still as the writer knew it; the new version, or `undefined` if it is barred. */
  land(write: Write): string | undefined {
    if (this.versionFor(write) !== write.version) return undefined;
    const version = this.nextVersion();
    const { effect } = write;
    if (effect.kind === 'persistLock') this.locks.set(effect.record.key, { record: effect.record, version });
    else this.shard = { record: effect.record, version };
    return version;
  }

  /** Somebody else's hand: not by compare-and-swap. */
  put(record: LockRecord): void {
    this.locks.set(record.key, { record, version: this.nextVersion() });
  }

  /** The record on a lock's Lease, if there is one that can be read. */
  readable(key: string): StoredLockRecord | undefined {
    const lease = this.locks.get(key);
    return lease !== undefined && 'record' in lease ? lease : undefined;
  }
}
