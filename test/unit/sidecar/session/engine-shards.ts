import type { Inspection, LostPush, Operation, Reply } from '../../../../src/api/operations.ts';
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY, type LockPolicy } from '../../../../src/api/policies.ts';
import { SHARD_COUNT, shardOf } from '../../../../src/api/shard-hash.ts';
import type { SessionListener, SessionTransport } from '../../../../src/api/transport.ts';
import type { Command } from '../../../../src/engine/commands.ts';
import type { Effect } from '../../../../src/engine/effects.ts';
import { ShardEngine } from '../../../../src/engine/engine.ts';
import type { LockRecord, ShardRecord } from '../../../../src/engine/records.ts';
import type { Timers } from '../../../../src/system/timers.ts';
import type { Clock } from '../../../../src/system/clock.ts';

const TOKEN_BLOCK = 1_000_000;

interface Shard {
  engine: ShardEngine;
  record: ShardRecord;
  /** Written lock records, by key, with their version. */
  readonly locks: Map<string, { record: LockRecord; version: string }>;
  /** Commands to run after the present one. */
  readonly commands: Command[];
  running: boolean;
  wake: Disposable | undefined;
}

interface Connected {
  readonly listener: SessionListener;
  readonly connection: number;
  open: boolean;
  /** Owners as this session was told of them; what it sends to one that is none any more goes nowhere. */
  readonly owners: Map<number, Shard>;
  /** When the newest frame arrives: frames never overtake each other. */
  arrivesAtMs: number;
}

/**
 * The lock engine behind the port of a session, one engine for each shard, every write landing at once. The way there and
 * back takes as long as the test says. No authority, no authorisation: those are not the session's affair.
 */
export class EngineShards {
  /** On the way to the owner, and back; where it is a function, replies overtake each other. */
  upMs: number | (() => number) = 0;
  downMs: number | (() => number) = 0;
  /** While true nothing arrives at the owners. */
  cut = false;
  readonly #time: Clock & Timers;
  readonly #pools: Readonly<Record<string, LockPolicy>>;
  readonly #locks: Readonly<Record<string, LockPolicy>>;
  readonly #shards = new Map<number, Shard>();
  readonly #sessions = new Map<number, Connected>();
  #version = 0;

  /** Policies by `namespace/name`; the pool `team/pool` and the lock `team/migrations` have the default ones. */
  constructor(
    time: Clock & Timers,
    pools: Readonly<Record<string, Partial<LockPolicy>>> = {},
    locks: Readonly<Record<string, Partial<LockPolicy>>> = {},
  ) {
    this.#time = time;
    this.#pools = policies({ 'team/pool': {}, ...pools }, DEFAULT_POOL_POLICY);
    this.#locks = policies({ 'team/migrations': {}, ...locks }, DEFAULT_LOCK_POLICY);
  }

