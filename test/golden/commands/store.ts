import { type Mode, MODES } from '../../../src/api/vocabulary.ts';
import type { FoundLease } from '../../../src/engine/commands.ts';
import type { HolderRecord } from '../../../src/engine/records.ts';
import { readDurationMs } from '../language/durations.ts';
import type { Write } from '../language/leases.ts';
import type { Line } from '../language/line.ts';
import { keyOf, lockIdOf } from '../language/names.ts';
import { lockRecordText, shardRecordText } from '../language/print-records.ts';
import type { World } from '../language/world.ts';
import type { Handlers } from './handler.ts';

const OUTCOMES = ['ok', 'conflict', 'unknown', 'rejected'] as const;

/** What becomes of writes, and what others do to the Leases meanwhile. */
export const storeHandlers: Handlers = {
  /** `persisted OUTCOME [LOCK | shard | ATTEMPT]`: the one write in flight, or the named one. */
  persisted(world, line) {
    const word = line.word('outcome');
    const outcome = OUTCOMES.find((each) => each === word) ?? line.fail(`an outcome is one of ${OUTCOMES.join(', ')}`);
    const write = writeInFlight(world, line, line.wordIfAny());
    const message = line.pair('message');
    line.end();
    const { leases } = world;
    const { effect } = write;
    leases.inFlight.delete(effect.attempt);
    const key = effect.kind === 'persistLock' ? effect.record.key : undefined;
    const answer = { kind: 'persisted', key, attempt: effect.attempt, message } as const;
    const isCurrent = leases.versionFor(write) === write.version;
    switch (outcome) {
      case 'ok':
        if (!isCurrent) line.fail(`the store would refuse this write: its Lease is at ${leases.versionFor(write)}`);
        return world.apply({ ...answer, outcome, version: leases.land(write) });
      case 'conflict': {
        if (isCurrent) line.fail('the store would accept this write: nobody else changed its Lease');
        const lease = key === undefined ? undefined : leases.locks.get(key);
        const found = lease !== undefined && 'damaged' in lease ? { damagedVersion: lease.version } : { stored: lease };
        return world.apply({ ...answer, outcome, ...found });
      }
      case 'unknown':
        leases.adrift.set(effect.attempt, write);
        return world.apply({ ...answer, outcome });
      case 'rejected':
    }
    return world.apply({ ...answer, outcome });
  },

  /** A write whose outcome nobody learned reaches the store now. */
  lands(world, line) {
    const attempt = line.word('attempt');
    line.end();
    const write = world.leases.adrift.get(attempt) ?? line.fail(`no write ${attempt} is adrift`);
    world.leases.adrift.delete(attempt);
    const version = world.leases.land(write);
    const found = world.leases.versionFor(write) ?? 'gone';
    return [version === undefined ? `barred, its Lease is ${found}` : `the Lease is ${version}`];
  },

  /**
   * `sees LOCK [astray="..."]`: the owner reads the lock's Lease as it stands, while nothing of its own is under way; `sees LOCK
   * foreign`: it finds somebody else's. `sees shard edited|deleted`.
   */
  sees(world, line) {
    const lockId = line.word('lock or shard');
    if (lockId === 'shard') {
      const change = line.says('deleted') ? 'recordDeleted' : 'recordEdited';
      if (change === 'recordEdited' && !line.says('edited')) line.fail('a shard is edited or deleted');
      line.end();
      return world.apply({ kind: 'shardLeaseSeen', change, text: 'by hand' });
    }
    const key = keyOf(lockId);
    const counterFloor = line.integer('floor') ?? 1;
    const astray = line.pair('astray');
    const isForeign = line.says('foreign');
    line.end();
    const lease = world.leases.locks.get(key);
    const found: FoundLease = isForeign
      ? { kind: 'unusable', text: 'it belongs to somebody else' }
      : lease === undefined
        ? { kind: 'gone' }
        : 'damaged' in lease
          ? { kind: 'damaged', version: lease.version, text: 'annotation holders is no JSON' }
          : { kind: 'record', stored: lease, astray };
    return world.apply({ kind: 'leaseSeen', key, found, counterFloor });
  },

  /** `lease LOCK ...`: somebody else's hand writes, damages or removes a lock's Lease. Without more it is only shown. */
  lease(world, line) {
    const lockId = line.word('lock or shard');
    const { leases } = world;
    if (lockId === 'shard') {
      line.end();
      return leases.shard === undefined
        ? ['none']
        : [`${leases.shard.version} ${shardRecordText(leases.shard.record)}`];
    }
    const key = keyOf(lockId);
    if (line.says('gone')) leases.locks.delete(key);
    else if (line.says('damaged')) leases.locks.set(key, { damaged: true, version: leases.nextVersion() });
    else edit(world, line, key);
    line.end();
    const lease = leases.locks.get(key);
    if (lease === undefined) return ['none'];
    return [
      `${lease.version} ${'damaged' in lease ? 'damaged' : `${lockRecordText(lease.record)} attempt=${lease.record.attempt}`}`,
    ];
  },
};

function edit(world: World, line: Line, key: string): void {
  const counter = line.integer('counter');
  if (counter === undefined) return;
  const holders = holdersOf(line);
  world.leases.put({
    key,
    counter,
    fenceFloor: Math.min(counter + 1, ...holders.map((holder) => holder.token)),
    holders,
    lockDelayMs: line.durationMs('lockDelay') ?? 0,
    attempt: line.pair('attempt') ?? 'somebody-else',
  });
}

/** `holders=alice@pod-a/7/15s,bob@pod-b/8/15s/shared`. */
export function holdersOf(line: Line): HolderRecord[] {
  const text = line.pair('holders');
  if (text === undefined) return [];
  return text.split(',').map((holder) => {
    const [owner = '', token, ttl = '', mode = 'exclusive'] = holder.split('/');
    const [ownerId = '', principal = ''] = owner.split('@');
    const ttlMs = readDurationMs(ttl);
    if (principal === '' || ttlMs === undefined || !MODES.includes(mode as Mode))
      line.fail('holders are like alice@pod-a/7/15s or bob@pod-b/8/15s/shared');
    return { principal, ownerId, mode: mode as Mode, token: Number(token), ttlMs };
  });
}

function writeInFlight(world: World, line: Line, named: string | undefined): Write {
  const { inFlight } = world.leases;
  const found = [...inFlight.values()].filter(({ effect }) => {
    const target = effect.kind === 'persistLock' ? lockIdOf(effect.record.key) : 'shard';
    return named === undefined || named === target || named === effect.attempt;
  });
  if (found.length === 1) return found[0] as Write;
  return line.fail(
    found.length === 0 ? 'no such write is in flight' : `name one of ${[...inFlight.keys()].join(', ')}`,
  );
}
