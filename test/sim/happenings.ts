/** What the plan's events do to the world. */
import type { LockPolicy } from '../../src/api/policies.ts';
import type { Owner } from './owner.ts';
import type { ClientEventKind, OwnerEventKind, PlannedEvent, PodEventKind, RecordEventKind } from './plan.ts';
import type { Pod } from './pods/pod.ts';
import type { SimClient } from './sim-client.ts';
import type { Simulation } from './simulation.ts';
import { whenDone } from './when-done.ts';

type Happening<Target> = (simulation: Simulation, event: PlannedEvent, target: Target) => void;

export function happen(simulation: Simulation, event: PlannedEvent): void {
  if (simulation.isCalm || simulation.failure !== undefined) return;
  const { kind, target, forMs } = event;
  simulation.history.note('##', `${kind} ${target} for ${forMs}`);
  if (kind in TO_CLIENTS) {
    const client = simulation.clients[target % simulation.clients.length];
    if (client === undefined || client.isGone) return;
    simulation.odd(client.name, forMs + 4_000);
    TO_CLIENTS[kind as ClientEventKind](simulation, event, client);
  } else if (kind in TO_PODS) {
    const pod = simulation.pods[target % Math.max(1, simulation.pods.length)];
    if (pod === undefined) return;
    simulation.odd(pod.name, forMs + 4_000);
    TO_PODS[kind as PodEventKind](simulation, event, pod);
  } else if (kind in TO_OWNERS) {
    const owner = simulation.owners[target % Math.max(1, simulation.owners.length)];
    if (owner === undefined) return;
    simulation.odd(undefined, forMs + 8_000);
    TO_OWNERS[kind as OwnerEventKind](simulation, event, owner);
  } else {
    const durable = simulation.plan.resources.filter(({ resource }) => resource === 'lock');
    TO_RECORDS[kind as RecordEventKind](simulation, event, durable[target % durable.length]?.name ?? '');
  }
}

const TO_CLIENTS: Readonly<Record<ClientEventKind, Happening<SimClient>>> = {
  clientPause: ({ coverage }, { forMs }, { process }) => {
    coverage.hit('clientPaused');
    process.pause(forMs);
  },
  clientSuspend: ({ coverage }, { forMs }, { process }) => {
    coverage.hit('clientSuspended');
    process.suspend(forMs);
  },
  clientFreeze: ({ coverage }, { forMs }, { process }) => {
    coverage.hit('clientFrozen');
    process.suspend(forMs);
    process.stepWall(-forMs);
  },
  clientCrash: crashClient,
  clientReturn: crashClient,
  clientGoodbye: ({ coverage }, { forMs }, client) => {
    coverage.hit('clientSaidGoodbye');
    const { session, process } = client;
    session?.goodbye();
    process.after(forMs, () => {
      if (client.session === session && !client.isGone) client.openSession();
    });
  },
  clientWallStep: ({ coverage }, { target, forMs }, { process }) => {
    coverage.hit('clientWallStepped');
    process.stepWall(target % 2 === 0 ? forMs : -forMs);
  },
  clientCut: ({ coverage }, _event, { session }) => {
    coverage.hit('connectionCut');
    session?.link?.cut();
  },
  clientResume: (_simulation, _event, { session }) => session?.reconnect(),
  clientStall: (_simulation, { forMs }, { session }) => session?.link?.stall(forMs),
  twinRenew: (simulation, { id }) => twinRenews(simulation, id),
};

