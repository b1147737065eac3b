/** One run of one plan: the world, its processes, and what they share. */
import { shardOf } from '../../src/api/shard-hash.ts';
import type { VirtualProcess } from '../../src/system/virtual-process.ts';
import { VirtualWorld } from '../../src/system/virtual-world.ts';
import { Chance } from './chance.ts';
import { Checks } from './checks.ts';
import { Coverage } from './coverage.ts';
import { type OpenUse, runActivity } from './flow.ts';
import { History } from './history.ts';
import { LeaseWorld } from './lease-world.ts';
import { Owner } from './owner.ts';
import type { Plan, WeatherSpell } from './plan.ts';
import { runPodUse } from './pods/pod-all.ts';
import { Pod } from './pods/pod.ts';
import { PolicyBook } from './policy-book.ts';
import { SimClient } from './sim-client.ts';
import { type Rule, Violation } from './violation.ts';

/** 2026-06-01: a wall clock that counters take as plausible. */
const WALL_MS = 1_780_272_000_000;

export class Simulation {
  readonly plan: Plan;
  readonly world = new VirtualWorld({ wallMs: WALL_MS });
  readonly history = new History(() => this.world.nowMs);
  readonly coverage = new Coverage();
  /** The machine of the API server: it never stands still. */
  readonly apiServer: VirtualProcess;
  readonly leases: LeaseWorld;
  readonly policies: PolicyBook;
  readonly checks: Checks;
  readonly clients: SimClient[];
  readonly pods: Pod[];
  readonly owners: Owner[] = [];
  readonly flows = new Set<OpenUse>();
  operationsSent = 0;
  /** Faults are over: only progress counts now. */
  isCalm = false;
  /** True time of the last restore; what was promised before it may be forgotten by an owner that dies soon after. */
  restoredAtMs = -Infinity;
  failure: Violation | undefined;
  #sessions = 0;
  #slots = 0;
  #ownersMade = 0;
  /** True moment until which each client may have been silent for its owners, by name. */
  readonly #oddUntilMs = new Map<string, number>();
  readonly #priorities = new Map<string, number>();

  constructor(plan: Plan) {
    this.plan = plan;
    this.apiServer = this.world.process();
    this.leases = new LeaseWorld({ clock: this.apiServer, random: this.chance('leases').random });
    this.policies = new PolicyBook(plan.resources);
    this.checks = new Checks(this);
    this.clients = plan.clients.map((planned) => new SimClient(this, planned));
    this.pods = plan.pods.map((planned) => new Pod(this, planned));
    for (const { name } of [...this.clients, ...this.pods]) this.#oddUntilMs.set(name, 0);
    for (const { ownerId, priority } of [...plan.activities, ...plan.podUses])
      if (ownerId !== undefined) this.#priorities.set(ownerId, priority);
  }

  chance(name: string): Chance {
    return Chance.of(this.plan.seed, name);
  }

  shardOf(key: string): number {
    return shardOf(key, this.plan.shardCount);
  }

  nextSessionId(): number {
    return ++this.#sessions;
  }

  nextSlot(hasSlot: boolean): number {
    return hasSlot ? this.#slots++ : -1;
  }

  priorityOf(ownerId: string): number {
    return this.#priorities.get(ownerId) ?? 9;
  }

  startOwner(): Owner {
    const number = ++this.#ownersMade;
    const owner = new Owner(this, number, this.chance(`rate${number}`).between(0.9995, 1.0005));
    this.owners.push(owner);
    if (this.owners.length > 1) this.coverage.hit('twoOwnersAlive');
    this.history.note(owner.name, 'starts');
    owner.start();
    return owner;
  }

