import type { HoldReply } from '../../src/api/operations.ts';
import type { LockPolicy } from '../../src/api/policies.ts';
import type { Mode } from '../../src/api/vocabulary.ts';
import { Draw, shrunk } from './engine-draw.ts';
import { EngineHarness, type TestWrite } from './engine-harness.ts';
import type { Ask, TestSession } from './engine-session.ts';

/** What a client believes of one ownership: until `untilMs` it may work as its holder. */
interface Belief {
  readonly lockId: string;
  readonly ownerId: string;
  readonly mode: Mode;
  readonly token: number;
  depth: number;
  untilMs: number;
  readonly ask: Ask;
}

/** An acquire that is not answered yet: asked again, under the same id, after every reconnection. */
interface Wish {
  readonly lockId: string;
  readonly options: {
    readonly ownerId: string;
    readonly mode: Mode;
    readonly ttlMs: number;
    readonly requestId: string;
  };
  readonly timeoutMs: number;
  ask: Ask;
}

/** One client: it counts its time from its sends, claims what it believes, and asks again for what was not answered. */
class Client {
  readonly session: TestSession;
  isConnected = true;
  isDead = false;
  epoch = 1;
  beliefs: Belief[] = [];
  /** Ended by force, which it has not heard: it goes on claiming them. */
  deafTo: Belief[] = [];
  wishes: Wish[] = [];
  readonly sentAtMs = new Map<number, number>();

  constructor(session: TestSession) {
    this.session = session;
  }
}

const LOCKS: readonly { readonly id: string; readonly permits: number }[] = [
  { id: 'lock', permits: 1 },
  { id: 'jobs/a', permits: 1 },
  { id: 'delayed', permits: 1 },
  { id: 'jobs/b', permits: 1 },
  { id: 'pair', permits: 2 },
  { id: 'slots/s', permits: 2 },
  { id: 'single', permits: 1 },
];

const RESOURCES: readonly { kind: 'lock' | 'pool'; name: string; policy: Partial<LockPolicy> }[] = [
  { kind: 'lock', name: 'lock', policy: { deadlockPolicy: 'Break' } },
  { kind: 'lock', name: 'delayed', policy: { lockDelayMs: 1_500, maxHoldMs: 9_000, expiryPolicy: 'Alert' } },
  { kind: 'lock', name: 'pair', policy: { permits: 2, fairness: 'Priority' } },
  { kind: 'lock', name: 'single', policy: { reentrant: false } },
  { kind: 'pool', name: 'jobs', policy: { deadlockPolicy: 'Break' } },
  { kind: 'pool', name: 'slots', policy: { permits: 2, lockDelayMs: 700 } },
];

/** One has no slot, one is in another process and is passed over while it is silent. */
const CLIENTS = [
  ['ann', {}],
  ['ben', {}],
  ['cat', { slot: -1 }],
  ['dan', { remote: true }],
] as const;

/**
 * Clients with clocks of their own, one shard, and a store that may lose, delay, refuse or keep to itself the outcome of any
 * write; owners that crash, hand over and stall. After every step nobody may believe to hold what another one holds, and
 * nothing may have been told that is not on record.
 */
class SafetyRun {
  readonly #world = new EngineHarness({ tokenBlock: 8 });
  readonly #clients: Client[];
  readonly #admin: TestSession;
  readonly #unknown: TestWrite[] = [];
  readonly #ended = new Map<string, string>();
  /** Tokens whose forced end was asked for, and those of them whose owner crashed before it said what became of it. */
  readonly #forced = new Set<string>();
  readonly #maybeForced = new Set<string>();
  readonly #lastGranted = new Map<string, number>();
  readonly #ownerOf = new Map<string, string>();
  #eventsSeen = 0;
  #requests = 0;
  readonly #story: string[] = [];
  readonly #tells: boolean;

  constructor(tells: boolean) {
    this.#tells = tells;
    const world = this.#world;
    for (const { kind, name, policy } of RESOURCES) world[kind](name, policy);
    this.#clients = CLIENTS.map(([name, options]) => new Client(world.session(name, options)));
    this.#admin = world.session('admin');
    world.writesWait = true;
  }