const TO_PODS: Readonly<Record<PodEventKind, Happening<Pod>>> = {
  appPause: (_simulation, { forMs }, { app }) => app.pause(forMs),
  sidecarPause: (_simulation, { forMs }, { sidecar }) => sidecar?.process.pause(forMs),
  podSuspend: (_simulation, { forMs }, pod) => pod.suspend(forMs),
  podFreeze: (_simulation, { forMs }, pod) => {
    pod.suspend(forMs);
    pod.stepWall(-forMs);
  },
  podWallStep: (_simulation, { target, forMs }, pod) => pod.stepWall(target % 2 === 0 ? forMs : -forMs),
  podCrash: (_simulation, { forMs }, pod) => pod.crash(forMs),
  podGoodbye: ({ apiServer }, { forMs }, pod) => {
    const before = pod.sidecar;
    pod.goodbye();
    apiServer.after(forMs, () => {
      if (before === undefined || pod.sidecar !== before) return;
      before.end(pod);
      pod.startSidecar();
    });
  },
  sidecarRestart: (_simulation, { forMs }, pod) => pod.restartSidecar(forMs),
  sidecarKill: (_simulation, { forMs }, pod) => pod.killSidecar(forMs),
  podCut: ({ coverage }, _event, { sidecar }) => {
    coverage.hit('connectionCut');
    sidecar?.transport?.link?.cut();
  },
  podResume: (_simulation, _event, { sidecar }) => sidecar?.transport?.reconnect(),
  podStall: (_simulation, { forMs }, { sidecar }) => sidecar?.transport?.link?.stall(forMs),
};

function crashClient(simulation: Simulation, { forMs }: PlannedEvent, client: SimClient): void {
  simulation.coverage.hit('clientCrashed');
  client.crash();
  simulation.apiServer.after(forMs, () => {
    simulation.odd(client.name, 3_000);
    client.comeBack();
  });
}

/** Twins are one pod: either may speak for what the other holds. */
function twinRenews(simulation: Simulation, id: number): void {
  const chance = simulation.chance(`twin${id}`);
  const twins = simulation.clients.filter(
    (client) => simulation.clients.filter(({ principal }) => principal === client.principal).length > 1,
  );
  const holds = twins.flatMap((client) => [...(client.session?.holds.values() ?? [])]);
  if (holds.length === 0) return;
  const hold = chance.pick(holds);
  const twin = twins.find((client) => client.principal === hold.client.principal && client !== hold.client);
  if (twin === undefined || !twin.process.running) return;
  const { key, token, ownerId, ttlMs } = hold;
  simulation.checks.twinSpoke(key, token);
  twin.process.soon(() => {
    if (twin.session === undefined) return;
    twin.session.disregard(key, token);
    whenDone(twin.session.ask({ op: 'renew', key, token, ownerId, ttlMs }, true), (answer) => {
      if (answer.kind === 'error') return;
      simulation.coverage.hit('twinRenewed');
      const own = twin.session?.holds.get(`${key}#${token}`);
      if (own !== undefined) twin.session?.drop(own);
    });
  });
}

const TO_OWNERS: Readonly<Record<OwnerEventKind, Happening<Owner>>> = {
  ownerPause: ({ coverage }, { forMs }, { process }) => {
    coverage.hit('ownerPaused');
    process.pause(forMs);
  },
  ownerSuspend: ({ coverage }, { forMs }, { process }) => {
    coverage.hit('ownerSuspended');
    process.suspend(forMs);
  },
  ownerCrash: ({ coverage }, _event, owner) => {
    coverage.hit('ownerCrashed');
    owner.crash();
  },
  ownerStop: ({ coverage }, _event, owner) => {
    coverage.hit('ownerStopped');
    owner.stop();
  },
  ownerWallStep: ({ coverage }, { target, forMs }, { process }) => {
    coverage.hit('ownerWallStepped');
    process.stepWall(target % 2 === 0 ? forMs : -forMs);
  },
  secondOwner: (simulation, { forMs }, { process }) => {
    simulation.coverage.hit('secondOwner');
    process.pause(8_000 + forMs);
    if (simulation.owners.length < 3) simulation.startOwner();
  },
};

/** The target is the key of a durable lock. */
const TO_RECORDS: Readonly<Record<RecordEventKind, Happening<string>>> = {
  restoreRunning: (simulation, event) => restore(simulation, event, false),
  restoreDown: (simulation, event) => restore(simulation, event, true),
  editLease: (simulation, { id }, key) => {
    whenDone(simulation.leases.edit(key, simulation.chance(`event${id}`)), (edited) => {
      if (edited) simulation.coverage.hit('leaseEditedByHand');
    });
  },
  deleteLease: ({ leases, coverage, checks }, _event, key) => {
    whenDone(leases.delete(key), (deleted) => {
      if (!deleted) return;
      coverage.hit('leaseDeletedByHand');
      checks.voidDurable(key);
    });
  },
  forceRelease: (simulation, event) => forceRelease(simulation, event, false),
  forceReleaseThenCrash: (simulation, event) => forceRelease(simulation, event, true),
  policyEdit: (simulation, { target, forMs }) => editPolicy(simulation, target, forMs),
  policyDelete: (simulation, { target, forMs }) => deletePolicy(simulation, target, forMs),
};

