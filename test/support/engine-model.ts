import type { Operation, Reply } from '../../src/api/operations.ts';
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY, type LockPolicy } from '../../src/api/policies.ts';
import type { Command } from '../../src/engine/commands.ts';
import { ShardEngine } from '../../src/engine/engine.ts';
import { Draw, shrunk } from './engine-draw.ts';
import { ReferenceEngine, type ReferenceHold, type ReferenceLock, type ReferenceReply } from './reference-engine.ts';

/** Sessions 1 to 6 of three pods. */
const SESSIONS = 6;
const principalOf = (session: number) => `pod-${session % 3}`;

/** Ten kinds of locks, each as a pool key and as a DistributedLock. */
const KINDS: readonly Partial<LockPolicy>[] = [
  {},
  { permits: 3 },
  { reentrant: false },
  { fairness: 'Priority' },
  { fairness: 'Priority', permits: 2, reentrant: false },
  { lockDelayMs: 3_000 },
  { lockDelayMs: 1_500, permits: 2 },
  { expiryPolicy: 'Alert' },
  { maxHoldMs: 20_000, expiryPolicy: 'Alert', lockDelayMs: 700 },
  { maxWaiters: 2, reentrant: false, fairness: 'Priority' },
];
const MAX_LEASE_MS = 60_000;

const LOCKS: readonly (readonly [key: string, policy: LockPolicy])[] = KINDS.flatMap((kind, index) => [
  [`ns/pool-${index}/key`, { ...DEFAULT_POOL_POLICY, maxLeaseDurationMs: MAX_LEASE_MS, ...kind }] as const,
  [`ns/lock-${index}`, { ...DEFAULT_LOCK_POLICY, maxLeaseDurationMs: MAX_LEASE_MS, ...kind }] as const,
]);

/** The engine with a store that takes every write at once, and the reference beside it. Throws where they differ. */
class ModelRun {
  readonly #engine: ShardEngine;
  readonly #reference = new ReferenceEngine(LOCKS, principalOf);
  /** The engine's token for each of the reference's. */
  readonly #tokens = new Map<number, number>();
  readonly #lastTokens = new Map<string, number>();
  readonly #connections = new Map<number, number>();
  #frame = 0;
  #ref = 0;
  #step = 0;
  #replies: (Reply & { readonly session: number })[] = [];
  /** What was done, in words, if it is to be told. */
  readonly #story: string[] = [];
  readonly #tells: boolean;

