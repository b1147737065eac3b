import type { Command } from '../../../src/engine/commands.ts';
import { ShardEngine } from '../../../src/engine/engine.ts';
import type { ShardSnapshot } from '../../../src/engine/records.ts';
import type { ShardStart } from '../../../src/engine/shard.ts';
import { durationText } from './durations.ts';
import { Leases } from './leases.ts';
import type { Line } from './line.ts';
import { stepLines } from './print.ts';

/** A client session as it knows itself: it outlives the owners it talks to. */
export interface ScriptSession {
  readonly name: string;
  readonly id: number;
  readonly principal: string;
  readonly slot: number;
  readonly inProcess: boolean;
  connection: number;
  frame: number;
  ref: number;
}

/** What a scenario acts on: one engine at a time, the clock, the sessions, and the Leases that outlive them all. */
export class World {
  readonly leases = new Leases();
  readonly sessions = new Map<string, ScriptSession>();
  nowMs = 0;
  snapshot: ShardSnapshot | undefined;
  #engine: ShardEngine | undefined;
  #wakeAtMs = Number.POSITIVE_INFINITY;

  get engine(): ShardEngine {
    if (this.#engine === undefined) throw new Error('there is no owner yet: begin with `owner A`');
    return this.#engine;
  }

  /** A new owner's engine; whatever the one before it had not written is gone, what it had sent may land still. */
  start(start: ShardStart): void {
    for (const [attempt, write] of this.leases.inFlight) this.leases.adrift.set(attempt, write);
    this.leases.inFlight.clear();
    this.sessions.delete('admin');
    this.#engine = new ShardEngine(start);
    this.#wakeAtMs = Number.POSITIVE_INFINITY;
  }

  session(name: string, line: Line): ScriptSession {
    return this.sessions.get(name) ?? line.fail(`there is no session ${name}`);
  }

  /** Gives the engine one command and prints what came of it. `quiet`: do not say so if that was nothing. */
  apply(command: Command, quiet = false): string[] {
    let step;
    try {
      step = this.engine.apply(command, this.nowMs);
      this.engine.checkInvariants();
    } catch (error) {
      return [`broken ${String(error)}`];
    }
    for (const effect of step.effects)
      if (effect.kind === 'persistLock' || effect.kind === 'persistShard') this.leases.send(effect);
    const lines = stepLines(step, (sessionId) => this.#nameOf(sessionId));
    lines.push(...this.wakeLines());
    return lines.length === 0 && !quiet ? ['nothing'] : lines;
  }

  /** When the engine wants its next tick, if that changed. */
  wakeLines(): string[] {
    const { wakeAtMs } = this.engine;
    if (wakeAtMs === this.#wakeAtMs) return [];
    this.#wakeAtMs = wakeAtMs;
    return [`wake   ${durationText(wakeAtMs)}`];
  }

  #nameOf(sessionId: number): string {
    for (const session of this.sessions.values()) if (session.id === sessionId) return session.name;
    return `session ${sessionId}`;
  }
}