function restore(simulation: Simulation, { id }: PlannedEvent, isDown: boolean): void {
  const { leases, coverage, checks, world } = simulation;
  simulation.odd(undefined, 20_000);
  if (isDown) for (const owner of [...simulation.owners]) owner.crash();
  whenDone(leases.restore(simulation.chance(`event${id}`)), (restored) => {
    if (!restored) return;
    coverage.hit(isDown ? 'restoreWhileDown' : 'restoreUnderRunningOwner');
    simulation.restoredAtMs = world.nowMs;
    if (isDown) checks.voidAll();
    else checks.voidDurable();
  });
}

function forceRelease(simulation: Simulation, { target }: PlannedEvent, thenCrash: boolean): void {
  const { plan, clients, pods, owners } = simulation;
  const admin = clients[target % clients.length] as SimClient;
  const held = [
    ...clients
      .flatMap((client) => [...(client.session?.holds.values() ?? [])])
      .filter((hold) => hold.isBelieved)
      .map((hold) => ({ key: hold.key, link: hold.client.session?.link })),
    ...pods.flatMap((pod) => pod.believed.map(({ key }) => ({ key, link: pod.sidecar?.transport?.link }))),
  ];
  const victim = held[target % Math.max(1, held.length)];
  // The holder hears nothing of it, and declares its hold to the next owner.
  if (thenCrash) victim?.link?.stall(15_000);
  const key = victim?.key ?? plan.keys[target % plan.keys.length] ?? '';
  const { session } = admin;
  if (session === undefined || !admin.process.running) return;
  admin.process.soon(() => {
    const asked = session.ask({ op: 'forceRelease', key, reason: 'stuck', by: admin.name }, true);
    whenDone(asked, (answer) => {
      if (answer.kind === 'done' && thenCrash) owners[0]?.crash();
    });
  });
}

function editPolicy(simulation: Simulation, target: number, forMs: number): void {
  const { plan, policies } = simulation;
  const planned = plan.resources[target % plan.resources.length];
  const before = planned && policies.current.get(planned.name)?.policy;
  if (planned === undefined || before === undefined) return;
  const edits: readonly Partial<LockPolicy>[] = [
    { permits: before.permits + 2 },
    { permits: 1 },
    { reentrant: !before.reentrant },
    { fairness: before.fairness === 'Fifo' ? 'Priority' : 'Fifo' },
    { leaseDurationMs: 2_000 },
    { maxHoldMs: 4_000 },
    { lockDelayMs: 1_500 },
    { maxLeaseDurationMs: 6_000 },
  ];
  const edit = edits[Math.floor(target / 97) % edits.length] as Partial<LockPolicy>;
  simulation.coverage.hit('policyEdited');
  setPolicy(simulation, planned.name, { ...before, ...edit });
  simulation.apiServer.after(forMs, () => setPolicy(simulation, planned.name, planned.policy));
}

function deletePolicy(simulation: Simulation, target: number, forMs: number): void {
  const planned = simulation.plan.resources[target % simulation.plan.resources.length];
  if (planned === undefined) return;
  simulation.coverage.hit('policyDeleted');
  setPolicy(simulation, planned.name, undefined);
  simulation.apiServer.after(forMs, () => {
    simulation.coverage.hit('policyRecreated');
    setPolicy(simulation, planned.name, planned.policy);
  });
}

function setPolicy(simulation: Simulation, name: string, policy: LockPolicy | undefined): void {
  const { policies, owners, world } = simulation;
  policies.set(name, policy, world.nowMs);
  const resource = policies.current.get(name)?.resource;
  for (const owner of owners) {
    // It hears of it when it runs, as from a watch.
    owner.process.soon(() => {
      const newest = policies.current.get(name)?.policy;
      if (resource === 'lock') owner.server?.configureLock(name, newest);
      else owner.server?.configurePool(name, newest);
    });
  }
}