  step(number: number): void {
    const draw = new Draw(number);
    const kind = draw.below(47);
    const client = draw.of(this.#clients);
    if (kind < 13) this.#acquire(draw, client);
    else if (kind < 16) this.#renew(draw, client);
    else if (kind < 20) this.#release(draw, client);
    else if (kind < 21) this.#force(draw);
    else if (kind < 22) this.#cancel(draw, client);
    else if (kind < 23) this.#close(draw, client);
    else if (kind < 26) this.#connect(draw, client);
    else if (kind < 36) this.#answerWrite(draw);
    else if (kind < 37) this.#landLate(draw);
    else if (kind < 41) this.#pass(draw.of([200, 1, 900, 2_500, 6_000]));
    else if (kind < 42) this.#crash();
    else if (kind < 43) this.#handOver(draw);
    else if (kind < 44) this.#edit(draw);
    else if (kind < 46) this.#beat(client);
    else this.#stall(draw);
    this.#check();
  }

  /** A custom resource is deleted, or made again. */
  #edit(draw: Draw): void {
    const { kind, name, policy } = draw.of(RESOURCES);
    const isDeleted = draw.below(2) === 1;
    this.#tell(() => `the ${kind} ${name} is ${isDeleted ? 'deleted' : 'made'}`);
    if (isDeleted) this.#world.deletes(kind, name);
    else this.#world[kind](name, policy);
  }

