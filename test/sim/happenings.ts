/** What the plan's events do to the world. */
import type { LockPolicy } from '../../src/api/policies.ts';
import type { Owner } from './owner.ts';
import type { PlannedEvent } from './plan.ts';
import type { SimClient } from './sim-client.ts';
import type { Simulation } from './simulation.ts';
import { whenDone } from './when-done.ts';

export function happen(simulation: Simulation, event: PlannedEvent): void {
  if (simulation.isCalm || simulation.failure !== undefined) return;
  simulation.history.note('##', `${event.kind} ${event.target} for ${event.forMs}`);
  if (event.kind.startsWith('client') || event.kind === 'twinRenew') happenToClient(simulation, event);
  else if (event.kind.startsWith('owner') || event.kind === 'secondOwner') happenToOwner(simulation, event);
  else happenToRecords(simulation, event);
}

function happenToClient(simulation: Simulation, { id, kind, target, forMs }: PlannedEvent): void {
  const client = simulation.clients[target % simulation.clients.length] as SimClient;
  if (client.isGone) return;
  const { coverage } = simulation;
  const { process, session } = client;
  const link = session?.link;
  simulation.odd(client, forMs + 4_000);
  switch (kind) {
    case 'clientPause':
      coverage.hit('clientPaused');
      return process.pause(forMs);
    case 'clientSuspend':
      coverage.hit('clientSuspended');
      return process.suspend(forMs);
    case 'clientFreeze':
      coverage.hit('clientFrozen');
      process.suspend(forMs);
      return process.stepWall(-forMs);
    case 'clientCrash':
    case 'clientReturn': {
      coverage.hit('clientCrashed');
      client.crash();
      simulation.apiServer.after(forMs, () => {
        simulation.odd(client, 3_000);
        client.comeBack();
      });
      return;
    }
    case 'clientGoodbye':
      coverage.hit('clientSaidGoodbye');
      session?.goodbye();
      process.after(forMs, () => {
        if (client.session === session && !client.isGone) client.openSession();
      });
      return;
    case 'clientWallStep':
      coverage.hit('clientWallStepped');
      return process.stepWall(target % 2 === 0 ? forMs : -forMs);
    case 'clientCut':
      coverage.hit('connectionCut');
      return link?.cut();
    case 'clientResume':
      return session?.reconnect();
    case 'clientStall':
      return link?.stall(forMs);
    case 'twinRenew':
      return twinRenews(simulation, id);
    default:
  }
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
    whenDone(twin.session.ask({ op: 'renew', key, token, ownerId, ttlMs }, true), (answer) => {
      if (answer.kind === 'error') return;
      simulation.coverage.hit('twinRenewed');
      const own = twin.session?.holds.get(`${key}#${token}`);
      if (own !== undefined) twin.session?.drop(own);
    });
  });
}

function happenToOwner(simulation: Simulation, { kind, target, forMs }: PlannedEvent): void {
  const { coverage, owners } = simulation;
  const owner: Owner | undefined = owners[target % Math.max(1, owners.length)];
  if (owner === undefined) return;
  simulation.odd(undefined, forMs + 8_000);
  switch (kind) {
    case 'ownerPause':
      coverage.hit('ownerPaused');
      return owner.process.pause(forMs);
    case 'ownerSuspend':
      coverage.hit('ownerSuspended');
      return owner.process.suspend(forMs);
    case 'ownerCrash':
      coverage.hit('ownerCrashed');
      return owner.crash();
    case 'ownerStop':
      coverage.hit('ownerStopped');
      return owner.stop();
    case 'ownerWallStep':
      coverage.hit('ownerWallStepped');
      return owner.process.stepWall(target % 2 === 0 ? forMs : -forMs);
    case 'secondOwner':
      coverage.hit('secondOwner');
      owner.process.pause(8_000 + forMs);
      if (owners.length < 3) simulation.startOwner();
      return;
    default:
  }
}

function happenToRecords(simulation: Simulation, event: PlannedEvent): void {
  const { kind, target, forMs } = event;
  const { coverage, leases, plan, checks, world } = simulation;
  const chance = simulation.chance(`event${event.id}`);
  const durable = plan.resources.filter(({ resource }) => resource === 'lock');
  const lock = durable[target % durable.length]?.name ?? '';
  switch (kind) {
    case 'restoreRunning':
    case 'restoreDown': {
      const isDown = kind === 'restoreDown';
      simulation.odd(undefined, 20_000);
      if (isDown) for (const owner of [...simulation.owners]) owner.crash();
      whenDone(leases.restore(chance), (restored) => {
        if (!restored) return;
        coverage.hit(isDown ? 'restoreWhileDown' : 'restoreUnderRunningOwner');
        simulation.restoredAtMs = world.nowMs;
        if (isDown) checks.voidAll();
        else checks.voidDurable();
      });
      return;
    }
    case 'editLease':
      whenDone(leases.edit(lock, chance), (edited) => {
        if (edited) coverage.hit('leaseEditedByHand');
      });
      return;
    case 'deleteLease':
      whenDone(leases.delete(lock), (deleted) => {
        if (!deleted) return;
        coverage.hit('leaseDeletedByHand');
        checks.voidDurable(lock);
      });
      return;
    case 'forceRelease':
    case 'forceReleaseThenCrash':
      return forceRelease(simulation, event, kind === 'forceReleaseThenCrash');
    case 'policyEdit':
      return editPolicy(simulation, target, forMs);
    case 'policyDelete':
      return deletePolicy(simulation, target, forMs);
    default:
  }
}

function forceRelease(simulation: Simulation, { target }: PlannedEvent, thenCrash: boolean): void {
  const { plan, clients, owners } = simulation;
  const admin = clients[target % clients.length] as SimClient;
  const held = clients
    .flatMap((client) => [...(client.session?.holds.values() ?? [])])
    .filter((hold) => hold.isBelieved);
  const key = held[target % Math.max(1, held.length)]?.key ?? (plan.keys[target % plan.keys.length] as string);
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
