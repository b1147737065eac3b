/** Makes the plan of a seed. */
import { DEFAULT_LOCK_POLICY, DEFAULT_POOL_POLICY, type LockPolicy } from '../../src/api/policies.ts';
import { shardOf } from '../../src/api/shard-hash.ts';
import { Chance } from './chance.ts';
import type {
  Activity,
  EventKind,
  Plan,
  PlannedClient,
  PlannedEvent,
  PlannedPod,
  PlannedResource,
  PodUse,
  WeatherSpell,
} from './plan.ts';

const NAMESPACE = 'shop';
const CLIENTS = 48;
const PODS = 16;
const ACTIVITIES = 1_500;
const POD_USES = 680;
const SAFETY_MS = 150_000;

export interface PlanSize {
  readonly clients?: number;
  readonly activities?: number;
  readonly faults?: boolean;
}

export function makePlan(seed: number, size: PlanSize = {}): Plan {
  const chance = Chance.of(seed, 'plan');
  const shardCount = chance.pick([1, 2, 2, 4, 4, 8]);
  const resources = makeResources();
  const keys = makeKeys(resources, shardCount);
  const clients = makeClients(chance, size.clients ?? CLIENTS);
  const count = size.activities ?? ACTIVITIES;
  const activities = Array.from({ length: count }, (_, id) => makeActivity(chance, id, keys, clients, resources));
  activities.sort((left, right) => left.atMs - right.atMs || left.id - right.id);
  const faults = size.faults ?? true;
  return {
    seed,
    shardCount,
    safetyMs: SAFETY_MS,
    resources,
    keys,
    clients,
    pods: makePods(chance, PODS),
    activities,
    podUses: makePodUses(Chance.of(seed, 'podUses'), POD_USES, keys, resources),
    events: faults ? withoutClash(makeEvents(chance)) : [],
    weather: faults ? makeWeather(chance) : [],
  };
}

function makeResources(): PlannedResource[] {
  const lock = (name: string, policy: Partial<LockPolicy> = {}): PlannedResource => ({
    resource: 'lock',
    name: `${NAMESPACE}/${name}`,
    policy: { ...DEFAULT_LOCK_POLICY, leaseDurationMs: 4_000, maxLeaseDurationMs: 60_000, ...policy },
  });
  const pool = (name: string, policy: Partial<LockPolicy> = {}): PlannedResource => ({
    resource: 'pool',
    name: `${NAMESPACE}/${name}`,
    policy: { ...DEFAULT_POOL_POLICY, leaseDurationMs: 4_000, maxLeaseDurationMs: 30_000, ...policy },
  });
  return [
    lock('plain'),
    lock('rules', { lockDelayMs: 1_000, maxHoldMs: 9_000 }),
    lock('slots', { permits: 3 }),
    lock('ranked', { fairness: 'Priority' }),
    lock('once', { reentrant: false, maxWaiters: 4 }),
    lock('watched', { expiryPolicy: 'Alert' }),
    lock('left', { deadlockPolicy: 'Break' }),
    lock('right', { deadlockPolicy: 'Break' }),
    pool('orders'),
    pool('ranks', { fairness: 'Priority' }),
    pool('seats', { permits: 2, lockDelayMs: 500 }),
    pool('pairs', { deadlockPolicy: 'Break' }),
    pool('strict', { reentrant: false, maxWaiters: 3, maxHoldMs: 6_000 }),
  ];
}

/** The keys of `pairs` lie in one shard, so that their deadlocks can be seen. */
function makeKeys(resources: readonly PlannedResource[], shardCount: number): string[] {
  const keys: string[] = [];
  for (const { resource, name } of resources) {
    if (resource === 'lock') keys.push(name);
    else if (name.endsWith('/pairs')) {
      const shard = shardOf(`${name}/k0`, shardCount);
      for (let index = 0, found = 0; found < 4; index++) {
        if (shardOf(`${name}/k${index}`, shardCount) !== shard) continue;
        keys.push(`${name}/k${index}`);
        found++;
      }
    } else for (let index = 0; index < 4; index++) keys.push(`${name}/k${index}`);
  }
  return keys;
}

function makeClients(chance: Chance, count: number): PlannedClient[] {
  const hasOverflow = chance.happens(0.25);
  return Array.from({ length: count }, (_, index) => ({
    index,
    principal: `pod-${index % 10 === 9 ? index - 1 : index}`,
    rate: chance.between(0.9995, 1.0005),
    // One client beyond the slots keeps every grace from ending early: not in every run.
    hasSlot: !hasOverflow || index % 15 !== 14,
  }));
}