  #beat(client: Client): void {
    if (!client.isConnected) return;
    this.#tell(() => `${client.session.name} is heard`);
    this.#sends(client);
    client.session.isHeard();
  }

  /** Every fault ends: then everybody who still asks is answered, and nothing is held or waited for by nobody. */
  heal(): void {
    this.#tell(() => 'all faults end');
    for (const { kind, name, policy } of RESOURCES) this.#world[kind](name, policy);
    for (const client of this.#clients) {
      if (!client.isDead) this.#reconnect(client, true);
      this.#check();
    }
    for (let round = 0; round < 200 && this.#clients.some((client) => client.wishes.length > 0); round++) {
      while (this.#world.writes.length > 0) {
        (this.#world.writes[0] as TestWrite).lands();
        this.#check();
      }
      for (const client of this.#clients) this.#beat(client);
      this.#check();
      this.#pass(2_000);
    }
    const waiting = this.#clients.flatMap((client) => client.wishes);
    if (waiting.length > 0)
      throw new Error(`never answered: ${waiting.map((wish) => JSON.stringify(wish.options)).join()}`);
    while (this.#world.writes.length > 0) (this.#world.writes[0] as TestWrite).lands();
    // A hold that ran out under policy Alert is a person's affair.
    for (const { id } of LOCKS) this.#admin.forces(id);
    for (let round = 0; round < 40; round++) {
      this.#pass(2_000);
      while (this.#world.writes.length > 0) (this.#world.writes[0] as TestWrite).lands();
    }
    const { holdCount, waiterCount } = this.#world.engine;
    if (holdCount + waiterCount > 0) throw new Error(`left over: ${holdCount} holds, ${waiterCount} waiters`);
  }

  get story(): string {
    return this.#story.join('\n');
  }

  #acquire(draw: Draw, client: Client): void {
    if (!client.isConnected) return;
    const lock = draw.of(LOCKS);
    const mode = lock.permits > 1 ? 'exclusive' : draw.of(['exclusive', 'exclusive', 'shared'] as const);
    const ownerId = `${client.session.name}-${draw.of([1, 2])}`;
    const options = { ownerId, mode, ttlMs: draw.of([4_000, 2_000, 7_000]), requestId: `r${++this.#requests}` };
    const timeoutMs = draw.of([0, 20_000, 1_500]);
    this.#tell(() => `${client.session.name} acquires ${lock.id} ${JSON.stringify({ ...options, timeoutMs })}`);
    this.#ask(client, { lockId: lock.id, options, timeoutMs });
  }

  #ask(client: Client, wish: Omit<Wish, 'ask'>): void {
    const { lockId, options, timeoutMs } = wish;
    this.#sends(client);
    client.wishes.push({ ...wish, ask: client.session.tries(lockId, { ...options, timeoutMs }) });
  }

  #renew(draw: Draw, client: Client): void {
    const belief = draw.from([...client.beliefs, ...client.deafTo]);
    if (belief === undefined || !client.isConnected) return;
    const ttlMs = draw.of([undefined, 3_000, 9_000]);
    this.#tell(() => `${client.session.name} renews ${belief.lockId} ${belief.token} by ${ttlMs}`);
    this.#sends(client);
    const ask = client.session.renews(belief.ask, ttlMs);
    // An answer that has to wait for a record extends nothing here: to believe less is always allowed.
    if (ask.isGranted) this.#believe(client, ask.hold, belief);
    else if (ask.code === 'NOT_HELD') client.beliefs = client.beliefs.filter((other) => other !== belief);
  }

  #release(draw: Draw, client: Client): void {
    const belief = draw.from(client.beliefs);
    if (belief === undefined || !client.isConnected) return;
    this.#tell(() => `${client.session.name} releases ${belief.lockId} ${belief.token}`);
    this.#sends(client);
    const depth = --belief.depth;
    if (depth === 0) client.beliefs = client.beliefs.filter((other) => other !== belief);
    const ask = client.session.releases(belief.ask);
    if (ask.code === undefined && ask.depth !== depth) throw new Error(`depth ${ask.depth} is left, not ${depth}`);
    if (ask.code === 'UNAVAILABLE' && depth > 0) belief.depth++;
    else if (ask.code !== undefined) client.beliefs = client.beliefs.filter((other) => other !== belief);
  }

  #force(draw: Draw): void {
    const lock = draw.of(LOCKS);
    this.#tell(() => `admin forces ${lock.id}`);
    const holders = this.#world.engine.inspect(`ns/${lock.id}`, this.#world.nowMs)?.holders ?? [];
    for (const { token } of holders) this.#forced.add(`ns/${lock.id} ${token}`);
    this.#admin.forces(lock.id);
  }

  #cancel(draw: Draw, client: Client): void {
    const wish = draw.from(client.wishes);
    if (wish === undefined || !client.isConnected) return;
    this.#tell(() => `${client.session.name} cancels ${wish.options.requestId}`);
    client.wishes = client.wishes.filter((other) => other !== wish);
    this.#sends(client);
    client.session.cancels(wish.ask);
  }

  #close(draw: Draw, client: Client): void {
    if (client.isDead || client.epoch !== this.#world.engine.epoch) return;
    const reason = draw.of(['lost', 'lost', 'lost', 'goodbye', 'goodbye', 'orphaned'] as const);
    this.#tell(() => `${client.session.name} closes: ${reason}`);
    client.isConnected = false;
    client.isDead = reason === 'orphaned';
    if (reason !== 'lost') {
      client.beliefs = [];
      client.deafTo = [];
      client.wishes = [];
    }
    client.session.closes(reason);
  }

  #connect(draw: Draw, client: Client): void {
    if (client.isConnected || client.isDead) return;
    this.#reconnect(client, draw.below(8) < 7);
  }

  /** A client that meets a new owner declares what it believes first; then it asks again for whatever was not answered. */
  #reconnect(client: Client, completes: boolean): void {
    this.#tell(() => `${client.session.name} connects${completes ? '' : ' and does not complete its reclaim'}`);
    if (!client.isConnected) client.session.connects();
    client.isConnected = true;
    if (client.epoch !== this.#world.engine.epoch) {
      client.epoch = this.#world.engine.epoch;
      let isDeclared = completes;
      for (const belief of [...client.beliefs, ...client.deafTo])
        isDeclared = this.#reclaim(client, belief) && isDeclared;
      client.deafTo = [];
      if (isDeclared) client.session.completesReclaim();
    }
    for (const wish of client.wishes.splice(0)) this.#ask(client, wish);
  }

  #reclaim(client: Client, belief: Belief): boolean {
    this.#sends(client);
    const ask = client.session.reclaims(belief.ask, { depth: belief.depth });
    if (ask.isGranted) this.#believe(client, ask.hold, belief);
    else if (ask.code === 'NOT_HELD') client.beliefs = client.beliefs.filter((other) => other !== belief);
    return ask.code !== 'UNAVAILABLE';
  }

  #answerWrite(draw: Draw): void {
    const write = draw.from(this.#world.writes);
    if (write === undefined) return;
    const how = draw.of([
      'lands',
      'lands',
      'lands',
      'lands',
      'is unknown',
      'lands unheard',
      'is refused',
      'is touched',
    ] as const);
    this.#tell(() => `${write.effect.attempt} of ${write.key ?? 'the shard'} ${how}`);
    if (how === 'lands unheard') write.reachesStore();
    const lockId = write.key?.slice('ns/'.length);
    if (how === 'is touched' && lockId !== undefined && this.#world.leases.has(write.key ?? ''))
      this.#world.edits(lockId, {});
    if (how === 'is unknown' || how === 'lands unheard') {
      this.#unknown.push(write);
      write.isUnknown();
    } else if (how === 'is refused') {
      write.isRefused();
    } else {
      write.lands();
    }
  }

  /** A write whose outcome nobody heard, or whose owner is gone, reaches the store now. */
  #landLate(draw: Draw): void {
    const write = draw.from([...this.#unknown, ...this.#world.adrift]);
    if (write?.reachesStore() === true)
      this.#tell(() => `${write.effect.attempt} of ${write.key ?? 'the shard'} lands late`);
  }

  #crash(): void {
    this.#tell(() => 'the owner crashes');
    // The write of a forced end may land behind the next owner's back. Nobody was told of it; only the token tells then.
    for (const name of this.#forced) if (!this.#ended.has(name)) this.#maybeForced.add(name);
    for (const client of this.#clients) client.isConnected = false;
    this.#world.crashes();
    this.#admin.connects();
  }

  #handOver(draw: Draw): void {
    this.#world.apply({ kind: 'freeze' });
    if (!this.#world.engine.isDrained || draw.below(3) === 0) {
      this.#tell(() => 'the owner freezes and resumes');
      this.#world.nowMs += draw.of([50, 3_000]);
      this.#world.apply({ kind: 'resume' });
      return;
    }
    this.#tell(() => 'the owner hands over');
    for (const client of this.#clients) client.isConnected = false;
    this.#world.handsOver();
    this.#admin.connects();
  }

  #stall(draw: Draw): void {
    const stallMs = draw.of([500, 5_000]);
    this.#tell(() => `the owner stalls for ${stallMs} ms`);
    this.#world.stalls(stallMs);
    this.#world.ticksLate();
  }

  #pass(durationMs: number): void {
    this.#tell(() => `${durationMs} ms pass`);
    const endMs = this.#world.nowMs + durationMs;
    while (this.#world.nowMs < endMs) {
      const nextMs = Math.min(endMs, Math.max(this.#world.engine.wakeAtMs, this.#world.nowMs));
      this.#world.passes(nextMs - this.#world.nowMs);
      this.#check();
    }
  }

  #sends(client: Client): void {
    client.sentAtMs.set(client.session.frame + 1, this.#world.nowMs);
  }

  /** What a reply lets its client believe, if it is on record. */
  #believe(client: Client, hold: HoldReply, known: Belief | undefined): Belief {
    const name = `${hold.key} ${hold.token}`;
    const endedBy = this.#ended.get(name);
    if (endedBy !== undefined) throw new Error(`${name} was told after it had ended (${endedBy})`);
    if ((this.#ownerOf.get(name) ?? hold.ownerId) !== hold.ownerId) throw new Error(`${name} was told to two owners`);
    this.#ownerOf.set(name, hold.ownerId);
    this.#mustBeRecorded(client, hold);
    const sentAtMs = client.sentAtMs.get(hold.seen);
    if (sentAtMs === undefined) throw new Error(`${name} counts from frame ${hold.seen}, which was never sent`);
    if (known === undefined) throw new Error('nobody asked');
    known.untilMs = Math.max(known.untilMs, sentAtMs + hold.remainingMs);
    return known;
  }

  #mustBeRecorded(client: Client, hold: HoldReply): void {
    const { shardRecord, leases } = this.#world;
    const name = `${hold.key} ${hold.token}`;
    if (this.#maybeForced.has(name)) return;
    if (hold.key.split('/').length === 2) {
      const recorded = leases.get(hold.key)?.record.holders.find((holder) => holder.token === hold.token);
      if (recorded === undefined) throw new Error(`${name} was told and is not on record`);
      if (recorded.ttlMs < hold.remainingMs) throw new Error(`${name} was promised more than is on record`);
      return;
    }
    if (!shardRecord.slotsOverflow && !shardRecord.slots.includes(client.session.slot))
      throw new Error(`${name} was told to a session not on record`);
    if (shardRecord.counter < hold.token) throw new Error(`${name} is above the recorded counter`);
    if (shardRecord.graceMs < hold.remainingMs) throw new Error(`${name} was promised more than the recorded grace`);
  }

  #check(): void {
    this.#readEvents();
    for (const client of this.#clients) if (client.isConnected) this.#readAnswers(client);
    const isBelieved = ({ untilMs }: Belief) => untilMs > this.#world.nowMs;
    for (const client of this.#clients) {
      client.beliefs = client.beliefs.filter(isBelieved);
      client.deafTo = client.deafTo.filter(isBelieved);
    }
    for (const lock of LOCKS) this.#checkExclusion(lock.id, lock.permits);
  }

  #readEvents(): void {
    const { events, nowMs } = this.#world;
    for (; this.#eventsSeen < events.length; this.#eventsSeen++) {
      const event = events[this.#eventsSeen];
      if (event?.type === 'granted') {
        if (event.token <= (this.#lastGranted.get(event.key) ?? 0))
          throw new Error(`${event.key} ${event.token} does not grow`);
        this.#lastGranted.set(event.key, event.token);
      } else if (event?.type === 'ended' && event.acknowledged) {
        this.#ended.set(`${event.key} ${event.token}`, event.reason);
        const isForced = event.reason === 'forceReleased' || event.reason === 'orphaned';
        for (const client of this.#clients) {
          const belief = client.beliefs.find(
            ({ token, lockId }) => token === event.token && `ns/${lockId}` === event.key,
          );
          if (belief === undefined) continue;
          if (!isForced && belief.untilMs > nowMs)
            throw new Error(
              `${event.key} ${event.token} ended (${event.reason}) ${belief.untilMs - nowMs} ms too early`,
            );
          client.beliefs = client.beliefs.filter((other) => other !== belief);
          if (isForced) client.deafTo.push(belief);
        }
      }
    }
  }

  #readAnswers(client: Client): void {
    for (const wish of [...client.wishes]) {
      const { ask, lockId, options } = wish;
      if (ask.isWaiting) continue;
      client.wishes = client.wishes.filter((other) => other !== wish);
      if (ask.code === 'OUTCOME_UNKNOWN') {
        // What this sends may be the sign of life that answers others: they are read again.
        this.#ask(client, wish);
        this.#readAnswers(client);
        return;
      } else if (ask.isGranted) {
        const { token, mode, depth } = ask.hold;
        const known = client.beliefs.find((belief) => belief.token === token && belief.lockId === lockId);
        // A hold that ran out for the client alone is deeper than it knows.
        const belief = known ?? { lockId, ownerId: options.ownerId, mode, token, depth, untilMs: 0, ask };
        if (known === undefined) client.beliefs.push(belief);
        else belief.depth++;
        this.#believe(client, ask.hold, belief);
      }
    }
  }

  #checkExclusion(lockId: string, permits: number): void {
    const beliefs = this.#clients
      .flatMap((client) => client.beliefs)
      .filter((belief) => belief.lockId === lockId && !this.#maybeForced.has(`ns/${lockId} ${belief.token}`));
    const exclusive = beliefs.filter((belief) => belief.mode === 'exclusive').length;
    if (exclusive <= permits && (exclusive === 0 || exclusive === beliefs.length)) return;
    const words = beliefs.map(({ ownerId, token, mode, untilMs }) => `${ownerId} ${mode} ${token} until ${untilMs}`);
    throw new Error(`${lockId} is held too often at ${this.#world.nowMs}: ${words.join(', ')}`);
  }

  #tell(words: () => string): void {
    if (this.#tells) this.#story.push(`${this.#world.nowMs} ms: ${words()}`);
  }
}

function problemOf(numbers: readonly number[], tells: boolean): string | undefined {
  const run = new SafetyRun(tells);
  try {
    for (const number of numbers) run.step(number);
    run.heal();
    return undefined;
  } catch (error) {
    return `${String(error)}\n${run.story}`;
  }
}

/**
 * Runs one sequence of steps, drawn from these numbers, and says how many they were. Throws if a promise was broken, with the
 * shortest sequence found that breaks one, in numbers and in words.
 */
export function runSafety(numbers: readonly number[]): number {
  if (problemOf(numbers, false) === undefined) return numbers.length;
  const fewer = shrunk(numbers, (some) => problemOf(some, false) !== undefined);
  throw new Error(`${problemOf(fewer, true)}\nnumbers: ${JSON.stringify(fewer)}`);
}
