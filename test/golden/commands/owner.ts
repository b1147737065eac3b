import type { ShardRecord } from '../../../src/engine/records.ts';
import { shardRecordText, snapshotLines } from '../language/print-records.ts';
import type { Line } from '../language/line.ts';
import { keyOf, lockIdOf } from '../language/names.ts';
import type { World } from '../language/world.ts';
import type { Handlers } from './handler.ts';
import { holdersOf } from './store.ts';

/** Small, so that a scenario can use a block up. */
const TOKEN_BLOCK = 1_000;

/**
 * Owners come and go. `owner` begins with the record it states, `takeover` with what stands on the shard's Lease; `freeze`,
 * `export`, `import` and `resume` are a planned hand-over.
 */
export const ownerHandlers: Handlers = {
  owner(world, line) {
    const name = line.word('name of the owner');
    const tokenNext = line.integer('nextToken') ?? 1;
    const record: ShardRecord = {
      epoch: line.integer('epoch') ?? 1,
      counter: line.integer('counter') ?? tokenNext + TOKEN_BLOCK - 1,
      graceMs: line.durationMs('grace') ?? 60_000,
      slots: slotsOf(line),
      slotsOverflow: line.says('overflow'),
      revocations: [],
      attempt: `${name}.takeover`,
    };
    const graceRemainingMs = line.durationMs('reclaims') ?? 0;
    line.end();
    return begin(world, name, record, tokenNext, graceRemainingMs, true);
  },

  takeover(world, line) {
    const name = line.word('name of the new owner');
    const found = world.leases.shard?.record ?? line.fail('no earlier owner');
    const planned = line.says('planned');
    const restored = line.says('restored');
    const seenToken = line.integer('seenToken') ?? 0;
    const seenGraceMs = line.durationMs('seenGrace') ?? 0;
    line.end();
    const tokenNext = Math.max(found.counter, seenToken) + 1;
    const record: ShardRecord = {
      ...found,
      epoch: found.epoch + 1,
      counter: tokenNext + TOKEN_BLOCK - 1,
      graceMs: Math.max(found.graceMs, seenGraceMs),
      attempt: `${name}.takeover`,
    };
    return begin(world, name, record, tokenNext, planned ? 0 : record.graceMs, !restored);
  },

  freeze(world, line) {
    line.end();
    return [...world.apply({ kind: 'freeze' }, true), world.engine.isDrained ? 'drained' : 'a write is in flight'];
  },

  export(world, line) {
    line.end();
    try {
      world.snapshot = world.engine.exportSnapshot(world.nowMs);
    } catch (error) {
      return [`refused ${String(error)}`];
    }
    return snapshotLines(world.snapshot);
  },

  import(world, line) {
    line.end();
    const snapshot = world.snapshot ?? line.fail('nothing was exported');
    return world.apply({ kind: 'import', snapshot });
  },

  resume(world, line) {
    line.end();
    return world.apply({ kind: 'resume' });
  },

  adopt(world, line) {
    const key = keyOf(line.word('lock'));
    const counterFloor = line.integer('floor') ?? 1;
    line.end();
    const stored = world.leases.readable(key) ?? line.fail(`${lockIdOf(key)} has no Lease that can be read`);
    return world.apply({ kind: 'adopt', stored, counterFloor });
  },

  /** `remember LOCK landed=N [counter=N] [holders=...]`: what an earlier reign in the same process knew. */
  remember(world, line) {
    const key = keyOf(line.word('lock'));
    const landedCounter = line.integer('landed') ?? line.fail('landed is missing');
    const counter = line.integer('counter') ?? landedCounter;
    const holders = holdersOf(line);
    line.end();
    return world.apply({ kind: 'remember', key, counter, landedCounter, holders });
  },
};

function slotsOf(line: Line): number[] {
  const text = line.pair('slots') ?? '1-9';
  if (text === 'none') return [];
  return text.split(',').flatMap((part) => {
    const [first, last] = part.split('-').map(Number);
    if (first === undefined || !Number.isInteger(first)) line.fail('slots must be like 1-9, 1,3 or none');
    return Array.from({ length: (last ?? first) - first + 1 }, (_, index) => first + index);
  });
}

function begin(
  world: World,
  name: string,
  record: ShardRecord,
  tokenNext: number,
  graceRemainingMs: number,
  graceMayEndEarly: boolean,
): string[] {
  world.leases.shard = { record, version: world.leases.nextVersion() };
  world.start({
    shard: 0,
    incarnation: name,
    record,
    tokenNext,
    graceRemainingMs,
    graceMayEndEarly,
    tokenBlock: TOKEN_BLOCK,
    nowMs: world.nowMs,
  });
  const serving = world.engine.inGrace ? 'reclaims only' : 'serving';
  return [`lease  shard: ${shardRecordText(record)}`, `${serving}, next token ${tokenNext}`, ...world.wakeLines()];
}