  constructor(tells: boolean) {
    this.#tells = tells;
    const first = {
      epoch: 1,
      counter: 1_000_000,
      graceMs: MAX_LEASE_MS,
      slotsOverflow: false,
      revocations: [],
      attempt: '',
    };
    this.#engine = new ShardEngine({
      shard: 0,
      incarnation: 'model',
      record: { ...first, slots: [1, 2, 3, 4, 5, 6, 7] },
      tokenNext: 1,
      graceRemainingMs: 0,
      graceMayEndEarly: true,
      tokenBlock: 1_000_000,
      nowMs: 0,
    });
    // No two locks have a token in common, so that a token of one opens nothing on another.
    for (const [index, [key, policy]] of LOCKS.entries()) {
      const isPool = key.endsWith('/key');
      const name = isPool ? key.slice(0, -'/key'.length) : key;
      this.#apply({
        kind: 'configure',
        resource: isPool ? 'pool' : 'lock',
        name,
        policy,
        counterFloor: (index + 1) * 10_000_000,
      });
    }
    for (let session = 1; session <= SESSIONS + 1; session++) this.#connect(session);
  }

  /** One command of both engines, and a comparison of all that can be seen. */
  step(number: number, checksBooks: boolean): void {
    const draw = new Draw(number);
    const reference = this.#reference;
    this.#step++;
    const kind = draw.below(24);
    // The last bits make every moment of the sequence unlike every other, so that nothing falls due together by chance.
    reference.nowMs = Math.floor(reference.nowMs) + draw.of([0, 40, 300, 900, 2_500, 8_000]) + this.#step / 1_024;
    this.#replies = [];
    reference.replies = [];
    const session = 1 + draw.below(SESSIONS);
    const lock = reference.locks[draw.below(3) === 0 ? draw.below(LOCKS.length) : draw.below(6)] as ReferenceLock;
    if (kind < 10) this.#acquire(draw, session, lock);
    else if (kind < 13) this.#renew(draw, session, lock);
    else if (kind < 17) this.#release(draw, session, lock);
    else if (kind < 18) this.#force(session, lock);
    else if (kind < 19) this.#cancel(draw, session, lock);
    else if (kind < 20) this.#close(draw, session);
    else this.#tick();
    this.#compareReplies();
    if (checksBooks) {
      this.#promiseLongest();
      this.#engine.checkInvariants();
      for (const other of reference.locks) this.#compareLock(other);
    } else {
      this.#compareLock(lock);
    }
  }

  #acquire(draw: Draw, session: number, lock: ReferenceLock): void {
    const ownerId = draw.of(['main', 'other', 'third']);
    const mode = draw.of(['exclusive', 'exclusive', 'shared'] as const);
    const ttlMs = draw.of([15_000, 1_000, 4_000, 60_000, 60_001]);
    const timeoutMs = draw.of([-1, 0, 1_200, 7_000]);
    const priority = draw.below(10);
    const maxHoldMs = draw.of([Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, 5_000]);
    const request = { ownerId, mode, ttlMs, timeoutMs, priority, maxHoldMs };
    const ref = ++this.#ref;
    this.#tell(() => `${session} acquires ${lock.key} as ${ref}: ${JSON.stringify(request)}`);
    this.#reference.acquire(session, ref, lock, request);
    const limit = maxHoldMs === Number.POSITIVE_INFINITY ? undefined : maxHoldMs;
    this.#send(session, { op: 'acquire', key: lock.key, ...request, maxHoldMs: limit, ref });
  }

  #renew(draw: Draw, session: number, lock: ReferenceLock): void {
    const { hold, by, token } = this.#pickHold(draw, session, lock);
    const ttlMs = draw.of([undefined, 2_000, 30_000, 60_001]);
    const ref = ++this.#ref;
    this.#tell(() => `${by} renews token ${token} of ${hold.key} by ${ttlMs}`);
    this.#reference.renew(by, ref, hold, token, ttlMs);
    this.#send(by, { op: 'renew', key: hold.key, token: this.#tokens.get(token) ?? 0, ttlMs, ref });
  }

  #release(draw: Draw, session: number, lock: ReferenceLock): void {
    const { hold, by, token } = this.#pickHold(draw, session, lock);
    const ref = ++this.#ref;
    this.#tell(() => `${by} releases token ${token} of ${hold.key}`);
    this.#reference.release(by, ref, hold, token);
    this.#send(by, { op: 'release', key: hold.key, token: this.#tokens.get(token) ?? 0, ref });
  }

  #force(session: number, lock: ReferenceLock): void {
    const ref = ++this.#ref;
    this.#tell(() => `${session} forces ${lock.key}`);
    this.#reference.forceRelease(session, ref, lock);
    this.#send(session, { op: 'forceRelease', key: lock.key, reason: 'model', by: 'model', ref });
  }

  #cancel(draw: Draw, session: number, lock: ReferenceLock): void {
    const { waiters } = this.#reference;
    const waiter = waiters[draw.below(64) % Math.max(1, waiters.length)];
    const by = waiter?.session ?? session;
    const target = waiter?.ref ?? 0;
    this.#tell(() => `${by} cancels ${target}`);
    this.#reference.cancel(by, target);
    this.#send(by, { op: 'cancel', key: waiter?.lock.key ?? lock.key, target, ref: ++this.#ref });
  }

  #close(draw: Draw, session: number): void {
    const reason = draw.of(['lost', 'goodbye'] as const);
    this.#tell(() => `${session} closes: ${reason}`);
    this.#reference.close(session, reason);
    this.#apply({
      kind: 'closeSession',
      sessionId: session,
      connection: this.#connections.get(session) as number,
      reason,
    });
    this.#connect(session);
  }

  #tick(): void {
    this.#tell(() => 'tick');
    this.#reference.tick();
    this.#apply({ kind: 'tick', lateMs: 0 });
  }

  /** Mostly a live hold and a session of its pod; sometimes an old token, or somebody else's. */
  #pickHold(draw: Draw, session: number, lock: ReferenceLock): { hold: ReferenceLock; by: number; token: number } {
    const { holds } = this.#reference;
    const hold: ReferenceHold | undefined = holds[draw.below(64) % Math.max(1, holds.length)];
    const how = draw.below(8);
    if (hold === undefined || how === 7) return { hold: lock, by: session, token: draw.below(64) + 1 };
    return { hold: hold.lock, by: how === 6 ? session : hold.session, token: hold.token };
  }

  /**
   * A hidden session promises the longest time now and then. So the recorded grace is never lowered, and no grant ever waits for
   * a record: of records the reference knows nothing.
   */
  #promiseLongest(): void {
    const acquire = { op: 'acquire', key: 'ns/pool-0/hidden', ownerId: '', mode: 'exclusive', timeoutMs: 0 } as const;
    this.#replies = [];
    this.#send(SESSIONS + 1, { ...acquire, ttlMs: MAX_LEASE_MS, ref: ++this.#ref });
    const [reply] = this.#replies;
    if (reply?.kind !== 'hold') throw new Error('the hidden lock was not granted');
    this.#send(SESSIONS + 1, { op: 'release', key: acquire.key, token: reply.token, ref: ++this.#ref });
  }

  #connect(sessionId: number): void {
    const connection = (this.#connections.get(sessionId) ?? 0) + 1;
    this.#connections.set(sessionId, connection);
    const principal = principalOf(sessionId);
    this.#apply({ kind: 'openSession', sessionId, connection, principal, slot: sessionId, inProcess: true });
  }

  #send(sessionId: number, operation: Operation): void {
    const connection = this.#connections.get(sessionId) as number;
    this.#apply({ kind: 'operation', sessionId, connection, frame: ++this.#frame, operation });
  }

  #apply(command: Command): void {
    const { nowMs } = this.#reference;
    const step = this.#engine.apply(command, nowMs);
    for (const [index, reply] of step.replies.entries())
      this.#replies.push({ ...reply, session: step.recipients[index] as number });
    for (const effect of step.effects) {
      if (effect.kind === 'persistLock') {
        const { attempt } = effect;
        this.#apply({ kind: 'persisted', key: effect.record.key, attempt, outcome: 'ok', version: attempt });
      } else if (effect.kind === 'persistShard') {
        this.#apply({ kind: 'persisted', key: undefined, attempt: effect.attempt, outcome: 'ok' });
      } else if (effect.kind === 'regressed') {
        throw new Error(`${effect.key} went backwards`);
      }
    }
  }

  #tell(words: () => string): void {
    if (this.#tells) this.#story.push(`${this.#reference.nowMs.toFixed(3)} ms: ${words()}`);
  }

  /** The same requests have the same answers, in whatever order; tokens only grow. */
  #compareReplies(): void {
    const granted = this.#replies.filter((reply) => reply.kind === 'hold');
    for (const reply of this.#reference.replies) {
      if (reply.kind !== 'hold' || this.#tokens.has(reply.token)) continue;
      const token = granted.find(({ session, ref }) => session === reply.session && ref === reply.ref)?.token;
      if (token === undefined) this.#differs('replies', this.#replies, this.#reference.replies);
      if (token <= (this.#lastTokens.get(reply.key) ?? 0))
        throw new Error(`token ${token} of ${reply.key} does not grow`);
      this.#tokens.set(reply.token, token);
      this.#lastTokens.set(reply.key, token);
    }
    const expected = this.#reference.replies.map((reply) => this.#asSeen(reply));
    this.#mustEqual('replies', sorted(this.#replies.map(visible)), sorted(expected));
  }

  #asSeen(reply: ReferenceReply): string {
    return visible(reply.kind === 'hold' ? { ...reply, token: this.#tokens.get(reply.token) as number } : reply);
  }

  #compareLock(lock: ReferenceLock): void {
    const { nowMs } = this.#reference;
    const seen = this.#engine.inspect(lock.key, nowMs);
    const expectedHolders = lock.holds.map(
      ({ principal, ownerId, mode, depth, ttlMs, overdue, token, dueAtMs }) =>
        `${principal} ${ownerId} ${mode} ${this.#tokens.get(token)} ${depth} ${ttlMs} ${overdue ? 0 : Math.max(0, dueAtMs - nowMs)} ${overdue}`,
    );
    const holders = seen?.holders.map(
      ({ principal, ownerId, mode, depth, ttlMs, overdue, token, remainingMs }) =>
        `${principal} ${ownerId} ${mode} ${token} ${depth} ${ttlMs} ${remainingMs} ${overdue}`,
    );
    this.#mustEqual(`holders of ${lock.key}`, holders, expectedHolders);
    for (const mode of ['exclusive', 'shared'] as const) {
      const waiters = seen?.waiters.filter((waiter) => waiter.mode === mode);
      const expected = this.#reference.inOrder(lock, mode);
      this.#mustEqual(
        `${mode} waiters of ${lock.key}`,
        waiters?.map(({ principal, ownerId, waitedMs }) => `${principal} ${ownerId} ${waitedMs}`),
        expected.map(({ principal, request, queuedAtMs }) => `${principal} ${request.ownerId} ${nowMs - queuedAtMs}`),
      );
    }
    const delayMs = Math.max(0, ...lock.delays.map(({ dueAtMs }) => Math.round(dueAtMs - nowMs)));
    this.#mustEqual(`lock delay of ${lock.key}`, [String(seen?.lockDelayRemainingMs)], [String(delayMs)]);
  }

  #mustEqual(what: string, actual: readonly string[] | undefined, expected: readonly string[]): void {
    if (actual?.join() !== expected.join()) this.#differs(what, actual, expected);
  }

  #differs(what: string, actual: unknown, expected: unknown): never {
    const words = `${what} differ\nengine:    ${JSON.stringify(actual)}\nreference: ${JSON.stringify(expected)}`;
    throw new Error(`${words}\n${this.#story.join('\n')}`);
  }
}