  /** A process is gone; its supervisor starts another unless one is there. */
  ownerEnded(owner: Owner): void {
    this.owners.splice(this.owners.indexOf(owner), 1);
    if (this.world.nowMs - this.restoredAtMs < 45_000) this.checks.voidAll();
    for (const client of this.clients) {
      const link = client.session?.link;
      if (link?.owner === owner) link.ownerGone();
    }
    for (const { sidecar } of this.pods) {
      const link = sidecar?.transport?.link;
      if (link?.owner === owner) link.ownerGone();
    }
    if (this.owners.length > 0) return;
    const delayMs = this.chance(`restart${owner.number}`).between(500, this.isCalm ? 1_000 : 6_000);
    this.apiServer.after(delayMs, () => {
      if (this.owners.length === 0) this.startOwner();
    });
  }

  pickOwner(chance: Chance): Owner | undefined {
    const ready = this.owners.filter((owner) => owner.isReady);
    return ready.length > 0 ? chance.pick(ready) : undefined;
  }

  weatherNow(): WeatherSpell | undefined {
    const nowMs = this.world.nowMs;
    if (this.isCalm) return undefined;
    return this.plan.weather.find(({ fromMs, toMs }) => fromMs <= nowMs && nowMs < toMs);
  }

  /** The client, or everybody, may be silent from now for this long, so that it may be passed over. */
  odd(name: string | undefined, forMs: number): void {
    const untilMs = this.world.nowMs + forMs + 2_500;
    for (const each of name === undefined ? this.#oddUntilMs.keys() : [name])
      this.#oddUntilMs.set(each, Math.max(this.#oddUntilMs.get(each) ?? 0, untilMs));
  }

  wasHeardSince(ownerId: string, ownerMs: number): boolean {
    const name = ownerId.slice(0, ownerId.indexOf('.'));
    const reigning = this.owners.find((owner) => owner.isReady);
    if (reigning === undefined || this.owners.length > 1) return false;
    const sinceMs = this.world.nowMs - (reigning.process.monotonicMs() - ownerMs) * 1.001 - 5;
    return (this.#oddUntilMs.get(name) ?? Infinity) < sinceMs;
  }

  /** Starts everything that the plan has, each at its time. */
  begin(happen: (event: Plan['events'][number]) => void): void {
    this.startOwner();
    const { apiServer, plan } = this;
    for (const client of this.clients)
      apiServer.after(client.chance.between(0, 400), () => {
        client.openSession();
      });
    for (const activity of plan.activities) {
      apiServer.after(activity.atMs, () => {
        const client = this.clients[activity.client];
        if (client === undefined || client.isGone) return;
        client.process.soon(() => void runActivity(client, activity));
      });
    }
    for (const pod of this.pods) apiServer.after(pod.chance.between(0, 400), () => pod.startSidecar());
    for (const use of plan.podUses) {
      apiServer.after(use.atMs, () => {
        const pod = this.pods[use.pod];
        pod?.app.soon(() => runPodUse(pod, use));
      });
    }
    for (const event of plan.events) apiServer.after(event.atMs, () => happen(event));
  }

  fail(rule: Rule, text: string, about: readonly string[] = []): void {
    this.failWith(new Violation(rule, text, about));
  }

  /** The first failure counts; the run stops at its next step. */
  failWith(error: unknown): void {
    if (this.failure !== undefined) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.failure = error instanceof Violation ? error : new Violation('crash', text, []);
    this.history.note('!!', `${this.failure.rule}: ${this.failure.message}`);
  }

  /** Lets true time pass, checking the engines' books now and then. */
  async run(toMs: number, everyMs: number): Promise<void> {
    while (this.world.nowMs < toMs && this.failure === undefined) {
      try {
        await this.world.runTo(Math.min(toMs, this.world.nowMs + everyMs));
        for (const owner of [...this.owners]) owner.checkInvariants();
      } catch (error) {
        const isInvariant = error instanceof Error && error.message.includes('engine invariant');
        if (isInvariant) this.fail('engine-invariant', error.stack ?? error.message);
        else this.failWith(error);
      }
    }
  }
}
