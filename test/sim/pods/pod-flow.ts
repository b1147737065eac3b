/** One use of locks by an application, as its code would be written against the localhost API. */
import type { LockkeeperError } from '../../../src/api/codes.ts';
import { splitLockKey } from '../../../src/api/lock-id.ts';
import type { AcquireRequest } from '../../../src/api/requests.ts';
import type { Hold } from '../../../src/api/responses.ts';
import { REFUSED } from '../flow.ts';
import type { PodUse } from '../plan.ts';
import { AppHold, type Sent } from './app-hold.ts';
import type { Pod } from './pod.ts';

const RETRIES_MAX = 5;
/** Nobody waits longer than this, whatever was asked. */
const GIVES_UP_AFTER_MS = 60_000;

export function lockIdOf(key: string): string {
  return splitLockKey(key).lockId;
}

export class PodFlow {
  readonly pod: Pod;
  readonly use: PodUse;
  readonly #generation: number;

  constructor(pod: Pod, use: PodUse) {
    this.pod = pod;
    this.use = use;
    this.#generation = pod.generation;
  }

  get label(): string {
    return `${this.pod.name} ${this.use.kind} ${this.use.ownerId ?? 'anonymous'} ${this.use.keys.join(' ')}`;
  }

  get about(): readonly string[] {
    return [`${this.pod.name} `, ...this.use.keys];
  }

  /** Its application is gone, and will never end it. */
  get isAbandoned(): boolean {
    return this.pod.generation !== this.#generation;
  }

  async run(): Promise<void> {
    const { use, pod } = this;
    const key = use.keys[0] as string;
    const requestId = use.named ? `${pod.name}.r${use.id}` : undefined;
    const hold = await this.#acquire(key, requestId);
    if (hold === undefined) return;
    for (let entry = 0; entry < use.reentries && hold.isBelieved; entry++) {
      const again = await this.#acquire(key, use.named ? `${requestId}.${entry}` : undefined);
      if (again === hold) pod.simulation.coverage.hit('reenteredByCall');
      else if (again !== undefined) await this.release(again);
      await pod.sleep(pod.chance.between(1, 300));
      if (again === hold && pod.chance.happens(0.6)) await this.release(hold);
    }
    await this.keep([hold]);
    if (use.end === 'abandon' || this.isAbandoned) return;
    while (hold.uses > 0 && !hold.ended) await this.release(hold);
    // Where other sections may share the owner, a second release would be theirs.
    if (use.end === 'releaseTwice' && use.ownerId?.includes('.main') !== true) await this.#releaseAgain(hold);
  }

  /** Notes what was granted. */
  take(hold: Hold, sent: Sent): AppHold {
    const { pod } = this;
    const key = `${hold.namespace}/${hold.lockId}`;
    const token = Number(hold.fencingToken);
    const id = `${key}#${token}`;
    const told = { key, token, ownerId: hold.ownerId, mode: hold.mode };
    let known = pod.holds.get(id);
    const wasBelieved = known?.isBelieved ?? false;
    if (known === undefined) pod.holds.set(id, (known = new AppHold(pod, told, sent, hold.validForMs)));
    else known.acknowledge(sent, hold.validForMs);
    known.uses++;
    const { history, checks, coverage } = pod.simulation;
    coverage.hit('callGranted');
    history.note(pod.name, `app told ${id} ${hold.ownerId} depth ${hold.depth} left ${known.leftMs.toFixed(0)}`);
    checks.clientTold(known, told, sent.trueMs, wasBelieved);
    return known;
  }