  /** Connects a session; one that was there before is resumed. Pass the answer as `openTransport`. */
  connect(sessionId: number): (listener: SessionListener) => SessionTransport {
    return (listener) => {
      const connection = (this.#sessions.get(sessionId)?.connection ?? 0) + 1;
      const connected: Connected = { listener, connection, open: true, owners: new Map(), arrivesAtMs: 0 };
      this.#sessions.set(sessionId, connected);
      for (const shard of this.#shards.values()) {
        this.#openSession(shard, sessionId);
        if (connection > 1) this.#tellEpoch(connected, shard);
      }
      let frame = 0;
      return {
        send: (operations) => {
          frame++;
          const number = frame;
          const addressed = operations.map((operation) => ({ operation, owner: this.#ownerFor(connected, operation) }));
          this.#up(connected, () => this.#receive(sessionId, connected, number, addressed));
          return number;
        },
        list: ({ namespace, prefix, after, limit }) => Promise.resolve(this.#list(namespace, prefix, after, limit)),
        reclaimComplete: (index, epoch) => {
          this.#up(connected, () => {
            const shard = this.#shards.get(index);
            if (shard?.engine.epoch === epoch) this.#run(shard, { kind: 'reclaimComplete', sessionId, connection });
          });
        },
        close: (reason) => {
          this.#up(connected, () => {
            connected.open = false;
            for (const shard of this.#shards.values())
              this.#run(shard, { kind: 'closeSession', sessionId, connection, reason });
          });
        },
      };
    };
  }

  /** The owner of the key's shard dies; another takes over from the record, with grace. Replies on their way still arrive. */
  crash(key: string): void {
    const number = shardOf(key);
    const old = this.#shard(number);
    old.wake?.[Symbol.dispose]();
    const epoch = old.record.epoch + 1;
    const record = { ...old.record, epoch, counter: old.record.counter + TOKEN_BLOCK };
    const shard = this.#start(number, record, old.record.counter + 1, old.record.graceMs, old.locks);
    for (const { record: lock, version } of old.locks.values())
      this.#run(shard, { kind: 'adopt', stored: { record: lock, version }, counterFloor: 1 });
    this.#configure(shard);
    this.#announce(shard);
  }

  /** The key's shard is handed over, with everything its owner knew. Not during a grace: its reclaims would be cut off. */
  handOver(key: string): void {
    const number = shardOf(key);
    const old = this.#shard(number);
    if (old.engine.inGrace) return;
    old.wake?.[Symbol.dispose]();
    this.#run(old, { kind: 'freeze' });
    const snapshot = old.engine.exportSnapshot(this.#time.monotonicMs());
    const record = { ...old.record, epoch: old.record.epoch + 1, counter: snapshot.counter + TOKEN_BLOCK };
    const shard = this.#start(number, record, snapshot.counter + 1, 0, old.locks);
    this.#configure(shard);
    this.#run(shard, { kind: 'import', snapshot });
    this.#announce(shard);
  }

  /** How the key stands with its owner now. */
  inspect(key: string): Inspection {
    const found = this.#shard(shardOf(key)).engine.inspect(key, this.#time.monotonicMs());
    if (found === undefined) throw new Error(`${key} is unknown`);
    return found;
  }

  holdCount(): number {
    let count = 0;
    for (const { engine } of this.#shards.values()) count += engine.holdCount;
    return count;
  }

  #up(from: Connected, arrive: () => void): void {
    const nowMs = this.#time.monotonicMs();
    from.arrivesAtMs = Math.max(from.arrivesAtMs, nowMs + delayOf(this.upMs));
    this.#time.after(from.arrivesAtMs - nowMs, arrive);
  }

  #ownerFor(connected: Connected, { key }: Operation): Shard {
    const number = shardOf(key);
    const owner = connected.owners.get(number) ?? this.#shard(number);
    connected.owners.set(number, owner);
    return owner;
  }

  #receive(
    sessionId: number,
    from: Connected,
    frame: number,
    addressed: readonly { readonly operation: Operation; readonly owner: Shard }[],
  ): void {
    if (this.cut || !from.open || this.#sessions.get(sessionId) !== from) return;
    const { connection } = from;
    if (addressed.length === 0)
      for (const shard of this.#shards.values()) this.#run(shard, { kind: 'heard', sessionId, connection, frame });
    for (const { operation, owner } of addressed)
      if (this.#shards.get(owner.engine.shard) === owner)
        this.#run(owner, { kind: 'operation', ...{ sessionId, connection, frame, operation } });
  }

  #shard(number: number): Shard {
    const known = this.#shards.get(number);
    if (known !== undefined) return known;
    const record = {
      ...{ epoch: 1, counter: TOKEN_BLOCK, graceMs: 0, slots: [], slotsOverflow: false, revocations: [] },
      attempt: 'first',
    };
    const shard = this.#start(number, record, 1, 0, new Map());
    this.#configure(shard);
    return shard;
  }

  #start(
    number: number,
    record: ShardRecord,
    tokenNext: number,
    graceRemainingMs: number,
    locks: Shard['locks'],
  ): Shard {
    const engine = new ShardEngine({
      ...{ shard: number, incarnation: `owner-${record.epoch}`, record, tokenNext, graceRemainingMs },
      ...{ graceMayEndEarly: true, tokenBlock: TOKEN_BLOCK, nowMs: this.#time.monotonicMs() },
    });
    const shard: Shard = { engine, record, locks, commands: [], running: false, wake: undefined };
    this.#shards.set(number, shard);
    for (const sessionId of this.#sessions.keys()) this.#openSession(shard, sessionId);
    return shard;
  }

  #configure(shard: Shard): void {
    for (const [name, policy] of Object.entries(this.#pools))
      this.#run(shard, { kind: 'configure', resource: 'pool', name, policy, counterFloor: 1 });
    for (const [name, policy] of Object.entries(this.#locks))
      if (shardOf(name) === shard.engine.shard)
        this.#run(shard, { kind: 'configure', resource: 'lock', name, policy, counterFloor: 1 });
  }

  #openSession(shard: Shard, sessionId: number): void {
    const connection = this.#sessions.get(sessionId)?.connection ?? 1;
    const principal = `pod-${sessionId}`;
    this.#run(shard, {
      kind: 'openSession',
      ...{ sessionId, connection, principal, slot: sessionId, inProcess: false },
    });
  }

  #announce(shard: Shard): void {
    for (const session of this.#sessions.values()) this.#tellEpoch(session, shard);
  }

  #tellEpoch(session: Connected, shard: Shard): void {
    const number = shard.engine.shard;
    this.#time.after(delayOf(this.downMs), () => {
      const known = session.owners.get(number);
      if (!session.open || (known !== undefined && known.record.epoch > shard.record.epoch)) return;
      session.owners.set(number, shard);
      session.listener.onEpoch(number, shard.record.epoch);
    });
  }

  #run(shard: Shard, command: Command): void {
    // An owner that was followed by another does and writes nothing any more.
    if (this.#shards.get(shard.engine.shard) !== shard) return;
    shard.commands.push(command);
    if (shard.running) return;
    shard.running = true;
    for (let next = shard.commands.shift(); next !== undefined; next = shard.commands.shift()) {
      const step = shard.engine.apply(next, this.#time.monotonicMs());
      for (const [index, reply] of step.replies.entries()) this.#deliver(step.recipients[index] ?? 0, reply);
      for (const effect of step.effects) this.#runEffect(shard, effect);
    }
    shard.running = false;
    this.#wakeLater(shard);
  }

  #runEffect(shard: Shard, effect: Effect): void {
    if (effect.kind === 'persistShard') {
      shard.record = effect.record;
      shard.commands.push({ kind: 'persisted', key: undefined, attempt: effect.attempt, outcome: 'ok' });
    } else if (effect.kind === 'persistLock') {
      const version = String(++this.#version);
      const { key } = effect.record;
      shard.locks.set(key, { record: effect.record, version });
      shard.commands.push({ kind: 'persisted', key, attempt: effect.attempt, outcome: 'ok', version });
    } else if (effect.kind === 'audit' && effect.event.type === 'ended') {
      const { key, token, ownerId, reason, acknowledged, sessionId } = effect.event;
      if (!acknowledged || reason === 'released' || reason === 'disowned' || reason === 'goodbye') return;
      this.#deliver(sessionId, { kind: 'lost', key, token, ownerId, reason, epoch: shard.engine.epoch });
    }
  }

  #deliver(sessionId: number, message: Reply | LostPush): void {
    const to = this.#sessions.get(sessionId);
    if (to === undefined) return;
    this.#time.after(delayOf(this.downMs), () => {
      if (!to.open) return;
      if (message.kind === 'lost') to.listener.onLost(message);
      else to.listener.onReply(message);
    });
  }

  #wakeLater(shard: Shard): void {
    shard.wake?.[Symbol.dispose]();
    const inMs = shard.engine.wakeAtMs - this.#time.monotonicMs();
    shard.wake = this.#time.after(Math.max(0, inMs), () => this.#run(shard, { kind: 'tick', lateMs: 0 }));
  }

  #list(namespace: string, prefix: string, after: string, limit: number): Inspection[] {
    const keys: string[] = [];
    for (let number = 0; number < SHARD_COUNT; number++)
      keys.push(...this.#shard(number).engine.listKeys(`${namespace}/${prefix}`, `${namespace}/${after}`, limit));
    return keys
      .toSorted()
      .slice(0, limit)
      .map((key) => this.inspect(key));
  }
}

function delayOf(delay: number | (() => number)): number {
  return typeof delay === 'number' ? delay : delay();
}

function policies(
  named: Readonly<Record<string, Partial<LockPolicy>>>,
  usual: LockPolicy,
): Readonly<Record<string, LockPolicy>> {
  return Object.fromEntries(Object.entries(named).map(([name, policy]) => [name, { ...usual, ...policy }]));
}
