import type { HoldReply, Operation, Reply } from '../../src/api/operations.ts';
import { DEFAULT_POOL_POLICY, type LockPolicy } from '../../src/api/policies.ts';
import { ShardEngine } from '../../src/engine/engine.ts';
import type { Step } from '../../src/engine/state.ts';

/** Virtual time between two commands: fast enough that nothing expires within a benchmark. */
const STEP_MS = 0.001;

/**
 * One engine with one session, driven as a driver would: every effect is looked at, writes of the shard's record succeed at
 * once, replies are handed back.
 */
export class EngineWorld {
  readonly engine: ShardEngine;
  nowMs = 0;
  #frame = 0;
  #ref = 0;
  /** Effects seen, so that draining them is not optimised away. */
  effectCount = 0;

  constructor(policy: LockPolicy = DEFAULT_POOL_POLICY) {
    this.engine = new ShardEngine({
      shard: 0,
      incarnation: 'bench',
      record: {
        epoch: 1,
        counter: 1_000_000,
        graceMs: 60_000,
        slots: [1],
        slotsOverflow: false,
        revocations: [],
        attempt: 'bench',
      },
      tokenNext: 1,
      graceRemainingMs: 0,
      graceMayEndEarly: true,
      tokenBlock: 1_000_000,
      nowMs: 0,
    });
    this.#drain(
      this.engine.apply({ kind: 'configure', resource: 'pool', name: 'bench/pool', policy, counterFloor: 0 }, 0),
    );
    const session = { sessionId: 1, connection: 1, principal: 'bench', slot: 1, inProcess: true };
    this.#drain(this.engine.apply({ kind: 'openSession', ...session }, 0));
  }

  nextRef(): number {
    return ++this.#ref;
  }

  /** Sends one operation and returns all that was answered. */
  send(operation: Operation): readonly Reply[] {
    this.nowMs += STEP_MS;
    return this.#drain(
      this.engine.apply(
        { kind: 'operation', sessionId: 1, connection: 1, frame: ++this.#frame, operation },
        this.nowMs,
      ),
    );
  }

  acquire(key: string, ownerId: string, timeoutMs = 0): readonly Reply[] {
    return this.send({ op: 'acquire', ref: this.nextRef(), key, ownerId, mode: 'exclusive', timeoutMs, ttlMs: 60_000 });
  }

  release(key: string, token: number): readonly Reply[] {
    return this.send({ op: 'release', ref: this.nextRef(), key, token });
  }

  #drain(step: Step): readonly Reply[] {
    for (const effect of step.effects) {
      this.effectCount++;
      if (effect.kind === 'persistShard') {
        this.#drain(
          this.engine.apply({ kind: 'persisted', key: undefined, attempt: effect.attempt, outcome: 'ok' }, this.nowMs),
        );
      }
    }
    return step.replies;
  }
}

/** The hold in the last reply; throws if the request was not granted. */
export function holdIn(replies: readonly Reply[]): HoldReply {
  const last = replies.at(-1);
  if (last?.kind !== 'hold') throw new Error(`expected a hold, got ${JSON.stringify(last)}`);
  return last;
}
