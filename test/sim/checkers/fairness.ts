/**
 * Order of grants, from the owners' own reports: by arrival under Fifo, by priority that grows with the wait under Priority, and
 * in phases between readers and writers. A waiter whose client was not surely heard all the time is left out: it may be passed.
 */
import { PRIORITY_AGING_MS } from '../../../src/api/limits.ts';
import { lockKindOf } from '../../../src/api/lock-id.ts';
import type { LockPolicy } from '../../../src/api/policies.ts';
import { isAbnormalEnd } from '../../../src/api/vocabulary.ts';
import type { AuditEvent, EndedEvent, GrantedEvent } from '../../../src/engine/effects.ts';
import { Violation } from '../violation.ts';

/** A write and its repetition after an unknown outcome. */
const LANDS_WITHIN_MS = 12_000;

interface Waiting {
  readonly ownerId: string;
  readonly mode: 'exclusive' | 'shared';
  readonly arrivedMs: number;
  readonly order: number;
  readonly priority: number;
}

interface Line {
  waiting: Waiting[];
  /** Owner's time at which the present phase began: readers that came later are no part of it. */
  phaseFromMs: number;
  lastMode: 'exclusive' | 'shared';
  /** Owners that stood here twice at once: which of their requests an event means cannot be told. */
  readonly unclear: Set<string>;
  order: number;
}

export interface FairnessOptions {
  /** Policy that is in force; `undefined` if it was changed lately, so that order is not judged. */
  readonly policyOf: (key: string) => LockPolicy | undefined;
  readonly priorityOf: (ownerId: string) => number;
  /** Whether the owner's client was heard without a gap since this moment of the owner's clock. */
  readonly wasHeardSince: (ownerId: string, ownerMs: number) => boolean;
}

export class FairnessChecker {
  readonly #options: FairnessOptions;
  readonly #lines = new Map<string, Line>();

  constructor(options: FairnessOptions) {
    this.#options = options;
  }

  /** A new reign knows no queues. */
  forget(isOfShard: (key: string) => boolean): void {
    for (const key of this.#lines.keys()) if (isOfShard(key)) this.#lines.delete(key);
  }

  audited(event: AuditEvent, ownerMs: number): void {
    if (event.type === 'queued') this.#queued(event.key, event.ownerId, event.mode, ownerMs);
    else if (event.type === 'waiterLeft') this.#leave(event.key, event.ownerId);
    else if (event.type === 'granted') this.#granted(event, ownerMs);
    else if (event.type === 'ended') this.#ended(event, ownerMs);
  }

  /** After an abnormal end its place stays taken for the lock delay. A grant that was told to nobody leaves the line. */
  #ended({ key, ownerId, mode, reason, acknowledged }: EndedEvent, ownerMs: number): void {
    if (!acknowledged) this.#leave(key, ownerId);
    if (mode !== 'exclusive') return;
    // A grant that was never told, or that an earlier owner had made, was a writers' phase all the same.
    this.#lineOf(key).lastMode = 'exclusive';
    const delayMs = isAbnormalEnd(reason) ? (this.#options.policyOf(key)?.lockDelayMs ?? 0) : 0;
    this.#lineOf(key).phaseFromMs = Math.max(this.#lineOf(key).phaseFromMs, ownerMs + delayMs);
  }

  #queued(key: string, ownerId: string, mode: Waiting['mode'], ownerMs: number): void {
    const line = this.#lineOf(key);
    if (line.waiting.some((waiting) => waiting.ownerId === ownerId)) line.unclear.add(ownerId);
    const priority = this.#options.priorityOf(ownerId);
    line.waiting.push({ ownerId, mode, arrivedMs: ownerMs, order: line.order++, priority });
  }

  #leave(key: string, ownerId: string): void {
    const line = this.#lineOf(key);
    const index = line.waiting.findIndex((waiting) => waiting.ownerId === ownerId);
    if (index >= 0) line.waiting.splice(index, 1);
  }

  #granted(event: GrantedEvent, ownerMs: number): void {
    const { key, ownerId, mode, contended, waitedMs } = event;
    const line = this.#lineOf(key);
    const own = line.waiting.find((waiting) => waiting.ownerId === ownerId && waiting.mode === mode);
    if (contended && own !== undefined) this.#leave(key, ownerId);
    const policy = this.#options.policyOf(key);
    const arrivedMs = ownerMs - waitedMs;
    if (policy !== undefined && !line.unclear.has(ownerId)) {
      if (mode === 'exclusive') this.#checkWriter(line, event, own, arrivedMs, ownerMs, policy);
      else if (line.lastMode === 'shared') this.#checkReader(line, event, arrivedMs);
    }
    if (mode === 'exclusive' || line.lastMode === 'exclusive') line.phaseFromMs = Math.max(ownerMs, line.phaseFromMs);
    line.lastMode = mode;
  }

  #checkWriter(
    line: Line,
    { key, ownerId }: GrantedEvent,
    own: Waiting | undefined,
    arrivedMs: number,
    ownerMs: number,
    policy: LockPolicy,
  ): void {
    const ranked = policy.fairness === 'Priority';
    const rankOf = (atMs: number, priority: number) => atMs - (ranked ? priority * PRIORITY_AGING_MS : 0);
    const ownRank = rankOf(arrivedMs, ranked ? this.#options.priorityOf(ownerId) : 0);
    for (const other of line.waiting) {
      if (other.mode !== 'exclusive' || line.unclear.has(other.ownerId)) continue;
      const otherRank = rankOf(other.arrivedMs, other.priority);
      const isBefore = otherRank < ownRank - 0.001 || (!ranked && own !== undefined && other.order < own.order);
      // A durable grant is reported when its write has landed; whoever came meanwhile, of whatever rank, came too late.
      const mayBeTooLate = ranked && lockKindOf(key) === 'lock' && other.arrivedMs > ownerMs - LANDS_WITHIN_MS;
      if (!isBefore || mayBeTooLate || !this.#options.wasHeardSince(other.ownerId, other.arrivedMs)) continue;
      throw new Violation(
        ranked ? 'priority-order' : 'fifo-order',
        `${key} went to ${ownerId} (came at ${arrivedMs.toFixed(1)}) before ${other.ownerId} (came at ${other.arrivedMs.toFixed(1)})`,
        [key, 'owner'],
      );
    }
  }

  /** A reader that came after a writer, and after the present readers' phase began, must wait for that writer. */
  #checkReader(line: Line, { key, ownerId }: GrantedEvent, arrivedMs: number): void {
    for (const writer of line.waiting) {
      if (writer.mode !== 'exclusive' || line.unclear.has(writer.ownerId)) continue;
      if (writer.arrivedMs >= arrivedMs - 0.001 || line.phaseFromMs >= arrivedMs - 0.001) continue;
      if (!this.#options.wasHeardSince(writer.ownerId, writer.arrivedMs)) continue;
      throw new Violation(
        'phase-fairness',
        `the reader ${ownerId} (came at ${arrivedMs.toFixed(1)}) passed the writer ${writer.ownerId} (came at ${writer.arrivedMs.toFixed(1)}) on ${key}`,
        [key, 'owner'],
      );
    }
  }

  #lineOf(key: string): Line {
    let line = this.#lines.get(key);
    if (line === undefined) {
      line = { waiting: [], phaseFromMs: Number.NEGATIVE_INFINITY, lastMode: 'shared', unclear: new Set(), order: 0 };
      this.#lines.set(key, line);
    }
    return line;
  }
}