function makeActivity(
  chance: Chance,
  id: number,
  keys: readonly string[],
  clients: readonly PlannedClient[],
  resources: readonly PlannedResource[],
): Activity {
  const client = chance.random.integer(clients.length);
  const key = keys[chance.skewedIndex(keys.length)] as string;
  const resource = resources.find(({ name }) => key === name || key.startsWith(`${name}/`)) as PlannedResource;
  const { permits, deadlockPolicy } = resource.policy;
  const pairs = deadlockPolicy === 'Break' && chance.happens(0.7);
  const partners = keys.filter((other) => other !== key && other.startsWith(resource.name.slice(0, -1)));
  const ttlMs = chance.happens(0.1) ? chance.whole(10_000, 25_000) : chance.whole(1_000, 5_000);
  const long = chance.happens(0.12);
  const main = chance.happens(0.35) ? chance.whole(0, 1) : -1;
  const waits = chance.happens(0.8) || pairs;
  return {
    id,
    atMs: chance.between(500, SAFETY_MS - 2_000),
    client,
    key,
    ownerId: main >= 0 ? `c${client}.main${main}` : `c${client}.a${id}`,
    mode: permits === 1 && chance.happens(0.4) && !pairs ? 'shared' : 'exclusive',
    ttlMs,
    timeoutMs: !waits ? 0 : chance.happens(0.12) && !pairs ? -1 : chance.whole(pairs ? 6_000 : 500, 20_000),
    // One owner, one priority: a report names only the owner.
    priority: main >= 0 ? (client * 7 + main * 3) % 10 : chance.whole(0, 9),
    named: chance.happens(0.7),
    repeatAfterMs: chance.happens(0.15) ? chance.whole(1, 3_000) : 0,
    cancelAfterMs: chance.happens(0.06) ? chance.whole(1, 4_000) : 0,
    maxHoldMs: chance.happens(0.05) ? chance.whole(1_000, 6_000) : 0,
    holdForMs: long ? chance.whole(3_000, 15_000) : Math.round(chance.skewed(5, 2_500)),
    renewEveryMs: Math.max(150, Math.round(ttlMs * chance.pick([0.1, 0.2, 0.33, 0.33, 0.6, 0.9, 1.05]))),
    renewTtlMs: chance.happens(0.3) ? chance.whole(1_000, chance.happens(0.2) ? 28_000 : 6_000) : ttlMs,
    reentries: main >= 0 && chance.happens(0.3) ? chance.whole(1, 3) : 0,
    end: chance.weighted({ release: 84, abandon: 8, releaseTwice: 5, upgrade: 3 }),
    nestedKey: pairs && partners.length > 0 ? chance.pick(partners) : undefined,
  };
}

function makePods(chance: Chance, count: number): PlannedPod[] {
  const hasOverflow = chance.happens(0.15);
  return Array.from({ length: count }, (_, index) => ({
    index,
    rate: chance.between(0.9995, 1.0005),
    hasSlot: !hasOverflow || index % 8 !== 7,
  }));
}

function makePodUses(
  chance: Chance,
  count: number,
  keys: readonly string[],
  resources: readonly PlannedResource[],
): PodUse[] {
  const uses = Array.from({ length: count }, (_, id) => makePodUse(chance, id, keys, resources));
  return uses.sort((left, right) => left.atMs - right.atMs || left.id - right.id);
}

function makePodUse(
  chance: Chance,
  id: number,
  keys: readonly string[],
  resources: readonly PlannedResource[],
): PodUse {
  const pod = chance.random.integer(PODS);
  const kind = chance.weighted({ plain: 45, auto: 25, stream: 20, all: 10 });
  const first = keys[chance.skewedIndex(keys.length)] as string;
  const others = kind === 'all' ? Array.from({ length: chance.whole(1, 3) }, () => chance.pick(keys)) : [];
  const permits = resources.find(({ name }) => first === name || first.startsWith(`${name}/`))?.policy.permits ?? 1;
  const main = chance.happens(0.4) && kind !== 'all' ? chance.whole(0, 1) : -1;
  const isAnonymous = main < 0 && chance.happens(0.3);
  const ttlMs = chance.happens(0.1) ? chance.whole(10_000, 25_000) : chance.whole(1_000, 5_000);
  return {
    id,
    atMs: chance.between(500, SAFETY_MS - 2_000),
    pod,
    kind,
    keys: [...new Set([first, ...others])],
    ownerId: isAnonymous ? undefined : main >= 0 ? `p${pod}.main${main}` : `p${pod}.a${id}`,
    mode: permits === 1 && chance.happens(0.3) && kind !== 'all' ? 'shared' : 'exclusive',
    ttlMs: isAnonymous && chance.happens(0.5) ? undefined : ttlMs,
    timeoutMs: chance.happens(0.25) ? 0 : chance.happens(0.1) ? -1 : chance.whole(500, 20_000),
    // Several at once have no priority.
    priority: kind === 'all' ? 0 : main >= 0 ? (pod * 7 + main * 3) % 10 : chance.whole(0, 9),
    named: chance.happens(0.6),
    hangUpAfterMs: chance.happens(0.1) ? chance.whole(1, 4_000) : 0,
    maxHoldMs: kind === 'auto' || chance.happens(0.1) ? chance.whole(2_000, 20_000) : 0,
    holdForMs: chance.happens(0.2) ? chance.whole(3_000, 15_000) : Math.round(chance.skewed(5, 3_000)),
    lookEveryMs: Math.max(200, Math.round(ttlMs * chance.pick([0.1, 0.33, 0.33, 0.6, 0.95]))),
    renewTtlMs: chance.happens(0.3) ? chance.whole(1_000, chance.happens(0.2) ? 28_000 : 6_000) : undefined,
    reentries: main >= 0 && kind === 'plain' && chance.happens(0.4) ? chance.whole(1, 3) : 0,
    end: chance.weighted({ release: 85, abandon: 9, releaseTwice: 6 }),
  };
}