/** What both engines must say alike. */
function visible(reply: (ReferenceReply | Reply) & { readonly session: number }): string {
  const { session, ref, kind } = reply;
  switch (kind) {
    case 'hold':
      return `${session} ${ref} hold ${reply.key} ${reply.token} ${reply.depth} ${reply.remainingMs}`;
    case 'queued':
      return `${session} ${ref} queued ${reply.position}`;
    case 'released':
      return `${session} ${ref} released ${reply.depth}`;
    case 'done':
      return `${session} ${ref} done ${reply.ended}`;
    case 'inspection':
      return `${session} ${ref} inspection`;
    case 'error':
      break;
  }
  return `${session} ${ref} ${reply.code}`;
}

function sorted(words: readonly string[]): string[] {
  return words.toSorted();
}

/** Runs one sequence of commands, drawn from these numbers, on both engines. Throws where they differ. */
function run(numbers: readonly number[], checkEvery: number, tells: boolean): void {
  const model = new ModelRun(tells);
  for (const [index, number] of numbers.entries()) model.step(number, index % checkEvery === checkEvery - 1);
}

function problemOf(numbers: readonly number[]): string | undefined {
  try {
    run(numbers, 1, true);
    return undefined;
  } catch (error) {
    return String(error);
  }
}

/**
 * Runs one sequence of commands on both engines, with a look at everything after every `checkEvery`th, and says how many they
 * were. Throws where they differ, with the shortest sequence found that does, in numbers and in words.
 */
export function runModel(numbers: readonly number[], checkEvery: number): number {
  try {
    run(numbers, checkEvery, false);
    return numbers.length;
  } catch {
    const fewer = shrunk(numbers, (some) => problemOf(some) !== undefined);
    throw new Error(`${problemOf(fewer)}\nnumbers: ${JSON.stringify(fewer)}`);
  }
}