  /** Holds on: renews, or asks how it stands where the sidecar renews. */
  async keep(holds: readonly AppHold[]): Promise<void> {
    const { use, pod } = this;
    let leftMs = use.holdForMs;
    while (leftMs > 0 && !this.isAbandoned && holds.every((hold) => !hold.ended)) {
      if (pod.simulation.isCalm && leftMs > 3_000) leftMs = 3_000;
      const napMs = Math.min(leftMs, use.lookEveryMs);
      await pod.sleep(napMs);
      leftMs -= napMs;
      if (leftMs <= 0 || this.isAbandoned) return;
      for (const hold of holds)
        if (!hold.ended) await (use.kind === 'plain' || use.kind === 'all' ? this.#renew(hold) : this.look(hold));
    }
  }

  /** Whether the hold is alive, as a probe asks. */
  async look(hold: AppHold): Promise<void> {
    const { pod } = this;
    try {
      const { sent, answer } = await pod.call((locks, context) =>
        locks.held(lockIdOf(hold.key), String(hold.token), undefined, context),
      );
      if (this.use.kind === 'auto') pod.simulation.coverage.hit('autoRenewed');
      this.#acknowledge(hold, sent, answer.validForMs);
    } catch (error) {
      const { code } = error as LockkeeperError;
      if (code !== 'NOT_HELD') return;
      pod.simulation.coverage.hit('heldNoMore');
      this.drop(hold);
    }
  }

  /** Leaves one section. At the last one the application stops believing before it says so. */
  async release(hold: AppHold): Promise<void> {
    const { pod } = this;
    if (hold.ended || this.isAbandoned) return;
    hold.uses--;
    const isLast = hold.uses <= 0;
    if (isLast) this.drop(hold);
    const body = { fencingToken: String(hold.token), ownerId: hold.ownerId };
    for (let attempt = 0; attempt < RETRIES_MAX && !this.isAbandoned; attempt++) {
      try {
        const { answer } = await pod.call((locks, context) => locks.release(lockIdOf(hold.key), body, context));
        if (answer.released) pod.simulation.checks.released(hold);
        return;
      } catch (error) {
        // Asking again may take a second depth: only at the last section does that do no harm.
        if (!this.noteRefusal(error) || !isLast) return;
        await pod.sleep(pod.chance.between(100, 900));
      }
    }
  }

  /** Counts the refusal; true if asking again may help. */
  noteRefusal(error: unknown): boolean {
    const { coverage, isCalm } = this.pod.simulation;
    const { code, details } = error as LockkeeperError;
    if (details['reason'] === 'cutOff') coverage.hit('callCutOff');
    const path = REFUSED[code];
    if (path !== undefined) coverage.hit(path);
    if (code === 'INTERNAL') this.pod.simulation.failWith((error as LockkeeperError).cause ?? error);
    return code === 'OUTCOME_UNKNOWN' || code === 'UNAVAILABLE' || (code === 'QUEUE_FULL' && isCalm);
  }

  /** A signal by which the application hangs up. */
  hangUpSignal(): AbortSignal {
    const { use, pod } = this;
    const hangUp = new AbortController();
    pod.app.after(use.hangUpAfterMs > 0 ? use.hangUpAfterMs : GIVES_UP_AFTER_MS, () => hangUp.abort());
    return hangUp.signal;
  }

  get terms(): Pick<AcquireRequest, 'ownerId' | 'mode' | 'ttlMs' | 'timeoutMs' | 'priority' | 'maxHoldMs'> {
    const { ownerId, mode, ttlMs, timeoutMs, priority, maxHoldMs } = this.use;
    return {
      ...{ mode, timeoutMs, priority },
      ...(ownerId !== undefined && { ownerId }),
      ...(ttlMs !== undefined && { ttlMs }),
      ...(maxHoldMs > 0 && { maxHoldMs }),
    };
  }

  async #acquire(key: string, requestId: string | undefined): Promise<AppHold | undefined> {
    const { pod, use } = this;
    const request: AcquireRequest = {
      ...this.terms,
      ...(requestId !== undefined && { requestId }),
      ...(use.kind === 'auto' && { autoRenew: true }),
    };
    const signal = this.hangUpSignal();
    for (let attempt = 0; attempt < RETRIES_MAX && !signal.aborted && !this.isAbandoned; attempt++) {
      try {
        const { sent, answer } = await pod.call(
          (locks, context) => locks.acquire(lockIdOf(key), request, context),
          signal,
        );
        if (this.isAbandoned) return undefined;
        return this.take(answer, sent);
      } catch (error) {
        if (signal.aborted) pod.simulation.coverage.hit('callHungUp');
        if (!this.noteRefusal(error) || requestId === undefined) return undefined;
        await pod.sleep(pod.chance.between(100, 900));
      }
    }
    return undefined;
  }

  async #renew(hold: AppHold): Promise<void> {
    const { pod, use } = this;
    const body = {
      ...{ fencingToken: String(hold.token), ownerId: hold.ownerId },
      ...(use.renewTtlMs !== undefined && { ttlMs: use.renewTtlMs }),
    };
    try {
      const { sent, answer } = await pod.call((locks, context) => locks.renew(lockIdOf(hold.key), body, context));
      pod.simulation.coverage.hit('callRenewed');
      this.#acknowledge(hold, sent, answer.validForMs);
    } catch (error) {
      this.noteRefusal(error);
      if ((error as LockkeeperError).code === 'NOT_HELD') this.drop(hold);
    }
  }

  #acknowledge(hold: AppHold, sent: Sent, validForMs: number): void {
    if (hold.ended || this.isAbandoned) return;
    const wasBelieved = hold.isBelieved;
    hold.acknowledge(sent, validForMs);
    const { history, checks } = this.pod.simulation;
    history.note(this.pod.name, `app keeps ${hold.key}#${hold.token} left ${hold.leftMs.toFixed(0)}`);
    checks.clientTold(hold, hold, undefined, wasBelieved);
  }

  async #releaseAgain(hold: AppHold): Promise<void> {
    const body = { fencingToken: String(hold.token), ownerId: hold.ownerId };
    try {
      await this.pod.call((locks, context) => locks.release(lockIdOf(hold.key), body, context));
    } catch (error) {
      this.noteRefusal(error);
    }
  }

  /** Ends one hold in the application's own books. */
  drop(hold: AppHold): void {
    hold.ended = true;
    this.pod.holds.delete(`${hold.key}#${hold.token}`);
  }
}