/** How many of each a run has on average. */
const EVENTS: Readonly<Record<EventKind, readonly [number, number]>> = {
  ownerPause: [2, 12_000],
  ownerSuspend: [0.7, 12_000],
  ownerCrash: [1, 8_000],
  ownerStop: [0.5, 4_000],
  ownerWallStep: [0.7, 20_000],
  secondOwner: [0.5, 25_000],
  restoreRunning: [0.25, 0],
  restoreDown: [0.2, 3_000],
  editLease: [1.5, 0],
  deleteLease: [0.5, 0],
  forceRelease: [6, 0],
  forceReleaseThenCrash: [0.6, 3_000],
  policyEdit: [5, 15_000],
  policyDelete: [1.5, 6_000],
  clientPause: [12, 8_000],
  clientSuspend: [5, 10_000],
  clientFreeze: [1, 8_000],
  clientCrash: [5, 6_000],
  clientReturn: [4, 800],
  clientGoodbye: [4, 2_000],
  clientWallStep: [4, 30_000],
  clientCut: [14, 2_000],
  clientResume: [12, 0],
  clientStall: [10, 6_000],
  twinRenew: [6, 0],
  appPause: [5, 8_000],
  sidecarPause: [5, 8_000],
  podSuspend: [3, 10_000],
  podFreeze: [0.6, 8_000],
  podWallStep: [2, 30_000],
  podCrash: [2, 6_000],
  podGoodbye: [1.5, 2_000],
  sidecarRestart: [6, 3_000],
  sidecarKill: [3, 3_000],
  podCut: [6, 2_000],
  podResume: [5, 0],
  podStall: [4, 6_000],
};

function makeEvents(chance: Chance): PlannedEvent[] {
  const events: PlannedEvent[] = [];
  for (const [kind, [mean, longestMs]] of Object.entries(EVENTS) as [EventKind, readonly [number, number]][]) {
    const count = Math.floor(mean * chance.between(0, 2) + chance.random.fraction());
    for (let index = 0; index < count; index++) {
      events.push({
        id: events.length,
        atMs: chance.between(3_000, SAFETY_MS),
        kind,
        target: chance.random.integer(1_000_000),
        forMs: Math.round(chance.between(0, longestMs)),
      });
    }
  }
  return events.sort((left, right) => left.atMs - right.atMs || left.id - right.id);
}

/** The wall clock is the only memory of a lost record: an owner's clock that lies and a lost record in one run are too much. */
function withoutClash(events: readonly PlannedEvent[]): PlannedEvent[] {
  const isLoss = ({ kind }: PlannedEvent) =>
    kind.startsWith('restore') || kind === 'editLease' || kind === 'deleteLease';
  return events.some(isLoss) ? events.filter(({ kind }) => kind !== 'ownerWallStep') : [...events];
}

function makeWeather(chance: Chance): WeatherSpell[] {
  const spells: WeatherSpell[] = [];
  for (let fromMs = chance.between(5_000, 20_000); fromMs < SAFETY_MS; fromMs += chance.between(8_000, 40_000)) {
    const force = chance.skewed(0.2, 3);
    spells.push({
      fromMs,
      toMs: Math.min(SAFETY_MS, fromMs + chance.between(2_000, 15_000)),
      conflict: 0.03 * force,
      rejected: 0.04 * force,
      unknownLost: 0.03 * force,
      unknownLanded: 0.03 * force,
      slow: 0.05 * force,
      pauseOwner: 0.002 * force,
    });
  }
  return spells;
}
